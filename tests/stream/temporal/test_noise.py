"""Noise that is carried along: by how much, where it starts anew, where it stays."""

import numpy as np

from stream.temporal.mixing import History
from stream.temporal.noise import carried, places

GRID = (12, 8)
FLOW_SHAPE = (16, 24)
"""A quarter of the frame, as the flow is: one of its pixels is two places."""


def history(flow_x: float | np.ndarray, sure: float = 1.0) -> History:
    flow = np.zeros((*FLOW_SHAPE, 2), np.float32)
    flow[..., 0] = flow_x
    weight = np.ones(FLOW_SHAPE, np.float32)
    return History(weight, flow, None, np.full(FLOW_SHAPE, sure, np.float32))


def test_what_never_moved_keeps_its_noise() -> None:
    assert carried(None, None, GRID) is None
    still = History(np.ones(FLOW_SHAPE, np.float32), None, None)
    assert carried(None, still, GRID) is None


def test_a_pan_adds_up() -> None:
    """What came from 0.75 places to the left in each of four frames came from three places away."""
    shift = None
    for _ in range(4):
        shift = carried(shift, history(-0.375), GRID)
    assert shift is not None
    moved = places(shift)
    y, x = np.mgrid[: 4 * GRID[1], : 4 * GRID[0]]
    assert (moved[..., 0] == x - 3).all() and (moved[..., 1] == y).all()


def test_noise_of_a_thing_moves_with_it_and_the_rest_stays() -> None:
    flow = np.zeros(FLOW_SHAPE, np.float32)
    flow[:, 12:] = -1
    moved = places(carried(None, history(flow), GRID))
    x = np.arange(4 * GRID[0])
    assert (moved[:, 30:, 0] == x[30:] - 2).all()
    assert (moved[:, :16, 0] == x[:16]).all()


def test_noise_starts_anew_where_motion_is_not_sure() -> None:
    shift = carried(None, history(-2.0), GRID)
    again = carried(shift, history(-2.0, sure=0.0), GRID)
    assert shift.any() and not again.any()


def test_noise_that_is_stretched_too_far_starts_anew() -> None:
    """A zoom: each frame takes its noise from nearer to the middle, until numbers would repeat."""
    x = np.arange(FLOW_SHAPE[1], dtype=np.float32) - FLOW_SHAPE[1] / 2
    shift, areas = None, []
    for _ in range(30):
        shift = carried(shift, history(-0.05 * x[None]), GRID)
        row = places(shift)[16, 8:-8, 0]
        areas.append(len(np.unique(row)) / len(row))
    assert min(areas) > 0.4
