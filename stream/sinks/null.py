"""NullSink: takes frames and keeps none, for measuring and trying."""

from stream.frame import Frame
from stream.sinks.base import Sink


class NullSink(Sink):
    """Counts frames and forgets them.

    Attributes:
        frame_count: How many were written.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frame_count = 0

    def write(self, frame: Frame) -> None:
        self.frame_count += 1

    def close(self) -> None:
        """Nothing to finish."""
