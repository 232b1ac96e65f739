"""Sound: stereo samples and their time. SoundClock: converts a source's time to the session's.

    source: pictures at media times, when each came ──► how far apart the two times are
            pieces of sound at media times ──► pieces at session times, end to end

Sound is placed by the pictures that share its clock, never by the moment it arrived; that keeps
lips and voice together. Both clocks drift, and sound is stretched to follow, by too little to hear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOUND_RATE = 48_000
"""Samples a second, of all sound in here."""

CHANNELS = 2

JUMP_S = 0.2
"""A difference between the clocks that changes by more at once may be a new one: a source came
back, or a picture was late."""

LATE_S = 5.0
"""No picture is later than that."""

LATE_PICTURES = 12
"""So many late pictures in a row are not late: the source has fallen behind for good."""

FAR_S = 10.0
"""Sound is no further from its picture in any stream; where it seems so, its time is nonsense."""

SMOOTHING = 0.05
"""Weight of the newest picture in the difference: the jitter of twenty is averaged."""

HARD_S = 0.03
"""A piece further from its place is put there, with a gap or a cut: less than a frame's time."""

SOFT_S = 0.002
"""A piece nearer than this is where it should be."""

STRETCH = 250
"""One sample more or less in so many, in between: 7 cents."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound.

    Attributes:
        samples: int16, shape (n, 2), at `SOUND_RATE`. Never written to by a reader.
        position: When the first of them is due, in samples from the zero of its time line.
    """

    samples: NDArray[np.int16]
    position: int

    @property
    def end(self) -> int:
        """The position after the last sample."""
        return self.position + len(self.samples)

    def after(self, position: int) -> "Sound | None":
        """What of it is due at that position or later."""
        if position <= self.position:
            return self
        if position >= self.end:
            return None
        return Sound(self.samples[position - self.position :], position)

    def before(self, position: int) -> "Sound | None":
        """What of it is due before that position."""
        if position >= self.end:
            return self
        if position <= self.position:
            return None
        return Sound(self.samples[: position - self.position], self.position)


class SoundClock:
    """Puts one source's sound on a session's time line. Not thread-safe; reads no clock."""

    def __init__(self) -> None:
        self._difference_s: float | None = None
        self._session_s = 0.0
        self._pictures = 0
        self._late = 0
        self._next: int | None = None

    def anchor(self, media_s: float, session_s: float) -> None:
        """What the source dates `media_s` came at `session_s`."""
        difference_s = session_s - media_s
        self._session_s = session_s
        later_s = 0.0 if self._difference_s is None else difference_s - self._difference_s
        self._late = self._late + 1 if JUMP_S < later_s < LATE_S else 0
        if 0 < self._late < LATE_PICTURES:
            return
        if self._difference_s is None or abs(later_s) > JUMP_S:
            self._difference_s, self._pictures, self._late = difference_s, 0, 0
        self._pictures += 1
        weight = max(SMOOTHING, 1 / self._pictures)
        self._difference_s += weight * (difference_s - self._difference_s)

    def place(self, sound: Sound) -> Sound | None:
        """The piece at its place in the session, after the one before; ``None`` before any picture,
        or where there is no room for any of it.
        """
        if self._difference_s is None:
            return None
        due = sound.position + round(self._difference_s * SOUND_RATE)
        if abs(due - self._session_s * SOUND_RATE) > FAR_S * SOUND_RATE:
            return None
        late = 0 if self._next is None else due - self._next
        placed: Sound | None
        if self._next is None or abs(late) > HARD_S * SOUND_RATE:
            placed = Sound(sound.samples, due).after(self._next or 0)
        elif abs(late) > SOFT_S * SOUND_RATE:
            placed = Sound(stretched(sound.samples, 1 if late > 0 else -1), self._next)
        else:
            placed = Sound(sound.samples, self._next)
        if placed is not None:
            self._next = placed.end
        return placed


def stretched(samples: NDArray[np.int16], direction: int) -> NDArray[np.int16]:
    """The same sound in a few samples more (1) or less (-1): one in `STRETCH`, at least one."""
    count = len(samples)
    wanted = max(1, count + direction * max(1, count // STRETCH))
    places = np.linspace(0, count - 1, wanted)
    channels = [np.interp(places, np.arange(count), samples[:, one]) for one in range(CHANNELS)]
    return np.stack(channels, axis=1).round().astype(np.int16)
