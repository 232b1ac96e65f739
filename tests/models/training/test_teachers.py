"""The teachers: pure functions of picture and noise, with marks of their own, moved with both."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.fields import MARKS
from models.styles import STYLES
from models.training.teachers import PAINTERS, Sketch, frame_of, latent_noise, paint
from models.training.teachers.color import oklab, rgb_of
from models.training.teachers.prints import screen
from models.training.teachers.sheet import sheet

PROBE = Path(__file__).parents[2] / "probe"
SIDE = 256
SHIFT = 16
"""Pixels of the painting: one latent cell."""

BORDER = 48
"""Pixels from the border that a moved painting may differ in."""

Picture = NDArray[np.uint8]


@cache
def photograph() -> Picture:
    """An eye of the cat, (SIDE, SIDE + SHIFT, 3)."""
    bgr = cv2.imread(str(PROBE / "chelsea.jpg"))
    assert bgr is not None
    scale = (SIDE + SHIFT) / min(bgr.shape[:2])
    window = cv2.resize(bgr, None, fx=scale, fy=scale)[:SIDE, : SIDE + SHIFT]
    return np.ascontiguousarray(window[..., ::-1], np.uint8)


@cache
def noise() -> torch.Tensor:
    return latent_noise(3, SIDE // 2, (SIDE + SHIFT) // 2)


@cache
def sketches() -> tuple[Sketch, Sketch]:
    """The left window and the one a latent cell to the right, under the same noise."""
    photo = photograph()
    left = Sketch(np.ascontiguousarray(photo[:, :-SHIFT]), noise()[..., :-1])
    right = Sketch(np.ascontiguousarray(photo[:, SHIFT:]), noise()[..., 1:])
    return left, right


@cache
def painted(look: str) -> tuple[Picture, Picture]:
    left, right = sketches()
    return paint(look, left), paint(look, right)


def band(picture: Picture) -> NDArray[np.float32]:
    """The fine band (0.7 to 4 px) of the grey picture."""
    grey = picture.astype(np.float32).mean(2)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.7) - cv2.GaussianBlur(grey, (0, 0), 4.0))


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_every_look_has_a_painter_and_a_kind_of_marks() -> None:
    names = {style.prompt for style in STYLES}
    assert set(PAINTERS) == names
    assert set(MARKS) == names
    assert len(names) >= 24


def test_no_phrase_means_two_looks() -> None:
    phrases = [phrase for style in STYLES for phrase in (style.prompt, *style.synonyms)]
    assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize("look", PAINTERS)
def test_painting_is_a_picture_of_the_same_size(look: str) -> None:
    one, _ = painted(look)
    assert one.dtype == np.uint8
    assert one.shape == (SIDE, SIDE, 3)
    assert one.std() > 12


@pytest.mark.parametrize("look", PAINTERS)
def test_painting_moves_with_picture_and_noise(look: str) -> None:
    one, other = painted(look)
    inner = slice(BORDER, -BORDER)
    moved = one[inner, BORDER + SHIFT : -BORDER]
    kept = other[inner, BORDER : -BORDER - SHIFT]
    assert moved.shape == kept.shape
    assert correlation(band(moved), band(kept)) > 0.9
    assert np.abs(moved.astype(np.float32) - kept).mean() < 6


@pytest.mark.parametrize("look", PAINTERS)
def test_painting_has_marks_that_the_photograph_lacks(look: str) -> None:
    """Fine structure of its own: its band is little like the photograph's, or much stronger."""
    one, _ = painted(look)
    photo = sketches()[0].photo
    own, camera = band(one), band(photo)
    alike = correlation(own, camera) * min(1.0, float(camera.std() / own.std()))
    assert alike < 0.87


@pytest.mark.parametrize("look", ("oil painting", "stained glass", "linocut", "watercolor"))
def test_same_noise_same_painting_other_noise_other_strokes(look: str) -> None:
    one, _ = painted(look)
    photo = sketches()[0].photo
    again = paint(look, Sketch(photo, noise()[..., :-1]))
    assert np.array_equal(one, again)
    other = paint(look, Sketch(photo, latent_noise(4, SIDE // 2, SIDE // 2)))
    assert correlation(band(one), band(other)) < 0.9


def test_latent_noise_and_frame() -> None:
    assert torch.equal(latent_noise(5), latent_noise(5))
    assert latent_noise(5).shape == (1, 16, 32, 32)
    photo = np.zeros((4, 4, 3), np.uint8)
    photo[0, 0] = 200
    assert frame_of(photo)[0, 0, 0] == 50


def test_oklab_there_and_back() -> None:
    random = np.random.default_rng(0)
    rgb = random.random((16, 16, 3)).astype(np.float32)
    assert np.abs(rgb_of(oklab(rgb)) - rgb).max() < 0.01
    white = oklab(np.ones((1, 1, 3), np.float32))[0, 0]
    assert white == pytest.approx((1, 0, 0), abs=2e-3)


@pytest.mark.parametrize("period", (8.0, 16.0))
def test_halftone_repeats_with_the_latent_cell_and_inks_its_share(period: float) -> None:
    threshold = screen((64, 64), period)
    assert np.allclose(threshold[:, :48], threshold[:, 16:], atol=1e-4)
    for share in (0.2, 0.5, 0.8):
        assert (threshold < share).mean() == pytest.approx(share, abs=0.08)


def test_sheet_shows_every_look_asked_for() -> None:
    photo = cv2.resize(photograph(), (300, 280)).astype(np.uint8)
    made = sheet([photo, photo], ["charcoal"], side=64)
    assert made.shape == (2 * (64 + 18), 128, 3)
