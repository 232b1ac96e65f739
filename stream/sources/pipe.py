"""PipeSource: a video from standard input, as FFmpeg's programs pipe it.

yuv4mpegpipe, NUT, Matroska, MPEG-TS and whatever else tells by itself what it is are recognised;
for rawvideo, which says nothing of itself, its pixel format, size and rate must be given.
"""

import os
import re
import select
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer

from stream.errors import SourceError
from stream.media.picture_sizes import check_pixels
from stream.media.safe_opening import FORMATS, whitelist
from stream.sources.pipe_ends import AnyEnd, PipeEnd, RawEnd, end_of, picture_bytes
from stream.sources.video import VideoSource

NAME = "standard input"
STDIN_FD = 0
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
LOOK_S = 0.2
"""How often a read that waits looks whether it was told to end."""

BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class RawVideo:
    """What rawvideo does not say of itself, in FFmpeg's words.

    Attributes:
        size: ``WxH``, in pixels.
        pixel_format: Such as ``yuv420p`` or ``rgb24``.
        rate: Frames a second.

    Raises:
        ValueError: Something is none of these.
    """

    size: str
    pixel_format: str
    rate: Fraction

    def __post_init__(self) -> None:
        found = SIZE.fullmatch(self.size)
        if found is None or 0 in (int(found[1]), int(found[2])):
            raise ValueError(f"got input_size={self.size}, expected WxH, e.g. 640x360")
        try:
            av.VideoFormat(self.pixel_format)
        except ValueError as err:
            raise ValueError(
                f"got pixel_format={self.pixel_format}, expected one of FFmpeg's, e.g. yuv420p"
            ) from err

    def picture_bytes(self) -> int:
        """Bytes of a picture.

        Raises:
            SourceError: It is too large.
        """
        width, height = (int(side) for side in self.size.split("x"))
        check_pixels(NAME, (width, height))
        return picture_bytes(self.pixel_format, width, height)


class PipeSource(VideoSource):
    """The pictures of a video on standard input; sound is not passed on. Not thread-safe, but for
    `interrupt`.

    Args:
        raw: How to take rawvideo; ``None`` for what says by itself what it is.

    Raises:
        SourceError: Nothing comes, or no video.
    """

    def __init__(self, raw: RawVideo | None = None) -> None:
        self.notes: list[str] = []
        self.losses: list[str] = []
        self._name = NAME
        self._container: InputContainer | None = None
        self._input = StandardInput(None if raw is None else RawEnd(raw.picture_bytes()))
        container = _open_pipe(self._input, raw)
        with ExitStack() as on_failure:
            on_failure.callback(container.close)
            self._start(container, None)
            on_failure.pop_all()
        if container.streams.audio:
            self.notes.append("The sound on standard input was left out; add it from its file.")
        self._container = container

    def _lost(self) -> list[str]:
        cut = [] if self._input.is_whole else ["Standard input was cut off within a picture."]
        return super()._lost() + cut

    def interrupt(self) -> None:
        self._input.stop()


class StandardInput:
    """Standard input as a file that cannot seek. `stop` from any thread, the rest from one.

    Args:
        end: Knows where the stream may end; ``None`` finds out by its first bytes.
    """

    def __init__(self, end: PipeEnd | None) -> None:
        self._end = end
        self._stopped = threading.Event()
        self._has_ended = False

    def read(self, size: int) -> bytes:
        """Some of the next bytes; none at the end, or after a `stop`."""
        while not self._stopped.is_set():
            if not _is_ready():
                continue
            data = os.read(STDIN_FD, size)
            if self._end is None:
                self._end = end_of(data)
            self._end.feed(data)
            self._has_ended |= not data
            return data
        return b""

    @property
    def is_whole(self) -> bool:
        """Whether it has ended where its format may end, or has not ended at all."""
        return not self._has_ended or (self._end or AnyEnd()).is_whole

    def stop(self) -> None:
        """End it for the reader, wherever it is."""
        self._stopped.set()


def _is_ready() -> bool:
    """Whether a read would not wait; where that cannot be told, it is said to be so."""
    if sys.platform == "win32":
        return True
    return bool(select.select([STDIN_FD], [], [], LOOK_S)[0])


def _open_pipe(file: StandardInput, raw: RawVideo | None) -> InputContainer:
    if sys.stdin is None or os.isatty(STDIN_FD):
        raise SourceError(
            "Nothing is piped to standard input; run it like ffmpeg -i clip.mp4 -f yuv4mpegpipe - "
            "| allaprima restyle - -o out.mp4."
        )
    try:
        if raw is None:
            options = whitelist(FORMATS, ())
            return av.open(file, "r", options=options, buffer_size=BUFFER_BYTES)
        options = {"pixel_format": raw.pixel_format, "video_size": raw.size}
        options["framerate"] = f"{raw.rate.numerator}/{raw.rate.denominator}"
        return av.open(file, "r", "rawvideo", options, buffer_size=BUFFER_BYTES)
    except (av.FFmpegError, MemoryError, OSError) as err:
        raise SourceError(
            "Standard input is no video that says what it is; pipe yuv4mpegpipe, nut or matroska, "
            "or give rawvideo with its pixel format, size and rate."
        ) from err
