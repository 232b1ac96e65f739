"""Timeline: repairs time stamps that are missing, repeated or run backwards. Pure.

Valid time stamps pass unchanged. A missing pts follows the previous frame by the usual interval;
a repeated or earlier one goes one tick after it. (A clock that jumps back was carried on before,
by `stream.media.demuxing`.)
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(slots=True)
class Timeline:
    """Gives each frame a pts later than the one before. Not thread-safe; one per stream.

    Attributes:
        time_base: Seconds per tick.
        interval: The distance to the next frame, in ticks, as far as is known: the last frame's
            duration, or the distance before it.
    """

    time_base: Fraction
    interval: int
    missing: int = 0
    misplaced: int = 0
    _last: int | None = None

    def place(self, pts: int | None, duration: int | None = None) -> int:
        """The pts to use for the next frame, in ticks."""
        last = self._last
        if pts is None:
            self.missing += 1
            pts = 0 if last is None else last + self.interval
        elif last is not None and pts <= last:
            self.misplaced += 1
            pts = last + 1
        elif last is not None:
            self.interval = pts - last
        self.interval = duration or self.interval
        self._last = pts
        return pts

    def notes(self) -> list[str]:
        """A sentence for each kind of repair made, for the user."""
        notes = []
        if self.missing:
            notes.append(f"Frames that had no time stamp and were spaced evenly: {self.missing}.")
        if self.misplaced:
            notes.append(
                f"Frames that had the time of an earlier one and were moved after it: "
                f"{self.misplaced}."
            )
        return notes
