"""A painter of known cost and without a model, for `latency.py` and `soak.py`."""

import threading

from stream.frame import Frame
from stream.live.controls import Look
from stream.live.governor import Effort
from stream.live.live_stylizer import LiveStylizer
from stream.live.motion_carry import Reference, make_reference


class TimedPainter(LiveStylizer):
    """Passes frames on after a fixed time, as a model on a device does: waiting, not computing."""

    def __init__(self, paint_s: float, short_side_px: int, every: int = 1) -> None:
        self._paint_s, self._effort = paint_s, Effort(1, short_side_px, every)
        self._reference: Reference | None = None
        self._never = threading.Event()

    @property
    def effort(self) -> Effort:
        return self._effort

    @property
    def reference(self) -> Reference | None:
        return self._reference

    def warm_up(self, source_size: tuple[int, int], look: Look) -> None:
        return

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int]:
        return source_size

    def is_due(self, frame: Frame) -> bool:
        return True

    def paint(self, frame: Frame, look: Look) -> Frame:
        self._never.wait(self._paint_s)
        self._reference = make_reference(frame, frame)
        return frame

    def close(self) -> None:
        return
