"""Style pictures as a user names them, and as a session changes them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine, make_frames
from PIL import Image

from models import Style
from stream.errors import SourceError
from stream.live.automation import read_automation, recorded_words
from stream.live.controls import Controls, Look
from stream.offline.options import RestyleOptions
from stream.stylizer.style_images import load_style_images
from stream.stylizer.stylizer import Stylizer


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two pictures, one with a weight."""
    for name, value in (("sea", 40), ("ink", 200)):
        Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(tmp_path / f"{name}.png")
    return [str(tmp_path / "sea.png"), f"{tmp_path / 'ink.png'}:0.3"]


def test_pictures_are_named_by_their_files_and_weighted(pictures: list[str]) -> None:
    sea, ink = load_style_images(tuple(pictures))
    assert (sea.name, sea.weight, ink.name, ink.weight) == ("sea", 1.0, "ink", 0.3)
    assert sea.data.shape == (6, 8, 3)
    assert ink.data[0, 0, 0] == 200


def test_a_picture_that_is_not_there_is_said() -> None:
    with pytest.raises(SourceError, match=r"nowhere\.png"):
        load_style_images(("nowhere.png:0.5",))


@pytest.mark.parametrize("spec", ["film.mp4:0.5", "camera", "rtsp://10.0.0.5/stage:0.5"])
def test_what_moves_is_said_to_be_a_style_in_live_alone(spec: str) -> None:
    with pytest.raises(SourceError, match="is the style in live alone"):
        load_style_images((spec,))


def test_options_give_the_style_its_pictures(pictures: list[str]) -> None:
    options = RestyleOptions(inputs=["a.mp4"], output="null", style_images=pictures)
    assert [image.name for image in options.style(Style()).images] == ["sea", "ink"]
    wrong = RestyleOptions(inputs=["a.mp4"], output="null", style_images=[f"{pictures[0]}:7"])
    with pytest.raises(ValueError, match="got weight 7 of sea, expected 0 to 2"):
        wrong.check()


def test_the_control_words_mix_and_weigh_the_pictures(pictures: list[str]) -> None:
    style = Style(images=load_style_images(tuple(pictures)))
    controls = Controls(Look(style))
    look = controls.change({"image_mix": "ink", "image_weight": 0.5})
    assert look.style.image_weights == (0.0, 0.5)
    with pytest.raises(ValueError, match="expected names of sea, ink"):
        controls.change({"image_mix": "fog"})
    with pytest.raises(ValueError, match="got image_weight=3"):
        controls.change({"image_weight": 3})
    assert controls.look.style == look.style


def test_other_pictures_are_encoded_anew_and_the_same_are_not(pictures: list[str]) -> None:
    engine = FakeEngine()
    style = Style(images=load_style_images(tuple(pictures)))
    stylizer = Stylizer(engine, style)
    frames = make_frames(4, (64, 48))
    for index, change in enumerate(({}, {}, {"image_weight": 0.5}, {"image_mix": "sea"})):
        stylizer.style = replace(style, **change)
        stylizer.process(frames[index])
    assert engine.calls.counts["encode_prompt"] == 3


def test_a_recorded_mixture_is_read_before_its_pictures_are_known(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    controls = Controls(Look(Style()))
    lines = [
        {"allaprima": "automation", "version": 1},
        {"time": 0, **recorded_words(controls.look)},
        {"time": 1, "image_mix": "ink"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    assert read_automation(path).changes[1].words == {"image_mix": "ink"}
