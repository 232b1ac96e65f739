"""Gate: what changed is noticed, noise is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequences import GRID, RATE, SIZE_PX, decide_all, photograph, view, with_noise

from stream.temporal import gate
from stream.temporal.blend import history_weight


def test_unchanged_picture_is_trusted_everywhere() -> None:
    data = view(photograph(1))

    assert decide_all([data, data])[1].weight == pytest.approx(history_weight(1 / RATE, 0.5))


@pytest.mark.parametrize("sigma", [1, 2, 4, 8])
def test_sensor_noise_does_not_open_the_gate(sigma: float) -> None:
    picture = view(photograph(1)) // 2 + 64
    decisions = decide_all([with_noise(picture, sigma, seed) for seed in range(10)])

    full = history_weight(1 / RATE, 0.5)
    assert np.mean([decision.weight for decision in decisions[2:]]) > 0.97 * full


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


def test_moved_object_takes_the_new_paint_and_the_rest_keeps_the_old() -> None:
    background = view(photograph(1)) // 3
    pictures = []
    for x in (40, 60):
        data = background.copy()
        data[100:140, x : x + 40] = 230
        pictures.append(data)

    weight = decide_all(pictures)[1].weight

    assert weight is not None
    assert weight[13:17, 5:7].max() < 0.01  # where it was
    assert weight[13:17, 10:12].max() < 0.01  # where it is
    assert weight[:8].min() == pytest.approx(history_weight(1 / RATE, 0.5))


def test_texture_that_moves_without_changing_its_mean_is_noticed() -> None:
    stripes = np.tile(np.array([100, 100, 140, 140], np.uint8), (SIZE_PX, SIZE_PX // 4))
    data = np.repeat(stripes[..., np.newaxis], 3, axis=2)
    moved = np.roll(data, 2, axis=1)
    assert np.abs(gate.look_at(data, GRID).cells - gate.look_at(moved, GRID).cells).max() < 1

    weight = decide_all([data, moved])[1].weight

    assert weight is not None and weight.max() < 0.01


def test_slow_drift_is_noticed_before_it_adds_up() -> None:
    """A light that changes by half a level a frame never differs from the frame before."""
    picture = view(photograph(1)) // 2
    decisions = decide_all([picture + np.uint8(i // 2) for i in range(120)], stability=1)

    lags = []
    shown = 0.0
    for index, decision in enumerate(decisions):
        weight = 0.0 if decision.weight is None else float(decision.weight.mean())
        shown = weight * shown + (1 - weight) * (index // 2)
        lags.append(index // 2 - shown)
    assert max(lags) < 4


def test_confidence_falls_off_without_a_seam() -> None:
    means = np.zeros((16, 16), np.float32)
    means[8, 8] = 100
    confidence = gate.confidence(means, np.zeros_like(means), 1.0, 64)

    row = confidence[8]
    assert row[8] == 0
    assert np.abs(np.diff(row)).max() <= 0.34
    assert row[4] == row[12] == pytest.approx(1)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.3, 6),
    st.sampled_from([16.0, 64.0]),
)
@settings(max_examples=50, deadline=None)
def test_cell_is_never_trusted_more_than_it_was_alone(
    seed: int, noise: float, cell_px: float
) -> None:
    means = np.random.default_rng(seed).exponential(3, (12, 20)).astype(np.float32)
    confidence = gate.confidence(means, np.zeros_like(means), noise, cell_px)

    assert (confidence >= 0).all() and (confidence <= 1 + 1e-6).all()
    for row, column in ((0, 0), (5, 7), (11, 19)):
        same = np.full_like(means, means[row, column])
        alone = gate.confidence(same, np.zeros_like(same), noise, cell_px)[row, column]
        assert confidence[row, column] <= alone + 1e-6
