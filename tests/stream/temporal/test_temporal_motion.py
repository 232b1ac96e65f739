"""Motion: direction, scale and fractions of a pixel against exact motion; what is not trusted."""

import cv2
import numpy as np
import pytest
from sequences import SIZE_PX, photograph, view

from stream.temporal.motion import FlowEstimator, Motion


def gray(data: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2GRAY))


@pytest.mark.parametrize("speed_px", [0.4, 3.3, 12.0])
def test_flow_points_to_where_things_were(speed_px: float) -> None:
    """The window moves right, so things move left and were further right."""
    canvas = photograph(4, side_px=SIZE_PX + 150)
    now, then = gray(view(canvas, 20 + speed_px)), gray(view(canvas, 20))

    motion = FlowEstimator().estimate(now, then, 0.5)

    inner = 2 * motion.flow[12:-12, 12:-12]  # flow is given at half the size
    assert np.median(inner[..., 0]) == pytest.approx(speed_px, rel=0.05, abs=0.12)
    assert np.median(inner[..., 1]) == pytest.approx(0, abs=0.05)
    assert np.median(motion.confidence[12:-12, 12:-12]) > 0.9


@pytest.mark.parametrize("speed_px", [0.4, 3.3, 12.0])
def test_a_turned_flow_points_to_where_things_will_be(speed_px: float) -> None:
    canvas = photograph(4, side_px=SIZE_PX + 150)
    now, then = gray(view(canvas, 20 + speed_px)), gray(view(canvas, 20))
    estimator = FlowEstimator()

    turned = estimator.turned(estimator.estimate(now, then, 0.5), now, then, 0.5)

    inner = 2 * turned.flow[12:-12, 12:-12]
    assert np.median(inner[..., 0]) == pytest.approx(-speed_px, rel=0.05, abs=0.12)
    assert np.median(turned.confidence[12:-12, 12:-12]) > 0.9
    leaves = max(0, round(speed_px / 2) - 2)
    assert turned.confidence[:, :leaves].sum() == 0


def test_a_turned_zoom_is_its_inverse_and_not_its_opposite() -> None:
    """p came from c + 0.9 (p - c): so q goes to c + (q - c) / 0.9."""
    side, flat = 64, np.full((128, 128), 127, np.uint8)
    estimator = FlowEstimator()
    off = estimator.positions((side, side)) - side / 2
    motion = Motion(-0.1 * off, np.ones((side, side), np.float32))

    turned = estimator.turned(motion, flat, flat, 0.5)

    inner = np.s_[12:-12, 12:-12]
    assert np.abs(turned.flow - off / 9)[inner].max() < 0.01
    assert np.abs(turned.flow + motion.flow)[inner].max() > 0.2
    assert turned.confidence[inner].min() > 0.99


def test_what_comes_into_the_picture_is_not_trusted() -> None:
    canvas = photograph(4, side_px=SIZE_PX + 150)

    motion = FlowEstimator().estimate(gray(view(canvas, 32)), gray(view(canvas, 20)), 0.5)

    assert motion.confidence[:, -4:].mean() < 0.1


def test_what_an_object_uncovers_takes_nothing_of_the_object() -> None:
    """The trusted part of what comes into sight is pulled from something that looks like it."""
    background = view(photograph(1)) // 3
    pictures = []
    for x in (60, 80):
        data = background.copy()
        data[96:160, x : x + 64] = photograph(2)[:64, :64] // 2 + 120
        pictures.append(gray(data))
    now, then = (cv2.resize(data, None, fx=0.5, fy=0.5) for data in pictures[::-1])

    estimator = FlowEstimator()
    motion = estimator.estimate(pictures[1], pictures[0], 0.5)

    source = estimator.positions(now.shape) + motion.flow
    apart = cv2.absdiff(now, cv2.remap(then, source, None, cv2.INTER_LINEAR)).astype(float)
    uncovered = np.s_[50:78, 31:38]
    assert cv2.absdiff(now, then)[uncovered].mean() > 40
    assert (motion.confidence * apart)[uncovered].mean() < 4
    assert np.median(motion.flow[55:73, 45:67, 0]) == pytest.approx(-10, abs=0.25)
    assert motion.confidence[55:73, 45:67].mean() > 0.8


def test_another_picture_is_not_trusted() -> None:
    one, other = gray(view(photograph(1))), gray(255 - view(photograph(2)))

    assert FlowEstimator().estimate(one, other, 0.5).confidence.mean() < 0.3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (31, 64), (32, 32), (40, 200)])
@pytest.mark.parametrize("level", [0, 127, 255])
def test_flat_and_tiny_pictures_have_finite_motion(size: tuple[int, int], level: int) -> None:
    data = np.full(size, level, np.uint8)

    motion = FlowEstimator().estimate(data, data, 0.5)

    assert np.isfinite(motion.flow).all() and np.abs(motion.flow).max() < 1
    assert motion.confidence.shape == tuple(max(1, side // 2) for side in size)


@pytest.mark.parametrize("side_px", [36, 64, 88, 128])
def test_an_estimator_that_was_used_finds_the_same(side_px: int) -> None:
    canvas = photograph(4, side_px=SIZE_PX + 150)
    now, then = (gray(view(canvas, 20 + by))[:side_px, :side_px].copy() for by in (2, 0))
    used = FlowEstimator()
    first = used.estimate(now, then, 0.5)
    again = used.estimate(now, then, 0.5)
    assert np.array_equal(first.flow, again.flow)
