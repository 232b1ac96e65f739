"""LookAheadBuffer: holds frames of a file back, so that later frames can smooth or replace them.

    frame ─► a new shot? ─► wait ─► decide ─► in work ─► mix ┄► look ahead ─► interpolate ─► out
                                    one in `every`, the      │  `post_processing.py`, later
                                    first and the last of each shot,
                                    and what no flow finds in its neighbours

Shots are independent: each is painted as if the stream began with it, so that a video can be cut
there, painted in parts, and joined. What is held back is bounded, however long the shot.
Called by `stylizer.py`.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from stream.frame import Frame, Size
from stream.stats import Stats
from stream.stylizer.causal_order import (
    NO_PICTURE,
    Begin,
    CausalOrder,
    Data,
    Later,
    StreamBlend,
)
from stream.stylizer.post_processing import Group, PostProcessing, Waiting
from stream.temporal import Decision, Temporal, gate
from stream.temporal.interpolation import Interpolator
from stream.temporal.lookahead import Moment
from stream.temporal.settings import DEFAULTS, TemporalSettings
from stream.temporal.splitter import Splitter


class Taken(NamedTuple):
    """A frame that waits to be painted or not: what waits, its picture, and that reduced."""

    waiting: Waiting
    data: Data
    seen: gate.Seen


class LookAheadBuffer(CausalOrder):
    """Holds frames back for as long as later ones may change them.

    Args:
        begin: Begins to paint a picture of the model's size.
        stats: Where stage times and events go.
        settings: Expert settings of stability.
        in_work: As `CausalOrder` takes it.
        look_ahead: Smooth each picture by those after it.
        every: Paint one frame in so many; the others are made from their painted neighbours, or
            painted as well where much of them is in neither.
        carries_noise, blend: As `CausalOrder` takes them.

    Raises:
        ValueError: `every` is below 1.
    """

    def __init__(
        self,
        begin: Begin,
        stats: Stats,
        settings: TemporalSettings = DEFAULTS,
        *,
        in_work: int = 0,
        look_ahead: bool,
        every: int,
        carries_noise: bool = False,
        blend: StreamBlend = "picture",
    ) -> None:
        super().__init__(
            begin,
            stats,
            settings,
            in_work=in_work,
            sees_cuts=every == 1,
            carries_noise=carries_noise,
            blend=blend,
        )
        if every < 1:
            raise ValueError(f"got every={every}, expected 1 or more")
        self._every = every
        self._post = PostProcessing(stats, settings, look_ahead=look_ahead, every=every)
        self._interpolator = Interpolator()
        self._start: Fraction | None = None
        self._splitter = Splitter(settings.cut_difference)
        self._waiting: list[Taken] = []
        self._painted: gate.Look | None = None  # of the newest frame whose painting has begun
        self._stability = 0.0

    def _make_temporal(
        self, settings: TemporalSettings, blend: StreamBlend, *, sees_cuts: bool, looks: bool = True
    ) -> Temporal:
        return super()._make_temporal(settings, blend, sees_cuts=sees_cuts, looks=looks)

    def add(self, frame: Frame, data: Data, grid: Size, stability: float) -> list[Later]:
        """As `CausalOrder.add`."""
        seen, time = gate.see(data, grid), frame.pts * frame.time_base
        if self._every > 1 and self._splitter.starts_shot(seen, float(time)):
            self._cut()
        self._start = time if self._start is None else self._start
        waiting = Waiting(frame.replace(NO_PICTURE), seen.look, float(time - self._start))
        self._waiting.append(Taken(waiting, data, seen))
        self._stability = stability
        if self._painted is None or len(self._waiting) == self._every:
            self._paint_waiting()
        return self._put_off()

    def end_shot(self) -> None:
        """What is held back of the shot becomes ready, and is forgotten."""
        if self._waiting:
            self._paint_waiting()
        super().end_shot()
        self._later.append(self._post.end_shot)
        self._start = self._painted = None

    def repaint(self) -> None:
        """As `CausalOrder.repaint`; what is held back is painted as it was."""
        if self._waiting:
            self._paint_waiting()
        super().repaint()

    def _cut(self) -> None:
        self.end_shot()
        self._stats.count_event("cut")

    def _paint_waiting(self) -> None:
        """Begin the newest of the waiting frames, and those without which much would be made up."""
        waiting, self._waiting = self._waiting, []
        self._paint_last(waiting)

    def _paint_last(self, waiting: list[Taken]) -> None:
        """Begin the last of some frames in a row; where one amid them is lost, that one before."""
        *skipped, newest = waiting
        middle = len(skipped) // 2
        order = sorted(range(len(skipped)), key=lambda index: abs(index - middle))
        amid = next((i for i in order if self._is_lost(skipped[i], newest)), None)
        if amid is not None:
            self._stats.count_event("painted extra")
            self._paint_last(waiting[: amid + 1])
            self._paint_last(waiting[amid + 1 :])
        else:
            self._paint([taken.waiting for taken in skipped], newest)

    def _is_lost(self, skipped: Taken, newest: Taken) -> bool:
        if self._painted is None:
            return False
        with self._stats.stage("interpolate"):
            return self._interpolator.is_lost(self._painted, newest.seen.look, skipped.seen.look)

    def _paint(self, interpolated: Sequence[Waiting], taken: Taken) -> None:
        """Begin a frame; if all are painted, it may turn out to be the first of a shot."""
        newest, data, seen = taken
        grid = newest.look.grid
        decision = self._decide(data, grid, newest.time_s, self._stability, seen)
        if decision.is_cut:
            self._cut()
            self._start = newest.frame.pts * newest.frame.time_base
            newest = newest._replace(time_s=0.0)
            decision = self._decide(data, grid, newest.time_s, self._stability, seen)
        self._painted = newest.look
        then = partial(self._smooth, Group(newest.frame, interpolated), newest, self._stability)
        self._take_up(data, decision, then)

    def _smooth(
        self, group: Group, newest: Waiting, stability: float, shown: Data, decision: Decision
    ) -> None:
        """Let a picture wait for those after it, where they may change it."""
        moment = Moment(group, shown, newest.look, newest.time_s, decision)
        self._later.append(partial(self._post.add, moment, stability))
