"""PacedSource: a file that plays by the clock, as a camera would, once or round and round."""

import threading
from collections.abc import Callable

from stream.clock import Clock, Pacer
from stream.frame import Frame
from stream.source import Source


class PacedSource(Source):
    """Gives each frame when it is due. Not thread-safe, but for `interrupt`.

    Args:
        open_inner: Opens the file; called again for each round.
        loop: Start anew at the end.

    Raises:
        SourceError: The file cannot be opened.
    """

    is_live = True
    can_wait = True

    def __init__(
        self, open_inner: Callable[[], Source], *, clock: Clock, loop: bool = False
    ) -> None:
        self._open_inner = open_inner
        self._clock = clock
        self._loop = loop
        self._stopped = threading.Event()
        self._pacer = Pacer()
        self._inner = open_inner()
        self._frames_this_round = 0
        self.info = self._inner.info
        self.notes: list[str] = self._inner.notes

    def read(self) -> Frame | None:
        frame = None if self._stopped.is_set() else self._inner.read()
        if frame is None and self._loop and self._frames_this_round and not self._stopped.is_set():
            self._rewind()
            frame = self._inner.read()
        if frame is None:
            return None
        self._frames_this_round += 1
        delay_s = self._pacer.delay_s(frame.time_s, self._clock.now_s())
        return None if self._clock.wait(self._stopped, delay_s) else frame

    def _rewind(self) -> None:
        self._inner.close()
        self._inner = self._open_inner()
        self._frames_this_round = 0

    def interrupt(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._inner.close()
