"""Gate: what changed is noticed, noise and light are not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import GRID, SIZE_PX, Picture, photograph, view, with_noise

from stream.temporal import gate


def changed(now: Picture, then: Picture, noise: float = 0.3) -> np.ndarray:
    looks = gate.look_at(now, GRID), gate.look_at(then, GRID)
    light = gate.exposure(looks[0].cells, looks[1].cells)
    return gate.changed_cells(*looks, noise, light)


def test_unchanged_picture_has_no_changed_cell() -> None:
    data = view(photograph(1))

    assert not changed(data, data).any()


@pytest.mark.parametrize("sigma", [1, 2, 4, 6, 8])
def test_sensor_noise_changes_no_cell(sigma: float) -> None:
    picture = view(photograph(1)) // 2 + 64
    looks = [gate.look_at(with_noise(picture, sigma, seed), GRID) for seed in range(12)]
    pixels = gate.pixel_change(looks[1].luma, looks[0].luma, GRID)
    noise = gate.sensor_noise(looks[1].luma, pixels)

    assert not any(gate.changed_cells(look, looks[0], noise).any() for look in looks[1:])


@pytest.mark.parametrize("sigma", [1.0, 3.0, 5.0])
def test_sensor_noise_is_estimated(sigma: float) -> None:
    """On a picture with flat parts, still or moving, to within a third."""
    flat = np.full((SIZE_PX, SIZE_PX), 120, np.uint8)
    flat[:, 100:] = photograph(1)[:SIZE_PX, : SIZE_PX - 100, 0]
    pair = [with_noise(flat, sigma, seed) for seed in (1, 2)]
    moved = np.roll(pair[1], 5, axis=0)

    for now in (pair[1], moved):
        estimate = gate.sensor_noise(now, gate.pixel_change(now, pair[0], GRID))
        assert estimate == pytest.approx(sigma, rel=0.34)


def test_moved_object_changes_its_cells_and_no_others() -> None:
    background = view(photograph(1)) // 3
    pictures = []
    for x in (40, 60):
        data = background.copy()
        data[100:140, x : x + 40] = 230
        pictures.append(data)

    cells = changed(pictures[1], pictures[0])

    assert cells[13:17, 5:7].all()  # where it was
    assert cells[13:17, 10:12].all()  # where it is
    assert not cells[:11].any() and not cells[19:].any()


def test_texture_that_moves_without_changing_its_mean_is_noticed() -> None:
    stripes = np.tile(np.array([100, 100, 140, 140], np.uint8), (SIZE_PX, SIZE_PX // 4))
    data = np.repeat(stripes[..., np.newaxis], 3, axis=2)
    moved = np.roll(data, 2, axis=1)
    assert np.abs(gate.look_at(data, GRID).cells - gate.look_at(moved, GRID).cells).max() < 1

    assert changed(moved, data).all()


@given(st.floats(0.6, 1.6), st.floats(-30, 30))
@settings(max_examples=30, deadline=None)
def test_exposure_is_told_though_a_quarter_of_the_picture_moves(gain: float, by: float) -> None:
    then = np.random.default_rng(0).uniform(40, 200, (32, 32, 3)).astype(np.float32)
    now = gain * then + by
    now[:8] = np.random.default_rng(1).uniform(0, 255, (8, 32, 3))

    measured = gate.exposure(now, then)

    assert measured == pytest.approx((gain, by), rel=0.05, abs=4)


def test_light_that_changes_everywhere_changes_no_cell() -> None:
    picture = view(photograph(1)).astype(np.float32) / 2 + 50
    brighter = (1.05 * picture + 2).round().astype(np.uint8)

    assert not changed(brighter, picture.round().astype(np.uint8), noise=0.5).any()


def test_light_shift_is_the_larger_end() -> None:
    then = np.repeat(np.linspace(0, 100, 101, dtype=np.float32)[:, None, None], 3, axis=2)

    assert gate.light_shift((1.1, 0.0), then) == pytest.approx(9)
    assert gate.light_shift((1.0, -3.0), then) == pytest.approx(3)


@pytest.mark.parametrize("level", [0, 255])
def test_flat_pictures_have_a_light_without_gain(level: int) -> None:
    cells = np.full((4, 4, 3), level, np.float32)

    assert gate.exposure(cells, cells) == (1.0, 0.0)
