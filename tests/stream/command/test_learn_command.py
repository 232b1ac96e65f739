"""`allaprima learn`: what it reads, writes, says and refuses. The learning itself is a fake."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from command import allaprima, assert_refused

import allaprima as api
import models
from models import LearnedLook, LearningProgress
from models.learning.distance import Distance
from stream.command.exit_codes import ExitCode

NEAR = Distance(0.3, 0.5)
FAR = Distance(1.0, 1.0)


def write(path: Path, width: int = 64, height: int = 48, level: int = 90) -> Path:
    path.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(path), np.full((height, width, 3), level, np.uint8))
    return path


def learn(frame: object, painting: object, output: object, *more: object) -> Any:
    return allaprima("learn", "--frame", frame, "--painting", painting, "-o", output, *more)


class FakeLearning:
    """In place of `models.learn_look`: three steps, a preview after the second."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.at_step: Callable[[int], None] = lambda step: None

    def __call__(self, pictures: Any, word: str, **asked: Any) -> LearnedLook:
        self.calls.append({"pictures": pictures, "word": word, **asked})
        for step in (1, 2, 3):
            self.at_step(step)
            preview = np.full((8, 24, 3), step, np.uint8) if step == 2 else None
            asked["on_progress"](LearningProgress(step, 3, 3.0 - step, NEAR, NEAR, preview))
            if asked["is_stopped"] is not None and asked["is_stopped"]():
                break
        tensors = {"unet.conv_in.lora_A.weight": torch.zeros(1, 3)}
        return LearnedLook(word, tensors, "oil painting", ((0, FAR), (2, NEAR), (3, FAR)), 65.0)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeLearning:
    made = FakeLearning()
    monkeypatch.setattr(models, "learn_look", made)
    return made


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "still.png"), write(tmp_path / "painted.png", level=200)


def test_a_pair_gives_a_lora_and_a_preview(
    fake: FakeLearning, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "mylook.safetensors"
    result = learn(*pair, output, "--steps", 3, "--seed", 5)
    assert result.exit_code == ExitCode.DONE, result.output
    assert models.read_lora(str(output)).word == "mylook"
    preview = cv2.imread(str(tmp_path / "mylook.preview.png"))
    assert preview is not None and preview.shape == (8, 24, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mylook.preview.png", "mylook.safetensors", "painted.png", "still.png",
    ]  # fmt: skip
    (call,) = fake.calls
    assert (call["steps"], call["seed"], call["minutes"]) == (3, 5, 10.0)
    ((frame, painting),) = call["pictures"]
    assert (frame.shape, frame[0, 0, 0], painting[0, 0, 0]) == ((48, 64, 3), 90, 200)
    assert "0.40 of the photograph's distance; what came after step 2" in result.stderr
    assert "1 min 5 s" in result.stderr


def test_the_prompt_is_the_word(
    fake: FakeLearning, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    learn(*pair, tmp_path / "a.safetensors", "--prompt", "paper  theatre")
    assert fake.calls[0]["word"] == "paper theatre"


def test_folders_are_paired_by_name(fake: FakeLearning, tmp_path: Path) -> None:
    for level, name in ((10, "b"), (20, "a"), (30, "unpainted")):
        write(tmp_path / "stills" / f"{name}.png", level=level)
    for level, name in ((110, "b"), (120, "a")):
        write(tmp_path / "painted" / f"{name}.jpg", level=level)
    result = learn(tmp_path / "stills", tmp_path / "painted", tmp_path / "a.safetensors")
    assert result.exit_code == ExitCode.DONE, result.output
    levels = [[int(one[0, 0, 0]) for one in both] for both in fake.calls[0]["pictures"]]
    assert levels == [[20, 120], [10, 110]]


def test_ctrl_c_keeps_the_best_so_far(
    fake: FakeLearning, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    fake.at_step = lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 1 else None
    output = tmp_path / "a.safetensors"
    result = learn(*pair, output)
    assert result.exit_code == ExitCode.INTERRUPTED
    assert output.exists()


def test_quiet_says_nothing(fake: FakeLearning, pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert learn(*pair, tmp_path / "a.safetensors", "--quiet").output == ""


# What is refused


@pytest.mark.parametrize(
    ("output", "args", "words"),
    [
        ("a.ckpt", [], ["got --output", "a.ckpt", "expected", ".safetensors"]),
        ("a.safetensors", ["--prompt", "a:b"], ["got --prompt 'a:b'", "expected a word"]),
        ("a.safetensors", ["--prompt", " "], ["got --prompt ''", "expected a word"]),
        ("a.safetensors", ["--size", "100"], ["got --size 100", "expected 224 to 1024"]),
        ("a.safetensors", ["--steps", "0"], ["got --steps 0", "expected 1 or more"]),
        ("a.safetensors", ["--minutes", "0"], ["got --minutes 0", "expected more than 0"]),
        ("a.safetensors", ["--seed", "-1"], ["got --seed -1", "expected 0 or more"]),
    ],
)
def test_a_bad_value_is_refused(
    pair: tuple[Path, Path], tmp_path: Path, output: str, args: list[str], words: list[str]
) -> None:
    assert_refused(learn(*pair, tmp_path / output, *args), ExitCode.USAGE, *words)


def test_pictures_of_two_shapes_are_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.png", width=100)
    result = learn(pair[0], wide, tmp_path / "a.safetensors")
    assert_refused(result, ExitCode.INPUT, "wide.png is 100x48 and its frame 64x48")


def test_what_is_no_picture_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    result = learn(pair[0], text, tmp_path / "a.safetensors")
    assert_refused(result, ExitCode.INPUT, "text.png")


def test_a_missing_picture_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = learn(pair[0], tmp_path / "none.png", tmp_path / "a.safetensors")
    assert_refused(result, ExitCode.INPUT, "There is no picture", "none.png")


def test_each_frame_needs_its_painting(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = learn(*pair, tmp_path / "a.safetensors", "--frame", pair[0])
    assert_refused(result, ExitCode.INPUT, "2 frames and 1 paintings")


def test_a_painting_without_its_frame_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    write(tmp_path / "painted" / "other.png")
    result = learn(pair[0], tmp_path / "painted", tmp_path / "a.safetensors")
    assert_refused(result, ExitCode.INPUT, "other.png has no frame called other")


def test_an_output_in_the_way_is_kept(
    fake: FakeLearning, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "a.safetensors"
    output.write_text("mine")
    assert_refused(learn(*pair, output), ExitCode.OUTPUT, "exists already", "--overwrite")
    assert output.read_text() == "mine" and not fake.calls
    assert learn(*pair, output, "--overwrite").exit_code == ExitCode.DONE
    assert output.read_bytes() != b"mine"


def test_a_model_of_another_kind_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from miniature import make_lcm, save

    model = save(make_lcm(vae="tiny"), tmp_path / "model")
    output = tmp_path / "a.safetensors"
    result = learn(*pair, output, "--model", model)
    assert_refused(result, ExitCode.MODEL, "sees no carried noise")
    assert not output.exists()


# From Python


def test_arrays_are_learned_from_python(fake: FakeLearning, tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    output = tmp_path / "kirigami.safetensors"
    look = api.learn([(picture, picture)], output, steps=7)
    assert look.word == "kirigami" and output.exists()
    assert fake.calls[0]["steps"] == 7
    with pytest.raises(ValueError, match="safetensors"):
        api.learn([(picture, picture)], tmp_path / "a.txt")
