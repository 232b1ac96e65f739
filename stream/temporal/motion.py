"""Motion: where each pixel was one frame before, and how sure that is. Runs on the host.

Flow is dense inverse search (Kroeger et al., ECCV 2016) from OpenCV, in both directions, on
reduced luma. *Backward* flow w: what is at p now was at p + w(p) in the frame before. A pixel is
trusted where the way back leads home (Ruder et al., GCPR 2016, section 3.3), where it looks the
same at both ends, and where it was inside the picture.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Luma = NDArray[np.uint8]

LEAST_SIDE_PX = 32
"""Below it there is nothing for the flow's patches of 8 px to hold on to."""

HOME_SLACK_PX2 = 0.125
HOME_SHARE = 0.01
"""|w_b + w_f|^2 <= 0.01 (|w_b|^2 + |w_f|^2) + 0.5, in pixels of the luma given: a quarter of 0.5 in
those of half its size."""

LOOK_PX = 3
"""Side of the box over which two looks are compared."""

LOOK_SIGMAS = 1.5
LOOK_SOFTNESS = 9.0
"""Levels past the noise over which a changed look falls to 1/e."""


STANDING_PX = 0.05
"""Slower than this, the background stands."""

FLOW_NOISE_PX = 0.06
"""Standard deviation of the flow, in pixels of half the luma's size."""

NEARLY_SURE = 0.98
"""Mean confidence above which nothing is left for the main motion to mend."""

BETTER = 0.2
"""By how much surer the main motion must be to be taken for the flow."""


class Motion(NamedTuple):
    """What moved from the frame before to this one.

    Attributes:
        flow: float32 (H, W, 2), backward flow in pixels of its own size.
        confidence: float32 (H, W) in [0, 1].
    """

    flow: Floats
    confidence: Floats


class FlowEstimator:
    """Finds `Motion` between pictures of one size. Keeps buffers, no history."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grid: Floats | None = None

    def estimate(self, now: Luma, then: Luma, noise: float) -> Motion:
        """The motion between two frames' luma, uint8 (H, W); given at half their size.

        Args:
            now, then: This frame and the one before.
            noise: Standard deviation of the sensor's noise, in levels.
        """
        half_now, half_then, half_noise = _halved(now), _halved(then), noise / 2
        if min(now.shape) < LEAST_SIDE_PX:
            flow = np.zeros((*half_now.shape, 2), np.float32)
            return Motion(flow, _same_look(half_now, half_then, half_noise))
        back = self._flow(now, then, half_now.shape)
        forth = self._flow(then, now, half_now.shape)
        source = self.positions(half_now.shape) + back
        sure = _same_look(half_now, _pulled(half_then, source), half_noise)
        sure[_is_lost(back, _pulled(forth, source)) | _is_outside(source)] = 0
        motion = self._with_background(half_now, half_then, Motion(back, sure), half_noise)
        return Motion(_without_noise(motion.flow), motion.confidence)

    def _with_background(self, now: Luma, then: Luma, motion: Motion, noise: float) -> Motion:
        """Where the flow fails but the picture's main motion explains the look, take that one.

        Flow is smooth: beside a moving thing it carries the background along.
        """
        if float(motion.confidence.mean()) > NEARLY_SURE:
            return motion
        main = np.median(motion.flow[::2, ::2].reshape(-1, 2), axis=0).astype(np.float32)
        if np.abs(main).max() < STANDING_PX:
            main[:] = 0
        source = self.positions(now.shape) + main
        sure = _same_look(now, _pulled(then, source) if main.any() else then, noise)
        sure[_is_outside(source)] = 0
        better = sure > motion.confidence + np.float32(BETTER)
        motion.flow[better] = main
        return Motion(motion.flow, np.where(better, sure, motion.confidence))

    def positions(self, shape: tuple[int, ...]) -> Floats:
        """x and y of every pixel, float32 (H, W, 2)."""
        if self._grid is None or self._grid.shape[:2] != shape[:2]:
            y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
            self._grid = np.stack([x, y], axis=-1)
        return self._grid

    def _flow(self, now: Luma, then: Luma, shape: tuple[int, ...]) -> Floats:
        """Backward flow at a size of `shape`, half of that of `now`: it is smooth."""
        flow = self._dis.calc(now, then, np.zeros((*now.shape, 2), np.float32))
        half = cv2.resize(flow, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        return np.asarray(half, dtype=np.float32) * np.float32(0.5)


def _without_noise(flow: Floats) -> Floats:
    """Flow as small as its own noise is shrunk (Wiener): a shaking hand is not exaggerated."""
    power = _squared(flow)[..., np.newaxis]
    return np.asarray(flow * (power / (power + np.float32(FLOW_NOISE_PX**2))), dtype=np.float32)


def _halved(luma: Luma) -> Luma:
    height, width = luma.shape
    size = max(1, width // 2), max(1, height // 2)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _pulled(values: NDArray[Any], source: Floats) -> NDArray[Any]:
    x, y = cv2.split(source)
    return np.asarray(cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _same_look(now: Luma, seen: Luma, noise: float) -> Floats:
    apart = cv2.blur(cv2.absdiff(now, seen), (LOOK_PX, LOOK_PX))
    excess = np.maximum(apart.astype(np.float32) - np.float32(LOOK_SIGMAS * noise), 0)
    return np.asarray(np.exp(-np.square(excess / np.float32(LOOK_SOFTNESS))), dtype=np.float32)


def _is_lost(back: Floats, home: Floats) -> NDArray[np.bool_]:
    total = back + home
    limit = HOME_SHARE * (_squared(back) + _squared(home)) + np.float32(HOME_SLACK_PX2)
    lost = (_squared(total) > limit).astype(np.uint8)
    return cv2.dilate(lost, np.ones((3, 3), np.uint8)).astype(bool)


def _squared(flow: Floats) -> Floats:
    return np.asarray(flow[..., 0] ** 2 + flow[..., 1] ** 2, dtype=np.float32)


def _is_outside(source: Floats) -> NDArray[np.bool_]:
    height, width = source.shape[:2]
    x, y = source[..., 0], source[..., 1]
    return np.asarray((x < 0) | (y < 0) | (x > width - 1) | (y > height - 1))
