"""Sink: the base class of everything that frames are written to."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import ClassVar, Self

from stream.frame import Frame
from stream.media.sound import Sound
from stream.sound_mode import SoundMode

NULL = "null"
"""The spec of a sink that keeps nothing."""


@dataclass(frozen=True, slots=True)
class VideoEncoding:
    """How a video is encoded, in ffmpeg's words; ``None`` leaves it to the codec or container.

    Attributes:
        codec: libx264 (default; libvpx-vp9 in .webm), libx265, libsvtav1, libvpx-vp9, ffv1,
            prores_ks, or any other video encoder of FFmpeg's.
        crf: Quality, 0 is best; the scale is the codec's.
        preset: Speed against size, by the codec's own names.
        pix_fmt: Pixel format, e.g. ``yuv420p10le``; yuv420p by default where the codec has it.
        options: Any further options of the encoder's.
        audio: Of the input's sound: ``copy`` where the container can hold it and encode the rest,
            ``encode`` all, or ``none``.
    """

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    audio: SoundMode = "copy"


class Sink(ABC):
    """Takes frames one by one, in order of pts. A context manager.

    Not thread-safe: one thread writes and closes it. What needs the first frame's size (an
    encoder) opens on the first `write`.

    Attributes:
        hears: True where sound is welcome.
        counts_itself: True where the sink counts in its statistics what has really gone out.
        took_last: Whether the last frame written went out; a sink that may drop one counts it.
        main_thread: True where only the main thread may write (a window).
        takes_preview: True where unpainted frames are welcome until the model is ready.
        backlog: Frames that may wait for it in a live session; beyond, the oldest is dropped. 1 is
            newest-only, for what is watched; a recording evens out its encoder's pace with more.
        notes: Sentences about what was and was not carried over; grows until `close`.
        losses: Those of them that tell what of the input is not in the output.
    """

    hears: bool = False
    counts_itself: ClassVar[bool] = False
    took_last: bool = True
    main_thread: ClassVar[bool] = False
    takes_preview: ClassVar[bool] = False
    backlog: int = 1
    notes: list[str]
    losses: Sequence[str] = ()

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

    def hear(self, sound: Sound) -> None:
        """Take a piece of sound that belongs to the frames; before the first of them that is later.

        Only where `hears`; there it may raise what `write` may.
        """
        return

    def idle(self) -> None:
        """Called again and again while no frame comes, where `main_thread`: look after events.

        Waits a few milliseconds, so that the loop around it does not spin.
        """
        return

    def end_early(self) -> None:
        """Called before `close`: the frames stopped before the source did (the user interrupted).

        What is copied beside them then stops where they do.
        """
        return

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
        if exc_type is None:
            self.close()
        elif issubclass(exc_type, KeyboardInterrupt):
            self.end_early()
            self.close()
        else:
            self.abort()
