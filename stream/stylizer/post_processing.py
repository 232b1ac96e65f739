"""PostProcessing: look-ahead smoothing and interpolation, after the pictures of a file are painted.

    painted moments ─► look ahead ─► interpolate ─► frames

Needs no model, so the session does it in another thread while the next frames are painted; on a GPU
it takes longer than painting. Called by `look_ahead_buffer.py`, in order.
"""

from collections.abc import Sequence
from typing import NamedTuple

from stream.frame import Frame
from stream.stats import Stats
from stream.temporal import gate
from stream.temporal.interpolation import Interpolator, Key
from stream.temporal.lookahead import LookAhead, Moment
from stream.temporal.settings import TemporalSettings


class Waiting(NamedTuple):
    """A frame that is not painted, or not yet; `time_s` begins with its shot."""

    frame: Frame
    look: gate.Look
    time_s: float


class Group(NamedTuple):
    """A painted frame and those before it that are not."""

    frame: Frame
    interpolated: Sequence[Waiting]


class PostProcessing:
    """Smooths the moments of one stream and makes the frames between them. Not thread-safe.

    Args:
        stats: Where stage times and events go.
        settings: Expert settings of stability.
        look_ahead: Smooth each picture by those after it.
        every: Frames from one moment to the next.
    """

    def __init__(
        self, stats: Stats, settings: TemporalSettings, *, look_ahead: bool, every: int
    ) -> None:
        self._stats = stats
        self._looks_ahead = look_ahead
        self._ahead: LookAhead[Group] = LookAhead(every, settings)
        self._interpolator = Interpolator()
        self._last: Moment[Group] | None = None

    def add(self, moment: Moment[Group], stability: float) -> list[Frame]:
        """Take the next moment of the shot; the frames that are ready come back.

        Args:
            stability: 0 to 1; as it was when the moment was decided on.
        """
        if not self._looks_ahead or stability == 0:
            return self._frames([*self._ahead.flush(), moment])
        with self._stats.stage("look ahead"):
            ready = self._ahead.push(moment, stability)
        return self._frames(ready)

    def end_shot(self) -> list[Frame]:
        """What is held back of the shot; it is forgotten."""
        frames = self._frames(self._ahead.flush())
        self._last = None
        return frames

    def _frames(self, moments: Sequence[Moment[Group]]) -> list[Frame]:
        """The frame of each moment, after those before it."""
        frames = []
        for moment in moments:
            for waiting in moment.item.interpolated:
                assert self._last is not None  # the first of a shot is painted
                frames.append(self._interpolate(self._last, moment, waiting))
            frames.append(moment.item.frame.replace(moment.shown))
            self._last = moment
        return frames

    def _interpolate(self, before: Moment[Group], after: Moment[Group], waiting: Waiting) -> Frame:
        share = (waiting.time_s - before.time_s) / (after.time_s - before.time_s)
        old, new = (Key(moment.shown, moment.look) for moment in (before, after))
        with self._stats.stage("interpolate"):
            data = self._interpolator.between(old, new, waiting.look, share)
        self._stats.count_event("interpolated")
        return waiting.frame.replace(data)
