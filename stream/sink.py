"""Sink: where frames go, and what opens one from a spec. Starts no thread.

spec                        sink
--------------------------  ---------------------------------
painted.mp4, .mkv, .mov …   stream.sinks.video.VideoSink
folder/ (ends in a slash)   stream.sinks.images.ImageSink
picture.png                 the same, one frame
null                        stream.sinks.null.NullSink
"""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from stream.frame import Frame


class Sink(ABC):
    """Takes frames one by one, in order of pts. A context manager.

    Not thread-safe: one thread writes and closes it. What needs the first frame's size (an
    encoder) opens on the first `write`.

    Attributes:
        main_thread: True where only the main thread may write (a window).
        notes: Sentences about what was and was not carried over; grows until `close`.
    """

    main_thread: ClassVar[bool] = False
    notes: list[str]

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Take one frame.

        Raises:
            SinkError: The output cannot take it (disk full, encoder failure, …).
            ValueError: The frame's size differs from the first one's.
        """

    @abstractmethod
    def close(self) -> None:
        """Flush, finish and publish what was written. May be called twice.

        Raises:
            SinkError: The output could not be finished; no half file stands under the final name.
        """

    def abort(self) -> None:
        """Give up: let go of everything and publish nothing. May follow or precede `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None or issubclass(exc_type, KeyboardInterrupt):
            self.close()
        else:
            self.abort()
