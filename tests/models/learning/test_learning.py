"""A look learned by the bundled model from one painted frame, for a few steps."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from unseen_painters import engraving

from models import LearnedLook, ModelFormatError, learn_look, load_engine
from models.learning.distance import look_distance
from models.learning.pairs import resized
from models.training.batches import to_image

CLIP = Path(__file__).resolve().parents[3] / "examples" / "clips" / "bunny.mp4"
SIZE = 448, 256
LARGE = 896, 512
STEPS = 60

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def frame_of(index: int) -> np.ndarray:
    """A frame of the clip at the size of a painting."""
    with av.open(str(CLIP)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == index:
                return resized(frame.to_ndarray(format="rgb24"), LARGE)
    raise AssertionError(index)


@pytest.fixture(scope="module")
def look() -> LearnedLook:
    key = frame_of(20)
    return learn_look([(key, engraving(key))], "burin", steps=STEPS, minutes=1e6)


@pytest.fixture(scope="module")
def file(look: LearnedLook, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("look") / "burin.safetensors"
    look.save(path)
    return str(path)


def painted(engine: object, picture: np.ndarray, prompt: str | None = None) -> np.ndarray:
    style = engine.default_style  # type: ignore[attr-defined]
    style = style if prompt is None else replace(style, prompt=prompt)
    return engine.paint(  # type: ignore[attr-defined]
        resized(picture, SIZE),
        engine.noise(style, SIZE),  # type: ignore[attr-defined]
        engine.encode_prompt(style),  # type: ignore[attr-defined]
        engine.schedule(style),  # type: ignore[attr-defined]
    )


def test_another_frame_of_the_clip_is_painted_as_the_painter_would(
    file: str, look: LearnedLook
) -> None:
    """By the path that the command takes by default."""
    other = frame_of(95)
    engine = load_engine("bundled", device="cpu", loras=[file])
    assert engine.default_style.prompt == "burin"
    images = [to_image(one[None]) for one in (painted(engine, other), engraving(other), other)]
    distance = look_distance(*images)
    assert distance.mean <= 0.5
    assert not any("names no look" in note for note in engine.notes)
    assert look.history[-1][1].mean < look.history[0][1].mean


def test_other_prompts_keep_what_they_said(file: str) -> None:
    """The empty one the photograph, those of other looks about what they painted."""
    other = frame_of(95)
    plain, with_look = (
        load_engine("bundled", device="cpu", acceleration="off", loras=loras)
        for loras in ([], [file])
    )
    for prompt in ("", "charcoal"):
        before, now = (painted(engine, other, prompt) for engine in (plain, with_look))
        changed = painted(with_look, other)
        apart, far = (np.abs(one.astype(int) - before).mean() for one in (now, changed))
        assert apart < (0.4 if prompt == "" else 0.65) * far, prompt


def test_two_looks_can_be_mixed(file: str) -> None:
    engine = load_engine("bundled", device="cpu", acceleration="off", loras=[f"{file}:0.5", file])
    assert engine.default_style.prompt == "burin:0.5 | burin:1"


def test_the_same_seed_learns_the_same_and_it_can_be_stopped() -> None:
    key = frame_of(20)
    pair = key, engraving(key)
    seen: list[int] = []
    first, again = (
        learn_look(
            [pair], "a", steps=9, minutes=1e6, seed=3,
            on_progress=lambda progress: seen.append(progress.step),
            is_stopped=lambda: seen[-1] >= 1,
        )
        for _ in range(2)
    )  # fmt: skip
    assert first.tensors.keys() == again.tensors.keys()
    assert all((first.tensors[key] == again.tensors[key]).all() for key in first.tensors)
    assert max(seen) < 9


def test_a_model_without_carried_noise_cannot_learn(tmp_path: Path) -> None:
    from miniature import make_lcm, save

    folder = save(make_lcm(vae="tiny"), tmp_path)
    picture = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ModelFormatError, match="carried noise"):
        learn_look([(picture, picture)], "a", model=folder)


def test_no_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        learn_look([], "a")
