"""Governor: lowers the quality where the model is too slow for the frame rate, and raises it again.

    rungs, from the best:  steps ─► size of the model's picture ─► every 2nd, 3rd, … frame painted

`observe` takes the time of each painting and now and then returns a decision. It steps down at once
and as far as needed (the cost of a rung is predicted from the measured one). It steps up one rung
at a time, after a while with time to spare; a step up that failed is tried again after twice as
long. Pure: it reads no clock and starts no thread. Called by `stream.live.live_stylizer`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

GovernorMode = Literal["off", "latency", "quality", "effort"]
"""``latency`` gives up in the declared order, so that each frame is painted as long as can be;
``quality`` keeps steps and size and paints fewer frames; ``effort`` gives up steps and size only:
where frames come when something happens, the one left out might be the last."""

SIZE_SHARES = (1.0, 0.75)
"""The size buckets, as shares of the short side asked for: at half of it faces fall apart, and a
sharp painting that is carried along looks better than a blurred one of every frame."""

EVENT_SIZE_SHARES = (1.0, 0.75, 0.625, 0.5)
"""Likewise where the picture is painted once more, with nothing given up, as soon as it rests."""

INTERVALS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Each how many frames one is painted."""

FULL = 0.92
"""Share of the budget that p95 may take before something is given up."""

ROOM = 0.75
"""Share of the budget that the predicted p95 of a better rung must stay below."""

UP_AFTER_S = 3.0
"""How long there must be room before the first step up."""

UP_AFTER_LONGEST_S = 120.0
"""The longest that failed steps up can make it wait."""

PROOF_S = 10.0
"""A step up that is taken back within this time has failed."""

WINDOW = 24
"""Paintings that p95 is taken over: a second of a machine that keeps up."""

LEAST_SAMPLES = 4
LEAST_SPAN_S = 0.5
"""Paintings after a change before the next decision; fewer where they already took this long.
Until the window is full only a median that leaves the budget counts: one hiccup is no load."""

SPREAD = 1.15
"""p95 over the median of a calm machine; stands in for p95 until the window is full."""

STEP_SHARE = 0.6
"""Part of a one-step painting's time that another step costs again (the UNet's share)."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is asked of the machine.

    Attributes:
        steps: LCM steps at most.
        short_side_px: Short side that the model paints at.
        every: One of so many frames is painted; the others are moved pictures.
    """

    steps: int
    short_side_px: int
    every: int = 1

    def __str__(self) -> str:
        each = "every frame" if self.every == 1 else f"1 frame in {self.every}"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"{steps}, {self.short_side_px} px, {each}"

    def cost(self) -> float:
        """Predicted time of a painting, in units that only ratios make sense of."""
        return (1 + STEP_SHARE * (self.steps - 1)) * self.short_side_px**2


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of effort and why, in one sentence."""

    before: Effort
    after: Effort
    reason: str

    def __str__(self) -> str:
        return f"{self.before} -> {self.after}: {self.reason}"


def make_rungs(
    mode: GovernorMode, steps: int, short_side_px: int, multiple_px: int
) -> tuple[Effort, ...]:
    """The efforts to choose among, best first; one alone where the governor is off."""
    best = Effort(steps, short_side_px)
    if mode == "off":
        return (best,)
    rungs = [best]
    if mode in ("latency", "effort"):
        rungs += [Effort(fewer, short_side_px) for fewer in range(steps - 1, 0, -1)]
        shares = EVENT_SIZE_SHARES if mode == "effort" else SIZE_SHARES
        for share in shares[1:]:
            side = max(multiple_px, int(short_side_px * share / multiple_px) * multiple_px)
            if side < rungs[-1].short_side_px:
                rungs.append(Effort(1, side))
    if mode == "effort":
        return tuple(rungs)
    last = rungs[-1]
    rungs += [Effort(last.steps, last.short_side_px, every) for every in INTERVALS[1:]]
    return tuple(rungs)


class Governor:
    """Chooses among rungs by how long paintings take. Not thread-safe; one per stream.

    Args:
        rungs: Efforts, best first, of `make_rungs`.
        period_s: Seconds between frames at the rate to hold.
    """

    def __init__(self, rungs: Sequence[Effort], period_s: float) -> None:
        if not rungs or period_s <= 0:
            raise ValueError(f"got {len(rungs)} rungs, period_s={period_s}, expected some, above 0")
        self._rungs = tuple(rungs)
        self._period_s = period_s
        self._index = 0
        self._times_s: deque[float] = deque(maxlen=WINDOW)
        self._skip = 1  # the very first painting still warms caches
        self._room_since_s: float | None = None
        self._went_up_at_s: float | None = None
        self._patience_s: dict[Effort, float] = {}

    @property
    def effort(self) -> Effort:
        """What to paint with now."""
        return self._rungs[self._index]

    @property
    def best(self) -> Effort:
        """What would be painted with if nothing were given up."""
        return self._rungs[0]

    @property
    def level(self) -> int:
        """How many rungs are given up."""
        return self._index

    def rebase(self, rungs: Sequence[Effort]) -> None:
        """The user asked for other steps or another size: the best rung that is no dearer than
        what is painted now; the top stays the top.
        """
        effort, was_full = self.effort, self._index == 0
        self._rungs = tuple(rungs)
        alike = [i for i, rung in enumerate(self._rungs) if rung.every == effort.every]
        bearable = (i for i in alike if self._rungs[i].cost() <= effort.cost())
        self._index = 0 if was_full else next(bearable, alike[-1])
        self._forget()

    def disturbed(self) -> None:
        """The next painting's time says nothing (a new style was encoded): leave it out."""
        self._skip = max(self._skip, 1)

    def observe(self, duration_s: float, now_s: float) -> Decision | None:
        """Take note of one painting that ended at `now_s`; a decision where it is time for one."""
        if self._skip:
            self._skip -= 1
            return None
        self._times_s.append(duration_s)
        if len(self._times_s) < LEAST_SAMPLES and sum(self._times_s) < LEAST_SPAN_S:
            return None
        full = len(self._times_s) == WINDOW
        level_s = float(np.percentile(self._times_s, 95 if full else 50))
        if level_s > FULL * self._budget_s(self.effort):
            word = "p95" if full else "the median"
            return self._down(level_s if full else SPREAD * level_s, now_s, word)
        return self._up(level_s, now_s) if full else None

    def _budget_s(self, effort: Effort) -> float:
        return effort.every * self._period_s

    def _predicted_s(self, p95_s: float, effort: Effort) -> float:
        return p95_s * effort.cost() / self.effort.cost()

    def _down(self, p95_s: float, now_s: float, word: str) -> Decision | None:
        self._room_since_s = None
        worse = range(self._index + 1, len(self._rungs))
        if not worse:
            return None
        index = next(
            (
                i
                for i in worse
                if self._predicted_s(p95_s, self._rungs[i]) <= FULL * self._budget_s(self._rungs[i])
            ),
            worse[-1],
        )
        if self._went_up_at_s is not None and now_s - self._went_up_at_s < PROOF_S:
            patience_s = self._patience_s.get(self.effort, UP_AFTER_S)
            self._patience_s[self.effort] = min(2 * patience_s, UP_AFTER_LONGEST_S)
        self._went_up_at_s = None
        budget_ms = self._budget_s(self.effort) * 1e3
        return self._move(index, f"{word} leaves {budget_ms:.0f} ms: {p95_s * 1e3:.0f} ms at p95")

    def _up(self, p95_s: float, now_s: float) -> Decision | None:
        if self._went_up_at_s is not None and now_s - self._went_up_at_s >= PROOF_S:
            self._went_up_at_s = None
            self._patience_s.pop(self.effort, None)
        if self._index == 0:
            return None
        better = self._rungs[self._index - 1]
        predicted_s = self._predicted_s(p95_s, better)
        if predicted_s > ROOM * self._budget_s(better):
            self._room_since_s = None
            return None
        if self._room_since_s is None:
            self._room_since_s = now_s
        patience_s = self._patience_s.get(better, UP_AFTER_S)
        if now_s - self._room_since_s < patience_s:
            return None
        self._went_up_at_s = now_s
        reason = f"room for {patience_s:g} s, {predicted_s * 1e3:.0f} ms expected"
        return self._move(self._index - 1, reason)

    def _move(self, index: int, reason: str) -> Decision:
        before, self._index = self.effort, index
        self._forget()
        return Decision(before, self.effort, reason)

    def _forget(self) -> None:
        self._times_s.clear()
        self._room_since_s = None
        self._skip = 1  # the first painting at a new size allocates and warms up
