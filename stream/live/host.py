"""LiveHost: one engine and the one thread that paints with it, for several live streams by turns.

    guests with a frame to paint ─► the one that was painted for least recently ─► its turn

Nobody waits for more than one turn of each other: whoever sends more has more dropped, at a guest's
own slot, which keeps the newest. When no guest has a frame waiting, what is due by time has its
turn: a canvas that has come to rest, a thumbnail. The loop is `run`; `turn` is one round of it.
Sessions (`stream.live.painting`) and the studio's seats are such guests.

The host measures how much of its time each guest takes. By that it says whether there is room for
another (`admit`), and to each guest's governor how much slower the others make it (`crowd`).
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stream.clock import Clock
from stream.errors import CapacityError

if TYPE_CHECKING:
    from models import Engine

IDLE_S = 0.5
"""How long the thread waits before it looks again where nothing is due."""

FULL = 0.8
"""Share of the engine's time that guests may need together when another is admitted."""

WINDOW_S = 2.0
"""Time that shares are measured over."""


class Guest(Protocol):
    """Somebody who has turns; all of it is called in the engine's thread but `has_frame`."""

    @property
    def has_frame(self) -> bool:
        """Whether a frame waits."""

    @property
    def due_at_s(self) -> float | None:
        """When it wants a turn although no frame waits; ``None`` for never."""

    def paint_frame(self, engine: "Engine") -> None:
        """Paint the frame that waits."""

    def paint_due(self, engine: "Engine") -> None:
        """Do what was due."""


@dataclass(slots=True)
class _Share:
    """What a guest has had.

    Attributes:
        rate: Frames a second that it was admitted with; 0 where it was not asked.
        painted_at_s: When its last turn ended.
        turns: End and length of its turns of late, in seconds.
    """

    rate: float = 0.0
    painted_at_s: float = float("-inf")
    turns: deque[tuple[float, float]] = field(default_factory=deque)

    def note(self, end_s: float, spent_s: float) -> None:
        self.painted_at_s = end_s
        self.turns.append((end_s, spent_s))
        self.forget(end_s)

    def forget(self, now_s: float) -> None:
        while self.turns and self.turns[0][0] < now_s - WINDOW_S:
            self.turns.popleft()

    @property
    def busy(self) -> float:
        """Share of the engine's time."""
        return sum(spent_s for _, spent_s in self.turns) / WINDOW_S


class LiveHost:
    """Turns of one engine. Any thread may call what is not said to belong to the engine's.

    Args:
        load: Loads and warms up the engine; called in the thread.
        on_ready: Called in the thread once it can paint.
        full: Share of the engine's time that `admit` lets guests need; ``inf`` admits all.
    """

    def __init__(
        self,
        load: "Callable[[], Engine]",
        *,
        clock: Clock,
        on_ready: Callable[[], None] = lambda: None,
        full: float = FULL,
    ) -> None:
        self._load = load
        self._full = full
        self._clock = clock
        self._on_ready = on_ready
        self._engine: Engine | None = None
        self._guests: dict[Guest, _Share] = {}
        self._at_work: Guest | None = None
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def is_ready(self) -> bool:
        """Whether it paints."""
        return self._engine is not None

    @property
    def engine(self) -> "Engine":
        """The engine, once it is loaded; for the engine's thread."""
        assert self._engine is not None
        return self._engine

    def admit(self, one: Guest, rate: float) -> None:
        """From now on it has turns, if there is room for so many frames a second.

        The need of each guest is its rate by the time that a frame takes, as measured of late.
        The first is always admitted.

        Raises:
            CapacityError: The engine would not keep up.
        """
        with self._changed:
            if self._guests and self._need(rate) > self._full:
                raise CapacityError(
                    f"{len(self._guests)} live streams leave this engine no room for {rate:g} "
                    "frames a second more; give fewer of them, a smaller size, or another machine."
                )
            self._guests[one] = _Share(rate)
            self._changed.notify_all()

    def add(self, one: Guest) -> None:
        """From now on it has turns, whether there is room or not; its first comes at once."""
        with self._changed:
            self._guests[one] = _Share()
            self._changed.notify_all()

    def remove(self, one: Guest, *, wait: bool = False) -> None:
        """No more turns.

        Args:
            wait: Return when a turn that it has just now is over; not in the engine's thread.
        """
        with self._changed:
            self._guests.pop(one, None)
            while wait and self._at_work is one:
                self._changed.wait()

    def wake(self) -> None:
        """Somebody has a frame."""
        with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        """End `run`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    # Shares

    def busy(self) -> float:
        """Share of the time of late that was painted in, 0 to 1."""
        with self._changed:
            self._forget()
            return sum(share.busy for share in self._guests.values())

    def crowd(self, one: Guest) -> float:
        """How many times longer than its turns a guest's paintings take, as the others have turns
        too: 1 alone, 2 where others take half of the time. Nobody counts for more than his part.
        """
        with self._changed:
            self._forget()
            others = [share.busy for guest, share in self._guests.items() if guest is not one]
        count = 1 + sum(busy > 0 for busy in others)
        return 1 / max(1 / count, 1 - sum(others))

    def _need(self, rate: float) -> float:
        """Share of the time that all would need with another guest of this rate."""
        self._forget()
        turns = [spent_s for share in self._guests.values() for _, spent_s in share.turns]
        frame_s = sum(turns) / len(turns) if turns else 0.0
        needs = [max(share.busy, share.rate * frame_s) for share in self._guests.values()]
        return sum(needs) + rate * frame_s

    def _forget(self) -> None:
        now_s = self._clock.now_s()
        for share in self._guests.values():
            share.forget(now_s)

    # The engine's thread

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
        engine = self.engine
        one, is_frame = self._next()
        if one is None:
            return False
        start_s = self._clock.now_s()
        try:
            if is_frame:
                one.paint_frame(engine)
            else:
                one.paint_due(engine)
        finally:
            self._end_turn(one, start_s, is_frame=is_frame)
        return True

    def _next(self) -> tuple[Guest | None, bool]:
        now_s = self._clock.now_s()
        with self._changed:
            waiting = [one for one in self._guests if one.has_frame]
            if waiting:
                self._at_work = min(waiting, key=lambda one: self._guests[one].painted_at_s)
                return self._at_work, True
            due = [
                one for one in self._guests if one.due_at_s is not None and one.due_at_s <= now_s
            ]
            self._at_work = due[0] if due else None
            return self._at_work, False

    def _end_turn(self, one: Guest, start_s: float, *, is_frame: bool) -> None:
        with self._changed:
            share, now_s = self._guests.get(one), self._clock.now_s()
            if is_frame and share is not None:
                share.note(now_s, now_s - start_s)
            self._at_work = None
            self._changed.notify_all()

    def _wait(self) -> None:
        with self._changed:
            now_s = self._clock.now_s()
            if self._stopped or any(one.has_frame for one in self._guests):
                return
            times_s = [one.due_at_s - now_s for one in self._guests if one.due_at_s is not None]
            self._changed.wait(max(0.0, min([IDLE_S, *times_s])))
