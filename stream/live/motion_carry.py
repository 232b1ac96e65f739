"""Motion carry: warps the newest painted picture to the current frame, which is not painted.

    painted at t0, camera at t0 ──┐
                  camera at t1 ───┴─ optical flow ─► painted picture as of t1

Used where the model is too slow to paint every frame. The flow is dense inverse search (Kroeger et
al., ECCV 2016) on reduced luma. What was hidden at t0 is stretched from its surroundings. It only
knows the past; `stream.temporal.interpolation` is for frames between two painted ones.
"""

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame
from stream.temporal import blend

Luma = NDArray[np.uint8]

FLOW_SIDE_PX = 256
"""Long side of the pictures that are compared: a third of a millisecond, error below 0.1 px."""

LEAST_SIDE_PX = 32
"""Below it the flow's patches have nothing to hold on to; the picture then stands still."""


LOST_LEVELS = 20.0
"""Mean difference, in levels, of a frame from the one that moved there, from which nothing of that
is in it. In the clips that ship it is 14 at most after a second; between two scenes 55 and more."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A painted picture and the luma of the frame that it was painted from."""

    frame: Frame
    luma: Luma


class Carrier:
    """Moves reference pictures to other frames. Not thread-safe; one per thread."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def carry(self, reference: Reference, frame: Frame) -> Frame | None:
        """The painting, with its mask, as of `frame`, in its own size; ``None`` where the frame
        shows something else, after a cut.
        """
        luma = reduced_luma(frame)
        painted = reference.frame
        if luma.shape != reference.luma.shape or min(luma.shape) < LEAST_SIDE_PX:
            return painted
        at_rest = np.zeros((*luma.shape, 2), np.float32)
        flow = np.asarray(self._dis.calc(luma, reference.luma, at_rest), dtype=np.float32)
        seen = _moved(reference.luma, flow)
        apart = cv2.norm(luma, seen, cv2.NORM_L1) / luma.size
        if apart >= LOST_LEVELS:
            return None
        mask = None if painted.mask is None else blend.pulled(painted.mask, flow)
        return painted.replace(blend.pulled(painted.data, flow), mask=mask)


class MotionCarry:
    """Hands the newest reference from the thread that paints to the one that moves. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reference: Reference | None = None

    @property
    def reference(self) -> Reference | None:
        with self._lock:
            return self._reference

    @reference.setter
    def reference(self, reference: Reference | None) -> None:
        with self._lock:
            self._reference = reference


def make_reference(source: Frame, painted: Frame) -> Reference:
    """Remember what a picture was painted from."""
    return Reference(painted, reduced_luma(source))


def _moved(luma: Luma, flow: NDArray[np.float32]) -> Luma:
    height, width = luma.shape
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, np.newaxis]
    seen = cv2.remap(luma, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, dtype=np.uint8)


def reduced_luma(frame: Frame) -> Luma:
    """Brightness of a frame, uint8 (h, w), the long side at most `FLOW_SIDE_PX`."""
    factor = min(1.0, FLOW_SIDE_PX / max(frame.size))
    size = max(1, round(frame.width * factor)), max(1, round(frame.height * factor))
    small = cv2.resize(frame.data, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
