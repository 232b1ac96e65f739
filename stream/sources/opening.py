"""Opening a video: every way in which that fails, as one sentence that says what to do next."""

import re
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.media.picture_sizes import MOST_PIXELS, check_pixels
from stream.media.safe_opening import open_file, whitelist

GENERATOR_DEFAULTS = {"size": "640x360", "rate": "24", "duration": "10"}
"""What a test pattern looks like unless its spec says otherwise; it always ends."""

GENERATOR_SHORT_NAMES = {"s": "size", "r": "rate", "d": "duration"}
"""lavfi's own abbreviations of the same options."""

PLAIN_VALUES = re.compile(r"[\w=:./+#@-]*")
"""What can be a pattern's options; other signs could add filters, which read files."""


def open_video(path: Path) -> InputContainer:
    """
    Raises:
        SourceError: There is no such file, or it is not one that FFmpeg can read.
    """
    if not path.exists():
        raise SourceError(f"There is no file {path}; check the name.")
    if path.is_dir():
        raise SourceError(f"{path} is a folder; give a video file, or a folder of pictures.")
    if not path.is_file():
        raise SourceError(f"{path} is not a regular file; save the video to a file first.")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty; check that it was copied or recorded completely.")
    try:
        return open_file(path)
    except av.error.PermissionError as err:
        raise SourceError(f"{path} may not be read; check its permissions.") from err
    except (av.FFmpegError, MemoryError) as err:
        raise SourceError(
            f"{path} is not a video that can be read, or its beginning is damaged or its end is "
            "missing; check that it plays."
        ) from err


def open_generator(spec: str) -> InputContainer:
    """A test pattern; size, rate and duration have defaults.

    Raises:
        SourceError: libavfilter does not understand the spec.
    """
    if not PLAIN_VALUES.fullmatch(spec):
        raise SourceError(_not_understood(spec))
    name, _, given = spec.partition("=")
    options = dict(option.partition("=")[::2] for option in given.split(":") if option)
    named = {GENERATOR_SHORT_NAMES.get(key, key): value for key, value in options.items()}
    graph = ":".join(f"{key}={value}" for key, value in (GENERATOR_DEFAULTS | named).items())
    try:
        return av.open(f"{name}={graph}", format="lavfi", options=whitelist(("lavfi",), ()))
    except av.FFmpegError as err:
        raise SourceError(_not_understood(spec)) from err


def _not_understood(spec: str) -> str:
    return (
        f"The test pattern {spec!r} is not understood; write it like "
        "'testsrc=size=640x360:rate=24:duration=10'."
    )


def best_video_stream(container: InputContainer, name: str, notes: list[str]) -> VideoStream:
    """The largest video stream that is not a cover picture.

    Raises:
        SourceError: There is none, none with a decoder, or its pictures are too large.
    """
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not moving:
        cover = " but a cover picture" if container.streams.video else ""
        raise SourceError(f"{name} has no video stream{cover}; give a file with moving pictures.")
    readable = [stream for stream in moving if stream.codec_context is not None]
    if not readable:
        raise SourceError(
            f"There is no decoder for the video in {name}; convert it to H.264 first."
        )
    if len(moving) > 1:
        notes.append(f"The input holds {len(moving)} video streams; only the largest is used.")
    best = max(readable, key=lambda stream: stream.width * stream.height)
    check_pixels(name, (best.width, best.height))
    limit = {"max_pixels": str(MOST_PIXELS)}  # pictures may grow on the way
    best.codec_context.options = best.codec_context.options | limit
    return best
