"""EngineThread: the one thread that owns the model and paints for all seats, by turns.

    seats with something to paint ─► the one that was painted for least recently ─► its turn

Nobody waits for more than one turn of each other: whoever sends more has more dropped, at a seat's
own slot, which keeps the newest. When no seat has a picture waiting, what is due by time has its
turn: a canvas that has come to rest, a thumbnail. The loop is `run`; `turn` is one round of it.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from stream.clock import Clock
from stream.studio.options import MOST_SEATS

if TYPE_CHECKING:
    from models import Engine
    from stream.frame import Size

IDLE_S = 0.5
"""How long the thread waits before it looks again where nothing is due."""

LEAST_FPS = 8.0
"""What each seat should have of the engine's rate, where the number of seats is not given."""

CAMERA_SHARE = 9 / 8
TRIALS = 4
"""Paintings that the rate is measured by."""


class Painted(Protocol):
    """Somebody who has turns; all of it is called in the engine's thread but `has_frame`."""

    @property
    def has_frame(self) -> bool:
        """Whether a picture waits."""

    @property
    def due_at_s(self) -> float | None:
        """When it wants a turn although no picture waits; ``None`` for never."""

    def paint_frame(self, engine: "Engine") -> None:
        """Paint the picture that waits."""

    def paint_due(self, engine: "Engine") -> None:
        """Do what was due."""


class EngineThread:
    """Turns of one engine. `add`, `remove` and `wake` from any thread.

    Args:
        load: Loads and warms up the engine; called in the thread.
        on_ready: Called in the thread once it can paint.
    """

    def __init__(
        self,
        load: "Callable[[], Engine]",
        *,
        clock: Clock,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._load = load
        self._clock = clock
        self._on_ready = on_ready
        self._engine: Engine | None = None
        self._painted_at_s: dict[Painted, float] = {}
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def is_ready(self) -> bool:
        """Whether it paints."""
        return self._engine is not None

    def add(self, one: Painted) -> None:
        """From now on it has turns; its first comes at once."""
        with self._changed:
            self._painted_at_s[one] = float("-inf")
            self._changed.notify_all()

    def remove(self, one: Painted) -> None:
        """No more turns."""
        with self._changed:
            self._painted_at_s.pop(one, None)

    def wake(self) -> None:
        """Somebody has a picture."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def run(self) -> None:
        """Load, then give turns until `stop`.

        Raises:
            ModelError: The model cannot be loaded.
        """
        self.start()
        try:
            while not self._stopped:
                if not self.turn():
                    self._wait()
        finally:
            if self._engine is not None:
                self._engine.close()

    def start(self) -> None:
        """Load the model."""
        self._engine = self._load()
        self._on_ready()

    def turn(self) -> bool:
        """Give one turn; whether anybody wanted it."""
        engine = self._engine
        assert engine is not None
        one, is_frame = self._next()
        if one is None:
            return False
        if is_frame:
            one.paint_frame(engine)
        else:
            one.paint_due(engine)
        with self._changed:
            if is_frame and one in self._painted_at_s:
                self._painted_at_s[one] = self._clock.now_s()
        return True

    def _next(self) -> tuple[Painted | None, bool]:
        now_s = self._clock.now_s()
        with self._changed:
            waiting = [one for one in self._painted_at_s if one.has_frame]
            if waiting:
                return min(waiting, key=lambda one: self._painted_at_s[one]), True
            due = [
                one
                for one in self._painted_at_s
                if one.due_at_s is not None and one.due_at_s <= now_s
            ]
        return (due[0], False) if due else (None, False)

    def _wait(self) -> None:
        with self._changed:
            now_s = self._clock.now_s()
            if self._stopped or any(one.has_frame for one in self._painted_at_s):
                return
            times_s = [
                one.due_at_s - now_s for one in self._painted_at_s if one.due_at_s is not None
            ]
            self._changed.wait(max(0.0, min([IDLE_S, *times_s])))


def seats_for(rate: float) -> int:
    """How many people an engine of so many pictures a second can serve."""
    return max(1, min(MOST_SEATS, round(rate / LEAST_FPS)))


def camera_size(short_side_px: int) -> "Size":
    """(width, height) of a camera's pictures, for a model that works at this short side."""
    side = camera_side_px(short_side_px)
    return round(side * 16 / 9 / 16) * 16, side


def camera_side_px(short_side_px: int) -> int:
    """Likewise, the short side alone: a little more than the model sees, 288 for 256."""
    return round(short_side_px * CAMERA_SHARE / 16) * 16
