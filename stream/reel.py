"""Reel: the frames of one stream in order, each painted and given back at once.

    frame ─► decide ─► paint ─► mix ─► out

Where nothing changed since the last frame, its picture is given out again and the model rests.
Pictures here have the model's size. `stream.film` is the reel of a stream whose future can be seen.
Called by `stream.stylizer`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame, Size
from stream.stats import Stats
from stream.temporal import Decision, Temporal, TemporalSettings
from stream.temporal.settings import DEFAULTS

Data = NDArray[np.uint8]


class Reel:
    """Takes the frames of a stream and gives each back once, in order. Not thread-safe.

    Args:
        paint: Paints a picture of the model's size.
        stats: Where stage times and events go.
        settings: Expert settings of stability.
        sees_cuts: Look for cuts; otherwise whoever calls `end_shot` does.
    """

    def __init__(
        self,
        paint: Callable[[Data], Data],
        stats: Stats,
        settings: TemporalSettings = DEFAULTS,
        *,
        sees_cuts: bool = True,
    ) -> None:
        self._paint = paint
        self._stats = stats
        self._temporal = Temporal(settings, sees_cuts=sees_cuts)

    def add(self, frame: Frame, data: Data, grid: Size, stability: float) -> list[Frame]:
        """Take the next frame; those that are ready come back.

        Args:
            frame: Its place in time counts, not its picture.
            data: uint8 RGB of the model's size.
            grid: (w, h) of the latents.
            stability: 0 to 1.
        """
        decision = self._decide(data, grid, frame.time_s, stability)
        if decision.is_cut:
            self._stats.count_event("cut")
        return [frame.replace(self._shown(data, decision))]

    def end_shot(self) -> None:
        """What comes next has nothing to do with what came until now."""
        self._temporal.reset()

    def finish(self) -> list[Frame]:
        """The stream has ended: what is still held back, if anything. The next may be another."""
        self.end_shot()
        return []

    def _decide(self, data: Data, grid: Size, time_s: float, stability: float) -> Decision:
        with self._stats.stage("decide"):
            return self._temporal.decide(data, grid, time_s, stability)

    def _shown(self, data: Data, decision: Decision) -> Data:
        """The picture of a frame that has been decided on."""
        if decision.is_still and self._temporal.shown is not None:
            self._stats.count_event("still")
            return self._temporal.shown
        painted = self._paint(data)
        with self._stats.stage("blend"):
            return self._temporal.mix(painted, decision)
