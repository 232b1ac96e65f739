"""Clock: what time it is, and Pacer: how long to wait before a frame is due.

Everything in `stream` that reads the time or waits for it does so through a `Clock`, so that the
tests set the time themselves and never sleep. Starts no thread.
"""

import threading
import time

PAST_S = 0.5
"""A frame later than this is not chased: the pacer starts anew from it (a long stall)."""

AHEAD_S = 2.0
"""A frame further ahead than this is a jump in pts, not a gap to sit out."""

SLICE_S = 0.2
"""How long a Ctrl-C may have to wait where a wait does not hear it."""


class ReentrantEvent(threading.Event):
    """An event that a signal handler may set while the main thread waits for it, or sets it.

    The handler runs in the main thread, which may hold the event's lock at that moment: with the
    lock of `threading.Event` it would wait for itself for ever. To be waited for by `wait_for`,
    which looks again: a wait that has just begun may miss what the handler says.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cond = threading.Condition(threading.RLock())


class Clock:
    """Monotonic seconds from an arbitrary zero. Thread-safe; nothing in it changes."""

    def now_s(self) -> float:
        """Seconds by the finest monotonic clock there is (not the date)."""
        return time.perf_counter()

    def wait(self, stop: threading.Event, delay_s: float) -> bool:
        """Wait `delay_s` seconds or until `stop` is set; say whether it is set."""
        return wait_for(stop, delay_s)


def wait_for(event: threading.Event, limit_s: float = threading.TIMEOUT_MAX) -> bool:
    """Wait until an event is set, at most `limit_s` seconds; say whether it is.

    In slices: on Windows, before Python 3.14, a wait hears no Ctrl-C until it ends.
    """
    end_s = time.monotonic() + limit_s
    while not event.is_set():
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return False
        event.wait(min(left_s, SLICE_S))
    return True


class ManualClock(Clock):
    """A clock that stands still until a test moves it. Waiting moves it too. Thread-safe.

    Args:
        start_s: What it shows at first, in seconds.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._lock = threading.Lock()

    def now_s(self) -> float:
        return self._now_s

    def advance(self, by_s: float) -> None:
        """Move on by `by_s` seconds.

        Raises:
            ValueError: `by_s` is negative.
        """
        if by_s < 0:
            raise ValueError(f"got by_s={by_s}, expected 0 or more: this clock is monotonic")
        with self._lock:
            self._now_s += by_s

    def wait(self, stop: threading.Event, delay_s: float) -> bool:
        if not stop.is_set():
            self.advance(max(0.0, delay_s))
        return stop.is_set()


class Pacer:
    """Decides when a frame is due so that a file plays at its own speed. Reads no clock.

    The first frame is due at once and fixes the relation between media time and clock time. A
    jump in media time (backward, or further ahead than `ahead_s`) or a stall that leaves a frame
    more than `past_s` late fixes it anew; shorter delays are caught up. Not thread-safe; one per
    stream.
    """

    def __init__(self, *, past_s: float = PAST_S, ahead_s: float = AHEAD_S) -> None:
        self._past_s = past_s
        self._ahead_s = ahead_s
        self._offset_s: float | None = None
        self._last_time_s = 0.0

    def delay_s(self, time_s: float, now_s: float) -> float:
        """Seconds from `now_s` (clock) until the frame of `time_s` (media) is due; 0 if it is.

        Args:
            time_s: The frame's media time, `Frame.time_s`.
            now_s: The clock's reading, `Clock.now_s()`.
        """
        went_back = time_s < self._last_time_s
        self._last_time_s = time_s
        if self._offset_s is not None and not went_back:
            delay_s = time_s + self._offset_s - now_s
            if -self._past_s <= delay_s <= self._ahead_s:
                return max(0.0, delay_s)
        self._offset_s = now_s - time_s
        return 0.0

    def reset(self) -> None:
        """Forget the relation; the next frame is due at once."""
        self._offset_s = None
