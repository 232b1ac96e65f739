"""Source: where frames come from, and what opens one from a spec. Starts no thread.

spec                         source
---------------------------  ------------------------------
clip.mp4, any video file     stream.sources.video.VideoSource
testsrc[=size=640x360:...]   the same, from a lavfi generator
folder/ of pictures          stream.sources.images.ImageSource
picture.png                  the same, one frame
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.frame import Frame, Size


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source knows of its pictures before the first is read; a sink opens by it.

    Attributes:
        size: (width, height) of the frames as read: upright, i.e. after any rotation tag has been
            applied.
        time_base: Seconds per unit of `Frame.pts`.
        rate: Average frames a second, ``None`` where there is none (a single picture).
        frame_count: Frames the source says it holds; an estimate for a progress bar, or ``None``.
        duration_s: Likewise, in seconds.
        sample_aspect_ratio: Width of a pixel over its height; 1 for square pixels.
        color_primaries, color_trc, colorspace: The source's H.273 code points (2 = unspecified).
        path: The file that holds further streams (sound, subtitles) to copy, else ``None``.
    """

    size: Size
    time_base: Fraction
    rate: Fraction | None = None
    frame_count: int | None = None
    duration_s: float | None = None
    sample_aspect_ratio: Fraction = Fraction(1)
    color_primaries: int = 2
    color_trc: int = 2
    colorspace: int = 2
    path: Path | None = None


class Source(ABC):
    """Gives frames one by one, in order of pts. A context manager and an iterable.

    Not thread-safe: one thread reads and closes it.

    Attributes:
        info: What is known before the first frame.
        is_live: True where a frame not read in time is lost (camera, stream), False for files.
        notes: Sentences about what was met on the way (damage, assumptions); grows while reading.
    """

    info: VideoInfo
    is_live: bool = False
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
