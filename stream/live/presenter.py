"""Presenter: composes the output from source frame and painting: plain, split, frozen, bypassed.

    source frame, painting ─► picture of one size ─► fan-out      in order of pts, each once

Pictures that are too old for an output are dropped behind it, in `fan_out.py`. Thread-safe: the
thread that paints and the one that warps paintings both call it. Starts none.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.clock import Clock
from stream.frame import Frame, Size
from stream.live.controls import Look
from stream.live.fan_out import FanOut
from stream.stats import Stats
from stream.stylizer.regions import composed

SEAM_PX = 2
SEAM_RGB = (255, 255, 255)

Data = NDArray[np.uint8]


class Presenter:
    """Composes pictures and gives them to the fan-out. Thread-safe."""

    def __init__(self, fanout: FanOut, *, clock: Clock, stats: Stats) -> None:
        self._fanout = fanout
        self._clock = clock
        self._stats = stats
        self._lock = threading.Lock()
        self._last_pts: int | None = None
        self._shown: Data | None = None

    @property
    def started(self) -> bool:
        """Whether a painted picture has been shown."""
        return self._shown is not None

    def preview(self, frame: Frame) -> bool:
        """A frame as it is, for those who like to see something until the model is ready; whether
        it went out to any.
        """
        with self._lock:
            return self._shown is None and self._fanout.preview(frame)

    def show(
        self,
        frame: Frame,
        painted: Data | None,
        look: Look,
        size: Size,
        mask: Data | None = None,
    ) -> None:
        """One picture of `size` for this frame; dropped where a newer one has been shown.

        Args:
            frame: As the source gave it.
            painted: Its painting, or ``None``: then the frame itself goes out (a bypass).
            mask: As `Frame.mask` of the painting.
        """
        with self._lock:
            if self._last_pts is not None and frame.pts <= self._last_pts:
                self._stats.count_dropped("overtaken")
                return
            self._last_pts = frame.pts
            if not (look.freeze and self._shown is not None):
                self._shown = compose(frame, painted, look, size, mask)
            self._stats.count_out(frame.captured_at_s, self._clock.now_s())
            self._fanout.put(frame.replace(self._shown))


def compose(
    frame: Frame, painted: Data | None, look: Look, size: Size, mask: Data | None = None
) -> Data:
    """The picture that goes out, uint8 RGB of `size`."""
    if painted is None or look.bypass:
        return geometry.resize(frame.data, size)
    if mask is None and not look.split:
        return painted
    data = geometry.resize(frame.data, size)
    if mask is not None:
        painted = composed(data, painted, mask)
    if not look.split:
        return painted
    data = data.copy()
    middle = size[0] // 2
    data[:, middle:] = painted[:, middle:]
    data[:, middle - SEAM_PX // 2 : middle + SEAM_PX // 2] = SEAM_RGB
    return data
