"""Motion: where each pixel was one frame before, and how sure that is. Runs on the host.

Flow is dense inverse search (Kroeger et al., ECCV 2016) from OpenCV on reduced luma. *Backward*
flow w: what is at p now was at p + w(p) in the frame before. A pixel is trusted where it looks the
same at both ends, was inside the picture and was there at all: where flow squeezes, what it leads
to is too little for what there is now. That tells as much as a second flow that leads home (Ruder
et al., GCPR 2016, section 3.3), in a tenth of the time.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Luma = NDArray[np.uint8]

LEAST_SIDE_PX = 32
"""Below it there is nothing for the flow's patches of 8 px to hold on to."""

ADAPTED_PX = 64
"""Where both sides are shorter OpenCV changes the search's settings at its first use, for good."""

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

FINEST_SCALE = 1
"""The preset FAST is meant for pictures of twice the size: on half of it, one scale fewer is left
out, and the flow is the same."""

PATCH_STRIDE_PX, REFINEMENTS = 5, 2
"""Between patches of 8 px, and how often the flow is refined: FAST has 4 and 5. A third less time,
for 0.003 of relative flicker."""

LEAST_AREA = 0.8
"""Area in the frame before of what has an area of 1 now, below which something came into sight."""

NO_MAP: Any = None
"""Both coordinates are in the first map of a remap; OpenCV's stub knows no None."""

EDGE = cv2.BORDER_REPLICATE
SHIFT = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

BETTER = 0.2
"""By how much surer the main motion must be to be taken for the flow."""

TURNS = 2
"""Rounds in which a flow is turned round: each corrects it by what the one before led to."""


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
        self._search = _new_search()
        self._positions = np.zeros((0, 0, 2), np.float32)

    def estimate(self, now: Luma, then: Luma, noise: float) -> Motion:
        """The motion between two frames' luma, uint8 (H, W); given at half their size.

        Args:
            now, then: This frame and the one before.
            noise: Standard deviation of the sensor's noise, in levels.
        """
        half_now, half_then = _halved(now), _halved(then)
        sureness = _sureness(noise / 2)
        shape = half_now.shape
        if min(now.shape) < LEAST_SIDE_PX:
            flow = np.zeros((*shape, 2), np.float32)
            return Motion(flow, _same_look(half_now, half_then, sureness))
        at_rest = np.zeros((*shape, 2), np.float32)
        if max(shape) < ADAPTED_PX:
            self._search = _new_search()
        back = np.asarray(self._search.calc(half_now, half_then, at_rest), dtype=np.float32)
        source = self.positions(shape) + back
        seen = cv2.remap(half_then, source, NO_MAP, cv2.INTER_LINEAR, borderMode=EDGE)
        sure = _same_look(half_now, np.asarray(seen, dtype=np.uint8), sureness)
        sure[_is_outside(source) | _is_uncovered(source)] = 0
        flow, sure = self._with_background(half_now, half_then, Motion(back, sure), sureness)
        return Motion(_without_noise(flow), sure)

    def turned(self, motion: Motion, now: Luma, then: Luma, noise: float) -> Motion:
        """The same motion seen from the frame before: where its pixels are in this one.

        v(q) = -w(q + v(q)), the fixed point that inverts a field of displacements (Chen et al., A
        simple fixed-point approach to invert a deformation field, Medical Physics 2008), in less
        time than a search of its own. How sure it is comes from the looks at both ends, as ever.

        Args:
            motion: From `estimate`, of the same arguments.
        """
        half_now, half_then = _halved(now), _halved(then)
        here = self.positions(motion.flow.shape)
        ahead = -motion.flow
        for _ in range(TURNS):
            ahead = -_read(motion.flow, here + ahead)
        source = here + ahead
        seen = cv2.remap(half_now, source, NO_MAP, cv2.INTER_LINEAR, borderMode=EDGE)
        sure = _same_look(half_then, np.asarray(seen, dtype=np.uint8), _sureness(noise / 2))
        sure[_is_outside(source) | _is_uncovered(source)] = 0
        return Motion(ahead, sure)

    def _with_background(self, now: Luma, then: Luma, motion: Motion, sureness: Floats) -> Motion:
        """Where the flow fails but the picture's main motion explains the look, take that one.

        Flow is smooth: beside a moving thing it carries the background along.
        """
        if cv2.mean(motion.confidence)[0] > NEARLY_SURE:
            return motion
        main = _main_motion(motion.flow)
        seen = then
        if main.any():
            shift = np.column_stack([np.eye(2), main])
            size = (now.shape[1], now.shape[0])
            moved = cv2.warpAffine(then, shift, size, flags=SHIFT, borderMode=EDGE)
            seen = np.asarray(moved, dtype=np.uint8)
        sure = _same_look(now, seen, sureness)
        for axis, side in enumerate(now.shape):
            at = np.arange(side) + main[1 - axis]
            np.moveaxis(sure, axis, 0)[(at < 0) | (at > side - 1)] = 0
        better = sure > motion.confidence + np.float32(BETTER)
        np.copyto(motion.flow, main, where=better[..., np.newaxis])
        np.copyto(motion.confidence, sure, where=better)
        return motion

    def positions(self, shape: tuple[int, ...]) -> Floats:
        """x and y of every pixel, float32 (H, W, 2)."""
        if self._positions.shape[:2] != shape[:2]:
            y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
            self._positions = np.stack([x, y], axis=-1)
        return self._positions


def _read(flow: Floats, places: Floats) -> Floats:
    read = cv2.remap(flow, places, NO_MAP, cv2.INTER_LINEAR, borderMode=EDGE)
    return np.asarray(read, dtype=np.float32)


def _new_search() -> cv2.DISOpticalFlow:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(FINEST_SCALE)
    search.setPatchStride(PATCH_STRIDE_PX)
    search.setVariationalRefinementIterations(REFINEMENTS)
    return search


def _main_motion(flow: Floats) -> Floats:
    """The median of the flow, (x, y); exactly 0 where that is next to nothing."""
    few = np.ascontiguousarray(flow[::4, ::4].reshape(-1, 2).T)
    middle = few.shape[1] // 2
    main = np.array([np.partition(plane, middle)[middle] for plane in few], np.float32)
    return main if np.abs(main).max() >= STANDING_PX else np.zeros_like(main)


def _without_noise(flow: Floats) -> Floats:
    """Flow as small as its own noise is shrunk (Wiener): a shaking hand is not exaggerated."""
    x, y = cv2.split(flow)
    power = x * x + y * y
    power /= power + np.float32(FLOW_NOISE_PX**2)
    return np.asarray(cv2.merge([x * power, y * power]), dtype=np.float32)


def _halved(luma: Luma) -> Luma:
    height, width = luma.shape
    size = max(1, width // 2), max(1, height // 2)
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _sureness(noise: float) -> Floats:
    """How sure each of the 256 possible changes of a look leaves: (256,) in [0, 1]."""
    excess = np.maximum(np.arange(256) - LOOK_SIGMAS * noise, 0)
    return np.asarray(np.exp(-np.square(excess / LOOK_SOFTNESS)), dtype=np.float32)


def _same_look(now: Luma, seen: Luma, sureness: Floats) -> Floats:
    apart = cv2.blur(cv2.absdiff(now, seen), (LOOK_PX, LOOK_PX))
    return np.asarray(cv2.LUT(apart, sureness), dtype=np.float32)


def _is_outside(source: Floats) -> NDArray[np.bool_]:
    height, width = source.shape[:2]
    inside = cv2.inRange(source, (0.0, 0.0), (width - 1.0, height - 1.0))
    return np.asarray(inside == 0)


def _is_uncovered(source: Floats) -> NDArray[np.bool_]:
    """Where many pixels come from few: there something came into sight, and the flow is made up."""
    across = cv2.Sobel(source, -1, 1, 0, scale=1 / 8)
    down = cv2.Sobel(source, -1, 0, 1, scale=1 / 8)
    (x_across, y_across), (x_down, y_down) = cv2.split(across), cv2.split(down)
    area = x_across * y_down - y_across * x_down
    squeezed = (area < LEAST_AREA).view(np.uint8)
    return np.asarray(cv2.dilate(squeezed, np.ones((3, 3), np.uint8)) > 0)
