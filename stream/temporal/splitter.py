"""Splitter: finds the first frame of each shot where not every frame is painted.

The same signs as in `state`, but between a frame and the one just before it: what moves far between
two painted frames is no cut.
"""

import numpy as np
from numpy.typing import NDArray

from stream.temporal import gate, shots
from stream.temporal.motion import FlowEstimator
from stream.temporal.state import DOUBTED_SHARE, LONGEST_GAP_S

Data = NDArray[np.uint8]


class Splitter:
    """Sees the frames of one stream in order. Not thread-safe; one per stream.

    Args:
        cut_difference: Content difference above which a frame starts a new shot.
    """

    def __init__(self, cut_difference: float = shots.CUT_DIFFERENCE) -> None:
        self._cut_difference = cut_difference
        self._flow = FlowEstimator()
        self._before: tuple[Data, gate.Look, float] | None = None

    def starts_shot(self, seen: gate.Seen, time_s: float) -> bool:
        """Whether this frame belongs to another shot than the frame before.

        Args:
            seen: The frame, reduced; all of one size.
            time_s: Media time.
        """
        before, look, thumbnail = self._before, seen.look, shots.thumbnail(seen.small)
        self._before = thumbnail, look, time_s
        if before is None:
            return False
        then, look_then, then_s = before
        difference = shots.content_difference(thumbnail, then)
        if difference > self._cut_difference or not 0 < time_s - then_s <= LONGEST_GAP_S:
            return True
        return difference > shots.DOUBT_DIFFERENCE and self._is_lost(look, look_then)

    def _is_lost(self, now: gate.Look, then: gate.Look) -> bool:
        """Whether no flow leads from one to the other."""
        pixels = gate.pixel_change(now.luma, then.luma, now.grid)
        motion = self._flow.estimate(now.luma, then.luma, gate.sensor_noise(now.luma, pixels))
        return float((motion.confidence > 0.5).mean()) < DOUBTED_SHARE
