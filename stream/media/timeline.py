"""Timeline: repairs presentation times that are missing, repeated or run backwards. Pure.

Sound times pass through untouched. A missing pts follows the previous frame by the usual interval;
a repeated or slightly earlier one goes one tick after it; a jump back of more than a quarter of a
second starts a new stretch of time where the old one ended, as it does for what is copied.
"""

from dataclasses import dataclass
from fractions import Fraction

JUMP_S = Fraction(1, 4)
"""A step back longer than this is another recording appended, not a frame out of order."""


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
    jumps: int = 0
    _last: int | None = None
    _offset: int = 0

    def place(self, pts: int | None, duration: int | None = None) -> int:
        """The pts to use for the next frame, in ticks."""
        last = self._last
        usual_next = 0 if last is None else last + self.interval
        placed = usual_next if pts is None else pts + self._offset
        if pts is None:
            self.missing += 1
        elif last is not None and placed <= last:
            placed = self._repair(placed, last, usual_next)
        elif last is not None:
            self.interval = placed - last
        self.interval = duration or self.interval
        self._last = placed
        return placed

    def _repair(self, placed: int, last: int, usual_next: int) -> int:
        if (last - placed) * self.time_base > JUMP_S:
            self.jumps += 1
            self._offset += usual_next - placed
            return usual_next
        self.misplaced += 1
        return last + 1

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
        if self.jumps:
            notes.append(
                "The clock of the video jumped back and was carried on, as is that of what is "
                f"copied: {self.jumps}."
            )
        return notes
