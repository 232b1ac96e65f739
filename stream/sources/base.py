"""Source: the base class of everything that frames are read from."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from stream.frame import Frame
from stream.media.sound import Sound
from stream.video_info import VideoInfo


class Source(ABC):
    """Gives frames one by one, in order of pts. A context manager and an iterable.

    Not thread-safe, but for `interrupt`: one thread reads and closes it.

    Attributes:
        info: What is known before the first frame.
        has_sound: True where sound comes beside the frames, by `sounds`: only in a live session
            that asked for it.
        can_wait: True where nothing is lost by reading later, so that a live session can load its
            model after the first frame and go on from there.
        ends: True where the end of the frames is an end: a camera's or a live stream's is a loss.
        damaged: True once something of the input turned out to be lost; final at the end.
        losses: What that is, in sentences that are among the notes too.
        notes: Sentences about what was met on the way (damage, assumptions); grows while reading.
    """

    info: VideoInfo
    has_sound: bool = False
    can_wait: bool = False
    ends: bool = False
    damaged: bool = False
    losses: Sequence[str] = ()
    notes: list[str]

    @abstractmethod
    def read(self) -> Frame | None:
        """The next frame, or ``None`` at the end (and ever after).

        Raises:
            SourceError: The input failed in a way that leaves nothing more to read.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the input. May be called twice."""

    def sounds(self) -> list[Sound]:
        """The sound that came with the frames read so far, at their media times; each piece once.
        Belongs to the thread that reads.
        """
        return []

    def interrupt(self) -> None:
        """Wake a `read` that waits for its time or for a lost device; from any thread."""
        return

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
