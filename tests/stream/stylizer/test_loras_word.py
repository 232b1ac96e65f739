"""The word `loras`: LoRAs switched by name while frames are painted, live and in a take."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, make_frames
from miniature import make_lcm, save
from painting import make_lora
from safetensors.torch import save_file

from models import ModelFormatError, Style, load_engine
from models.engine import Engine
from models.style import parse_loras
from stream.live.automation import read_automation, recorded_words
from stream.live.controls import Controls, Look
from stream.live.performed_stylizer import PerformedStylizer
from stream.live.styles_file import read_styles
from stream.offline.options import RestyleOptions
from stream.stylizer.prepared_style import FIXED_LORAS
from stream.stylizer.stylizer import Stylizer

SIZE = (64, 64)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two LoRAs of the miniature model."""
    paths = []
    for seed, name in ((1, "ink"), (2, "sea")):
        paths.append(str(tmp_path / f"{name}.safetensors"))
        save_file(dict(make_lora(seed).tensors), paths[-1])
    return paths


@pytest.fixture
def model(tmp_path: Path) -> str:
    return save(make_lcm(), tmp_path / "model")


def load(model: str, *loras: str, switchable: bool) -> Engine:
    return load_engine(
        model, device="cpu", acceleration="off", loras=loras, switchable_loras=switchable
    )


def painted(engine: Engine, style: Style) -> np.ndarray:
    stylizer = Stylizer(engine, style, short_side_px=64, stability=0, output_size="model")
    return stylizer.process(make_frames(1, SIZE)[0])[0].data


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        (" none ", ()),
        ("ink", (("ink", None),)),
        ("ink:0.7 | sea", (("ink", 0.7), ("sea", None))),
        ("ink:-1|| b: c:2", (("ink", -1.0), ("b: c", 2.0))),
    ],
)
def test_loras_are_named_and_weighted(text: str, parts: tuple[object, ...]) -> None:
    assert parse_loras(text) == parts


@pytest.mark.filterwarnings("ignore")
def test_a_switched_lora_is_a_fresh_start_with_it(model: str, files: list[str]) -> None:
    ink, sea = files
    engine = load(model, ink, f"{sea}:0", switchable=True)
    style = replace(engine.default_style, prompt="fog", num_inference_steps=1)
    shown = {
        word: painted(engine, replace(style, loras=word))
        for word in ("", "none", "sea", "ink:0.4 | sea:-0.5", "ink")
    }
    for word, loras in (
        ("", (ink,)),
        ("ink", (ink,)),
        ("none", ()),
        ("sea", (sea,)),
        ("ink:0.4 | sea:-0.5", (f"{ink}:0.4", f"{sea}:-0.5")),
    ):
        fresh = painted(load(model, *loras, switchable=False), replace(style, lora_names=()))
        assert np.abs(shown[word].astype(int) - fresh.astype(int)).max() <= 1, word
    assert np.array_equal(shown[""], shown["ink"])
    assert not np.array_equal(shown["sea"], shown["ink"])


@pytest.mark.filterwarnings("ignore")
def test_the_cpus_fast_path_leaves_the_weights_to_torch(model: str, files: list[str]) -> None:
    engine = load_engine(model, device="cpu", loras=files, switchable_loras=True)
    assert engine.computation.path.startswith("torch")
    style = replace(engine.default_style, num_inference_steps=1)
    assert not np.array_equal(painted(engine, style), painted(engine, replace(style, loras="ink")))


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_switched_is_said(model: str, files: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got LoRAs named ink, ink"):
        load(model, files[0], files[0], switchable=True)
    save_file(dict(make_lora(3, {"unet.nowhere": (16, 16)}).tensors), tmp_path / "odd.safetensors")
    with pytest.raises(ModelFormatError, match="has not"):
        load(model, f"{tmp_path / 'odd.safetensors'}:0", switchable=True)
    options = RestyleOptions(inputs=["a.mp4"], output="null", switch_loras=True)
    with pytest.raises(ValueError, match="got switch_loras=True, expected a lora"):
        options.check()


def test_a_wrong_name_or_weight_is_refused_and_the_session_goes_on() -> None:
    controls = Controls(Look(Style()))
    controls.change({"loras": "fog"})  # nobody knows yet
    controls.start_with(Style(lora_names=("ink", "sea")))
    assert controls.look.style.loras == ""
    for asked in ("fog", "ink:9", "ink:nan"):
        with pytest.raises(ValueError, match="got loras="):
            controls.change({"loras": asked})
    assert controls.change({"loras": "ink:0"}).style.loras == "ink:0"


def test_where_none_can_be_switched_a_note_says_so() -> None:
    stylizer = Stylizer(FakeEngine(), Style(loras="ink"))
    stylizer.process(make_frames(1, SIZE)[0])
    assert FIXED_LORAS in stylizer.stats.notes


def test_styles_and_takes_have_loras_of_their_own(tmp_path: Path) -> None:
    styles = tmp_path / "styles.toml"
    styles.write_text('[[style]]\nprompt = "fog"\nloras = "ink:0.7"\n')
    (named,) = read_styles(styles, Style())
    assert named.given == {"prompt": "fog", "loras": "ink:0.7"}
    take = tmp_path / "take.jsonl"
    lines = [
        {"allaprima": "automation", "version": 1},
        {"time": 0, **recorded_words(Look(Style()))},
        {"time": 1, "loras": "sea"},
    ]
    take.write_text("\n".join(map(json.dumps, lines)))
    assert read_automation(take).changes[1].words == {"loras": "sea"}


@pytest.mark.filterwarnings("ignore")
def test_a_take_switches_on_the_same_frames_again(
    model: str, files: list[str], tmp_path: Path
) -> None:
    take = tmp_path / "take.jsonl"
    lines = [
        {"allaprima": "automation", "version": 1},
        {"time": 0, "prompt": "fog", "transition": 0},
        {"time": 0.1, "loras": "sea"},
    ]
    take.write_text("\n".join(map(json.dumps, lines)))
    engine = load(model, *files, switchable=True)
    renderings = []
    for _ in range(2):
        stylizer = PerformedStylizer(
            engine,
            engine.default_style,
            changes=read_automation(take).in_seconds(),
            short_side_px=64,
            stability=0,
            output_size="model",
            batch=3,
            overlap=True,
        )
        frames = make_frames(6, SIZE)
        out = [one for frame in [*frames, None] for one in stylizer.process(frame)]
        renderings.append([one.data for one in out])
        times = [frame.time_s for frame in frames]
    assert all(map(np.array_equal, *renderings))
    style = replace(engine.default_style, prompt="fog")
    for word, time_s, shown in zip(
        ["" if at < 0.099 else "sea" for at in times], times, renderings[0], strict=True
    ):
        stylizer = Stylizer(
            engine,
            replace(style, loras=word),
            short_side_px=64,
            stability=0,
            output_size="model",
        )
        frame = frames[times.index(time_s)]
        alone = stylizer.process(frame)[0].data
        assert np.abs(alone.astype(int) - shown.astype(int)).max() <= 2
