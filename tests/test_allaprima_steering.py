"""The public API: style pictures and structure, on miniatures of the real classes."""

from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEngine
from miniature import make_controlnet, make_lcm, save, save_ip_adapter
from PIL import Image

import allaprima
from models import Style, StyleImage, load_engine

SIZE = (64, 48)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, str]:
    """A model with an IP-Adapter and a ControlNet."""
    pipeline = make_lcm(guidance_width=None)
    make_controlnet(pipeline.unet).save_pretrained(tmp_path / "control")
    return {
        "model": save(pipeline, tmp_path / "model"),
        "ip_adapter": save_ip_adapter(tmp_path / "adapter", pipeline.unet),
        "control": str(tmp_path / "control"),
    }


@pytest.mark.filterwarnings("ignore")
def test_style_pictures_change_while_frames_are_painted(
    saved: dict[str, str], tmp_path: Path
) -> None:
    frame, (sea, ink) = picture(1), (picture(2), picture(3))
    Image.fromarray(sea).save(tmp_path / "sea.png")
    with allaprima.Restyler(
        "fog",
        model=saved["model"],
        ip_adapter=saved["ip_adapter"],
        style_images=[tmp_path / "sea.png", StyleImage(ink, "ink", 0.4)],
        device="cpu",
        size=48,
        stability=0,
    ) as restyler:
        assert [(one.name, one.weight) for one in restyler.style_images] == [
            ("sea", 1.0),
            ("ink", 0.4),
        ]
        painted = [restyler(frame)]
        for name, value in (
            ("image_mix", "ink"),
            ("image_weight", 0.5),
            ("style_images", [sea]),
            ("style_images", []),
        ):
            if name == "style_images":
                restyler.image_mix = ""
            setattr(restyler, name, value)
            painted.append(restyler(frame))
        assert (restyler.style_images, restyler.image_weight) == ((), 0.5)
    for index, one in enumerate(painted):
        assert not any(np.array_equal(one, other) for other in painted[index + 1 :])


@pytest.mark.filterwarnings("ignore")
def test_structure_is_what_an_engine_makes_of_it(saved: dict[str, str]) -> None:
    frame = picture(1)
    structures = [f"canny={saved['control']}:0.8"]
    with allaprima.Restyler(
        "fog", model=saved["model"], structures=structures, device="cpu", size=48, stability=0
    ) as restyler:
        held = restyler(frame)
        style = Style("fog", restyler.strength, restyler.steps, restyler.guidance)
        restyler.structure_weight = 0.0
        assert not np.array_equal(restyler(frame), held)
    engine = load_engine(saved["model"], device="cpu", structures=structures)
    given = engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)
    assert np.array_equal(engine.paint(frame, *given), held)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"style_images": picture(1)}, TypeError, "expected a list of them"),
        ({"style_images": [7]}, TypeError, "got the picture 7"),
        ({"style_images": [picture(1)[..., 0]]}, ValueError, "expected uint8 RGB"),
        ({"image_weight": 3}, ValueError, r"got image_weight=3, expected 0 to 2"),
        ({"structure_weight": "much"}, TypeError, "got structure_weight='much', expected a number"),
        ({"style_images": [picture(1)], "image_mix": "sea"}, ValueError, "names of picture1"),
    ],
)
def test_what_steers_nothing_is_refused(
    options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        allaprima.Restyler("ink", model=FakeEngine(), **options)


def test_pictures_want_something_that_reads_them() -> None:
    restyler = allaprima.Restyler("ink", model=FakeEngine(), size=48)
    with pytest.raises(ValueError, match="made with ip_adapter"):
        restyler.style_images = [picture(1)]
