"""Geometry: model and output sizes, and the resizing between them."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.geometry import (
    MAX_AREA_RATIO,
    least_cell,
    model_size,
    output_sample_aspect_ratio,
    output_size,
    parse_output_size,
    resize,
)


@pytest.mark.parametrize(
    ("source", "short_side", "expected"),
    [
        ((512, 512), 512, (512, 512)),
        ((1920, 1080), 512, (912, 512)),  # 16:9 is 910.2 wide
        ((1080, 1920), 512, (512, 912)),
        ((640, 480), 256, (344, 256)),  # 4:3 is 341.3 wide
        ((64, 48), 512, (680, 512)),  # smaller than the model: painted larger
        ((1, 1), 512, (512, 512)),
        ((1920, 1080), 500, (896, 504)),  # the short side is rounded to a multiple, too
    ],
)
def test_model_size_keeps_the_aspect_ratio(
    source: tuple[int, int], short_side: int, expected: tuple[int, int]
) -> None:
    assert model_size(source, short_side, 8) == expected


def test_model_size_follows_the_display_aspect_ratio() -> None:
    """PAL 4:3 is stored as 720x576 with pixels 16/15 wide."""
    assert model_size((720, 576), 576, 8, Fraction(16, 15)) == (768, 576)


def test_anamorphic_pixels_can_turn_the_short_side() -> None:
    assert model_size((400, 500), 64, 8, Fraction(2)) == (104, 64)


@pytest.mark.parametrize("source", [(10_000, 1), (1, 10_000), (4000, 100), (100, 4000)])
def test_extreme_pictures_stay_affordable(source: tuple[int, int]) -> None:
    width, height = model_size(source, 512, 8)

    assert width * height <= 1.1 * MAX_AREA_RATIO * 512**2
    assert min(width, height) >= 8
    assert (width > height) == (source[0] > source[1])


@settings(deadline=None)
@given(
    source=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
    short_side=st.integers(1, 1200),
    multiple=st.sampled_from([8, 16, 64]),
    sample_aspect_ratio=st.fractions(Fraction(1, 3), Fraction(3), max_denominator=100),
)
def test_model_size_is_always_one_the_model_takes(
    source: tuple[int, int], short_side: int, multiple: int, sample_aspect_ratio: Fraction
) -> None:
    width, height = model_size(source, short_side, multiple, sample_aspect_ratio)

    assert width >= multiple and height >= multiple
    assert width % multiple == height % multiple == 0
    aspect = float(source[0] * sample_aspect_ratio / source[1])
    if max(aspect, 1 / aspect) <= 4 and short_side >= 4 * multiple:
        assert width / height == pytest.approx(aspect, rel=0.13)


def test_model_size_refuses_what_is_not_positive() -> None:
    with pytest.raises(ValueError, match=r"got source_size=\(0, 5\).*expected positive"):
        model_size((0, 5), 512, 8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("model", "model"), ("source", "source"), ("1280x720", (1280, 720)), ("1X1", (1, 1))],
)
def test_output_size_is_read(text: str, expected: object) -> None:
    assert parse_output_size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "12", "12x", "x12", "-1x5", "1.5x2", "1 x2", "big", "²x2"]
)
def test_wrong_output_size_says_what_is_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected model, source or WxH"):
        parse_output_size(text)


@pytest.mark.parametrize("text", ["0x5", "5x0", "99999x5"])
def test_output_size_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected sides of 1 to 16384"):
        parse_output_size(text)


def test_output_size_is_chosen() -> None:
    source, model = (641, 359), (640, 360)

    assert output_size("source", source, model) == source
    assert output_size("model", source, model) == model
    assert output_size((9, 7), source, model) == (9, 7)


@pytest.mark.parametrize(
    ("source", "pixel", "out", "expected"),
    [
        ((720, 576), Fraction(16, 15), (720, 576), Fraction(16, 15)),
        ((720, 576), Fraction(16, 15), (768, 576), Fraction(1)),
        ((1920, 1080), Fraction(1), (640, 480), Fraction(4, 3)),
        ((1920, 1080), Fraction(1), (912, 512), Fraction(1)),  # 0.2 % off: square
    ],
)
def test_output_keeps_the_display_aspect_ratio(
    source: tuple[int, int], pixel: Fraction, out: tuple[int, int], expected: Fraction
) -> None:
    assert output_sample_aspect_ratio(source, pixel, out) == expected


def test_resize_to_the_same_size_is_the_same_array() -> None:
    data = np.zeros((6, 8, 3), np.uint8)

    assert resize(data, (8, 6)) is data


@pytest.mark.parametrize("size", [(1, 1), (4, 3), (16, 12), (4, 12), (16, 3), (7, 5)])
def test_resize_gives_the_size_and_keeps_flat_colour(size: tuple[int, int]) -> None:
    data = np.full((6, 8, 3), (200, 30, 90), np.uint8)

    small = resize(data, size)

    assert small.shape == (size[1], size[0], 3)
    assert small.dtype == np.uint8
    assert (small == (200, 30, 90)).all()


def test_shrinking_averages_over_areas() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200

    assert (resize(stripes, (4, 4)) == 100).all()


@pytest.mark.parametrize("size", [(448, 256), (300, 200), (150, 84), (100, 100), (636, 356)])
def test_shrunk_picture_is_near_the_mean_of_its_areas(size: tuple[int, int]) -> None:
    """Of soft stripes; of those too fine for the new size hardly more is left over."""
    x = np.arange(640)
    soft, fine = (100 + 90 * np.sin(x / period) for period in (6.0, 0.4))
    pictures = [np.tile(row[:, None], (360, 1, 3)).astype(np.uint8) for row in (soft, fine)]

    small = [resize(data, size).astype(float) for data in pictures]
    means = [cv2.resize(data, size, interpolation=cv2.INTER_AREA) for data in pictures]

    assert np.abs(small[0] - means[0]).mean() < 1
    assert small[1].std() < 1.3 * means[1].std() + 0.1 * pictures[1].std()


def test_resize_is_repeatable() -> None:
    data = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)

    assert resize(data, (100, 30)).tobytes() == resize(data.copy(), (100, 30)).tobytes()


@pytest.mark.parametrize(
    ("output", "cell_px"),
    [
        ((448, 256), 8),
        ((449, 256), 10),
        ((640, 360), 12),
        ((400, 300), 10),
        ((896, 512), 16),
        ((1280, 720), 16),
        ((1, 1), 8),
    ],
)
def test_pictures_are_painted_no_larger_than_they_are_shown(
    output: tuple[int, int], cell_px: int
) -> None:
    assert least_cell((8, 10, 12, 14, 16), (56, 32), output) == cell_px
    assert least_cell((16,), (56, 32), output) == 16


def test_every_cell_that_is_painted_smaller_is_large_enough() -> None:
    for width in range(300, 1000, 7):
        cell_px = least_cell((8, 10, 12, 14, 16), (56, 32), (width, 200))
        assert cell_px * 56 >= min(width, 896)
        assert cell_px == 8 or (cell_px - 2) * 56 < width
