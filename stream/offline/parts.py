"""Parts: where a film may be cut so that its pieces, painted by whomever, join to the same film.

    film   ├── part ──┼──── part ────┼── part ──┤
           0       sure cut       sure cut

A part begins at the first *sure cut* ten seconds or more after the one before began: a frame whose
content differs from the frame before by more than the threshold of `stream.temporal.shots`, or that
comes more than a second after it. It takes nothing but the frames to find one, and at every one of
them `stream.temporal` forgets what was before. No part begins where an automation is still changing
the look (`CutRule.closed`).
"""

import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.frame import Frame, Size
from stream.temporal import gate, shots
from stream.temporal.state import LONGEST_GAP_S

LEAST_PART_S = Fraction(10)
"""A part is at least this long, but for the last: a death costs little, an encoder loses little."""

LEAST_FRAMES = 2
"""Two key frames in a row would carry the same number in H.264."""

GAP_MARGIN_S = Fraction(1, 1_000_000)
"""A gap must pass the limit by this: elsewhere it is computed in floating point."""

ROWS = 16
"""Every such row of a picture goes into its digest."""


class Edge(NamedTuple):
    """A frame by which two readings of a film are compared: its pts and its digest."""

    pts: int
    crc: int

    @classmethod
    def of(cls, frame: Frame) -> "Edge":
        return cls(frame.pts, zlib.crc32(frame.data[::ROWS].tobytes()))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a film that is to be painted.

    Attributes:
        first: Its first frame.
        beyond: The first frame of the next part; ``None`` where the film ends.
    """

    first: Edge
    beyond: Edge | None

    @property
    def start(self) -> int:
        """pts of its first frame."""
        return self.first.pts

    @property
    def end(self) -> int | None:
        """pts of the first frame that is not in it."""
        return None if self.beyond is None else self.beyond.pts


@dataclass(frozen=True, slots=True)
class CutRule:
    """What it depends on where parts begin.

    Attributes:
        model_size: (width, height) that the frames are painted at.
        grid: (w, h) of the latents.
        cut_difference: Content difference, 0 to 255, above which a frame starts a new shot.
        least_s: How long a part is at least, in seconds.
        closed: Stretches of time in which no part may begin, both ends included: what shows there
            depends on pictures before it (a cross-fade, a still).
    """

    model_size: Size
    grid: Size
    cut_difference: float = shots.CUT_DIFFERENCE
    least_s: Fraction = LEAST_PART_S
    closed: tuple[tuple[Fraction, Fraction], ...] = ()

    def allows(self, time_s: Fraction) -> bool:
        """Whether a part may begin at this time."""
        return not any(start <= time_s <= end for start, end in self.closed)


class PartFinder:
    """Tells the first frames of parts. Sees the frames of a film in order, from the first frame of
    a part on. Not thread-safe.

    Args:
        rule: Where parts begin.
        start_s: When the part in work began, where its frames are not all seen: those from a
            while before the next may begin are enough.
    """

    def __init__(self, rule: CutRule, start_s: Fraction | None = None) -> None:
        self._rule = rule
        self._start = start_s
        self._before: Frame | None = None
        self._thumbnail: NDArray[np.uint8] | None = None  # of the frame before
        self._frames = 0 if start_s is None else LEAST_FRAMES

    def starts_part(self, frame: Frame) -> bool:
        """Whether this frame, the next, is the first of a part."""
        time_s, before, thumbnail = frame.pts * frame.time_base, self._before, self._thumbnail
        self._before, self._thumbnail = frame, None
        self._frames += 1
        if self._start is None:
            self._start = time_s
            return True
        if before is None:
            return False
        is_due = time_s - self._start >= self._rule.least_s and self._frames > LEAST_FRAMES
        is_due = is_due and self._rule.allows(time_s)
        if not is_due or not self._is_cut(frame, before, thumbnail):
            return False
        self._start, self._frames = time_s, 1
        return True

    def _is_cut(self, frame: Frame, before: Frame, thumbnail: NDArray[np.uint8] | None) -> bool:
        if (frame.pts - before.pts) * frame.time_base > Fraction(LONGEST_GAP_S) + GAP_MARGIN_S:
            return True
        then = self._reduced(before) if thumbnail is None else thumbnail
        self._thumbnail = self._reduced(frame)
        return shots.content_difference(self._thumbnail, then) > self._rule.cut_difference

    def _reduced(self, frame: Frame) -> NDArray[np.uint8]:
        data = geometry.resize(frame.data, self._rule.model_size)
        return shots.thumbnail(gate.reduced(data, self._rule.grid))
