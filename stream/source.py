"""Source: where frames come from, and what opens one from a spec. Starts no thread.

spec                         source
---------------------------  ------------------------------
clip.mp4, any video file     stream.sources.video.VideoSource
testsrc[=size=640x360:...]   the same, from a lavfi generator
folder/ of pictures, *.png   stream.sources.images.ImageSource
picture.png                  the same, one frame
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from stream.frame import Frame, Size
from stream.sound import Sound

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""What a file must be called to be read or written as a picture."""

GENERATOR = re.compile(r"testsrc2?(=|$)")
"""The test patterns of lavfi that are offered as a source."""


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
        start_s: When the file's first picture or sound is due; a sink takes it off all times, so
            that its output starts at zero.
        sound: Whether sound will be given beside the frames, by `Sink.hear`.
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
    start_s: Fraction = Fraction(0)
    sound: bool = False


class Source(ABC):
    """Gives frames one by one, in order of pts. A context manager and an iterable.

    Not thread-safe, but for `interrupt`: one thread reads and closes it.

    Attributes:
        info: What is known before the first frame.
        is_live: True where a frame not read in time is lost (camera, stream), False for files.
        has_sound: True where sound comes beside the frames, by `sounds`: only in a live session
            that asked for it.
        can_wait: True where nothing is lost by reading later, so that a live session can load its
            model after the first frame and go on from there.
        damaged: True once something of the input turned out to be lost; final at the end.
        notes: Sentences about what was met on the way (damage, assumptions); grows while reading.
    """

    info: VideoInfo
    is_live: bool = False
    has_sound: bool = False
    can_wait: bool = False
    damaged: bool = False
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


def open_source(spec: str | Path, *, rate: Fraction | float | None = None) -> Source:
    """The source that a spec names (see the table above).

    Args:
        spec: A video file, a folder of pictures, a pattern such as ``shots/*.png``, a picture, or
            ``testsrc``/``testsrc2`` with lavfi's options.
        rate: Frames a second of a folder of pictures, 24 by default; a video has its own.

    Raises:
        SourceError: There is nothing of that name, or nothing that can be read.
        ValueError: `rate` is not positive, or the spec names a video, which has its own.
    """
    text = str(spec)
    path = Path(spec)
    if rate is not None and rate <= 0:
        raise ValueError(f"got rate={rate}, expected more than 0")
    pictures = path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES or _is_pattern(path)
    if pictures:
        from stream.sources.images import ImageSource

        return ImageSource(path, rate=rate)
    if rate is not None:
        raise ValueError(f"got rate={rate} for {text}, expected none: a video has its own")
    from stream.sources.video import VideoSource

    if GENERATOR.match(text) and not path.exists():
        return VideoSource(generator=text)
    return VideoSource(path)


def _is_pattern(path: Path) -> bool:
    return any(sign in str(path) for sign in "*?[") and not path.exists()
