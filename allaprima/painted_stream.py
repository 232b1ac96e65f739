"""PaintedStream: the frames that `Restyler.stream` gives back. Starts no thread."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 RGB, shape (H, W, 3)."""

Handler = Callable[[int, FrameType | None], object] | int | None


class PaintedStream(Iterator[Picture]):
    """An iterator of painted frames. As a context manager it loses nothing to Ctrl-C:

        with restyler.stream(frames, look_ahead=True) as painted:
            for frame in painted:
                write(frame)

    There a first Ctrl-C ends the taking of frames; those that are held back are still painted and
    given, and KeyboardInterrupt is raised at the end of the block. A second one is raised at once.
    Python's own handler is replaced for as long, in the main thread; a program that has a handler
    of its own keeps it, and calls `stop`. Not thread-safe, but for `stop`.

    Args:
        push: Takes a frame, and gives those that are ready.
        finish: Gives what is held back.
        frames: What is taken, one by one.
    """

    def __init__(
        self,
        push: Callable[[Picture], Iterable[Picture]],
        finish: Callable[[], Iterable[Picture]],
        frames: Iterable[Picture],
    ) -> None:
        self._push = push
        self._finish = finish
        self._stopped = False
        self._interrupted = False
        self._before: Handler = None
        self._painted = self._paint(frames)

    def __next__(self) -> Picture:
        return next(self._painted)

    def stop(self) -> None:
        """Take no more frames: what is held back still comes. From any thread or handler."""
        self._stopped = True

    def _paint(self, frames: Iterable[Picture]) -> Iterator[Picture]:
        for frame in frames:
            yield from self._push(frame)
            if self._stopped:
                break
        yield from self._finish()

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = self._stopped = True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
        if self._interrupted and exc_type is None:
            raise KeyboardInterrupt
