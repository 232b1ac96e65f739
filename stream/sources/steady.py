"""SteadySource: frames at a steady rate, whatever the source behind it waits for.

    thread "read":  inner.read() ──► newest few ──► read() of the session's thread, which gives the
                    (may hang)                      last frame once more where none came in time

Reading, and opening again what was lost, happen in a thread of their own: a server that is silent,
or a camera that hangs in its driver, stops no output. Starts that thread through `stream.workers`.
"""

import threading
from collections import deque
from collections.abc import Callable

from stream.clock import Clock, wait_for
from stream.frame import Frame
from stream.media.sound import Sound
from stream.sources.base import Source
from stream.workers import Step, meanwhile

NEWEST = 4
"""Frames that wait for the session; beyond, the oldest is dropped."""

USUAL_RATE = 24.0
SLOWEST, FASTEST = 10.0, 60.0
"""Frames a second at which the last one is repeated, whatever rate the source claims."""

PATIENCE_FRAMES = 3
LEAST_PATIENCE_S = 0.15
"""How long is waited for a frame before the last one is repeated: networks and cameras jitter."""

CATCH_UP_S = 0.5
"""A repetition that is late by less is made up for; the machine was busy."""

CLOSE_S = 0.3
"""How long is waited at the end for the thread that reads; then it is left behind, and closes the
source when it is let go."""


def aside(step: Step) -> None:
    """Take a step in a thread of its own."""
    meanwhile("read", step)


class Feed:
    """Reads a source, in whatever thread, and keeps the newest frames and all sound for another."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque(maxlen=NEWEST)
        self._sounds: list[Sound] = []
        self._error: Exception | None = None
        self.arrived = threading.Event()
        self.stopped = False
        self.ended = threading.Event()
        self.wanted = threading.Event()

    def run(self) -> None:
        """Read to the end, or until `stop`, and close the source.

        What can wait is read on from its second frame when that is `wanted`: until then a model may
        be loading.
        """
        goes_on = not self.stopped and self.step()
        if goes_on and self._inner.can_wait:
            wait_for(self.wanted)
        while goes_on and not self.stopped:
            goes_on = self.step()
        self.close()

    def step(self) -> bool:
        """Read once; whether there may be more."""
        try:
            frame = self._inner.read()
            sounds = self._inner.sounds()
        except Exception as err:  # raised in the thread that takes the frames
            self._error = err
            return False
        with self._lock:
            self._sounds += sounds
            if frame is not None:
                self._frames.append(frame)
                self.arrived.set()
        return frame is not None

    def take(self) -> tuple[Frame | None, list[Sound]]:
        """The oldest frame that waits, if any, and the sound that has come."""
        with self._lock:
            frame = self._frames.popleft() if self._frames else None
            sounds, self._sounds = self._sounds, []
            if not (self._frames or self.ended.is_set()):
                self.arrived.clear()
        return frame, sounds

    def raise_error(self) -> None:
        """Raise what ended the reading, once, if it was an error."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self) -> None:
        """End `run` as soon as the source lets go; from any thread."""
        self.stopped = True
        self.arrived.set()
        self.wanted.set()
        self._inner.interrupt()

    def close(self) -> None:
        """Close the source, in the thread that reads it."""
        try:
            self._inner.close()
        except Exception as err:
            self._error = self._error or err
        self.ended.set()
        self.arrived.set()


class SteadySource(Source):
    """Another source's frames, and its last one again and again while there are none. One thread
    reads and closes it; `interrupt` from any.

    Args:
        inner: What is read; from the first `read` on it belongs to the thread aside.
        aside: Runs a step in a thread of its own.
    """

    def __init__(
        self,
        inner: Source,
        *,
        clock: Clock,
        aside: Callable[[Step], None] = aside,
    ) -> None:
        self.info = inner.info
        self.has_sound = inner.has_sound
        self.can_wait = inner.can_wait
        self.notes = inner.notes
        self.feed = Feed(inner)
        self._clock = clock
        self._aside = aside
        rate = float(inner.info.rate or USUAL_RATE)
        self._interval_s = 1 / min(max(rate, SLOWEST), FASTEST)
        self._patience_s = max(PATIENCE_FRAMES * self._interval_s, LEAST_PATIENCE_S)
        self._is_started = False
        self._last: Frame | None = None
        self._due_s = 0.0
        self._heard: list[Sound] = []

    def read(self) -> Frame | None:
        if not self._is_started:
            self._is_started = True
            self._aside(self.feed.run)
        elif not self.feed.wanted.is_set():
            self.feed.wanted.set()
            self._due_s = self._clock.now_s() + self._patience_s
        while not self.feed.stopped:
            frame, sounds = self.feed.take()
            self._heard += sounds
            now_s = self._clock.now_s()
            if frame is not None:
                self._last, self._due_s = frame, now_s + self._patience_s
                return frame
            if self.feed.ended.is_set():
                self.feed.raise_error()
                return None
            if self._last is not None and now_s >= self._due_s:
                return self._repeated(self._last, now_s)
            wait_s = self._interval_s if self._last is None else self._due_s - now_s
            self._clock.wait(self.feed.arrived, wait_s)
        return None

    def _repeated(self, last: Frame, now_s: float) -> Frame:
        """The last frame again; the next repetition is due one interval after this one was."""
        due_s = self._due_s + self._interval_s
        self._due_s = due_s if now_s - due_s < CATCH_UP_S else now_s
        return last.replace(last.data, is_repeat=True)

    def sounds(self) -> list[Sound]:
        heard, self._heard = self._heard, []
        return heard

    def interrupt(self) -> None:
        self.feed.stop()

    def close(self) -> None:
        self.feed.stop()
        if self._is_started:
            wait_for(self.feed.ended, CLOSE_S)
        elif not self.feed.ended.is_set():
            self.feed.close()
