"""CausalOrder: paints the frames of one stream in order, each from itself and those before it.

    frame ─► decide ─► begin to paint ─► follow the motion ─► in work ─► mix ┄► out, later

Where nothing changed since the last frame, its picture is shown again and the model is not called.
Decisions need no painted pictures, so several frames may be in work at a time: a GPU paints some
while later ones are decided on. Live, none is in work, and each frame comes back at once. Pictures
here have the model's size. For files `look_ahead_buffer.py` extends this to later frames.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import Advance
from stream.frame import Frame, Size
from stream.stats import STILL, Stats
from stream.temporal import Decision, OnDevice, Temporal, TemporalSettings, gate
from stream.temporal.noise import Places
from stream.temporal.settings import DEFAULTS

Data = NDArray[np.uint8]

Painting = Callable[[], Data]
"""A picture to come; the call waits for it."""

Begin = Callable[[Data, Places | None, Advance | None], Painting]
"""Begins to paint a picture of the model's size, under noise that comes from these places; an
engine that remembers is told how the stream goes on."""

StreamBlend = Literal["picture", "latent", "both"]
"""Where the history is blended in: on the host, where the model runs, or both."""

Later = Callable[[], Iterable[Frame]]
"""The rest of the work on a painted picture; it returns the frames that are ready then. To be
called once and in order, in any one thread."""

NO_PICTURE: Data = np.empty((0, 0, 3), np.uint8)
"""Stands in a waiting frame for its source picture, which is not needed any more."""


STILLS = 4
"""Times the paintings in work, all frames in work at most."""


class Work(NamedTuple):
    """A frame that has been decided on.

    Attributes:
        decision: What was decided.
        painting: Its painting; ``None`` where the picture before is shown again.
        then: Takes the picture that is to be shown, and the decision.
    """

    decision: Decision
    painting: Painting | None
    then: "Then"


Then = Callable[[Data, Decision], None]
"""Takes a picture and, without its history, what was decided for it."""


class CausalOrder:
    """Takes the frames of a stream and gives each back once, in order. Not thread-safe.

    Args:
        begin: Begins to paint.
        stats: Where stage times and events go.
        settings: Expert settings of stability.
        in_work: How many frames may be in work while later ones are taken, and are held back.
        sees_cuts: Look for cuts; otherwise whoever calls `end_shot` does.
        carries_noise: Move the noise along with the picture.
        blend: Where the history is.
    """

    def __init__(
        self,
        begin: Begin,
        stats: Stats,
        settings: TemporalSettings = DEFAULTS,
        *,
        in_work: int = 0,
        sees_cuts: bool = True,
        carries_noise: bool = False,
        blend: StreamBlend = "picture",
    ) -> None:
        self._begin = begin
        self._stats = stats
        self._most_in_work = in_work
        self._carries_noise = carries_noise
        self._in_work: deque[Work] = deque()
        self._painting = 0  # of them
        self._later: list[Later] = []
        self._temporal = self._make_temporal(settings, blend, sees_cuts=sees_cuts)

    def _make_temporal(
        self,
        settings: TemporalSettings,
        blend: StreamBlend,
        *,
        sees_cuts: bool,
        looks: bool = False,
    ) -> Temporal:
        if blend == "picture":
            return Temporal(settings, sees_cuts=sees_cuts)
        self._carries_noise = False  # the device's business
        return OnDevice(settings, how=blend, looks=looks, sees_cuts=sees_cuts)

    def add(self, frame: Frame, data: Data, grid: Size, stability: float) -> list[Later]:
        """Take the next frame; what is left to do for those that are painted comes back.

        Args:
            frame: Its place in time counts, not its picture.
            data: uint8 RGB of the model's size.
            grid: (w, h) of the latents.
            stability: 0 to 1.
        """
        decision = self._decide(data, grid, frame.time_s, stability)
        if decision.is_cut:
            self._stats.count_event("cut")
        self._take_up(data, decision, partial(self._show, frame.replace(NO_PICTURE)))
        return self._put_off()

    def end_shot(self) -> None:
        """What comes next has nothing to do with what came until now."""
        self._complete(0)
        self._temporal.reset()

    def repaint(self) -> None:
        """What comes next is painted a little otherwise: nothing is shown again as it was."""
        self._complete(0)
        self._temporal.repaint()

    def finish(self) -> list[Later]:
        """The stream has ended: what is left to do for the rest of it. The next may be another."""
        self.end_shot()
        return self._put_off()

    def _decide(
        self,
        data: Data,
        grid: Size,
        time_s: float,
        stability: float,
        seen: gate.Seen | None = None,
    ) -> Decision:
        with self._stats.stage("decide"):
            return self._temporal.decide(data, grid, time_s, stability, seen)

    def _take_up(self, data: Data, decision: Decision, then: Then) -> None:
        """Begin a frame's picture, and wait for the oldest in work if there are too many."""
        painting = None
        if self._carries_noise and not decision.is_still:
            decision = self._followed(decision)
            painting = self._begin(data, self._temporal.noise_places(decision), None)
        elif not decision.is_still:
            painting = self._begin(data, None, decision.advance)
            decision = self._followed(decision)  # a GPU paints meanwhile
        self._in_work.append(Work(decision, painting, then))
        self._painting += painting is not None
        self._complete(self._most_in_work)

    def _followed(self, decision: Decision) -> Decision:
        if decision.trail is None:
            return decision
        with self._stats.stage("follow"):
            return self._temporal.follow(decision)

    def _complete(self, left: int) -> None:
        """Finish the oldest pictures until no more than `left` are being painted.

        Those that are shown again between them wait along, so many that none waits for ever.
        """
        while self._in_work and (self._painting > left or len(self._in_work) > STILLS * left):
            work = self._in_work.popleft()
            self._painting -= work.painting is not None
            work.then(self._shown(work), work.decision._replace(history=None, trail=None))

    def _shown(self, work: Work) -> Data:
        decision, canvas = work.decision, work.decision.canvas
        if work.painting is None:
            assert canvas is not None and canvas.shown is not None  # all before it are mixed
            self._stats.count_event(STILL)
            return canvas.shown
        painted = work.painting()
        with self._stats.stage("blend"):
            return self._temporal.mix(painted, decision)

    def _show(self, frame: Frame, shown: Data, _: Decision) -> None:
        self._later.append(lambda: [frame.replace(shown)])

    def _put_off(self) -> list[Later]:
        later, self._later = self._later, []
        return later
