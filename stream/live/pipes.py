"""Pipes of a live session: standard input as its source, standard output among its outputs.

What comes in is played by its own times, as a file is. What goes out is NUT unless asked otherwise,
whose times are those of the session; formats without times get every frame of an even rate.
"""

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from stream.addresses import PIPE

if TYPE_CHECKING:
    from stream.sinks.base import Sink, VideoEncoding
    from stream.sources.pipe import RawVideo
    from stream.video_info import VideoInfo

FORMAT = "nut"
RAW_RATE = 25.0
"""Frames a second of rawvideo unless given, as FFmpeg has it."""


def check_pipes(options: Any) -> None:
    """Refuse options of pipes that make no sense together.

    Args:
        options: As `LiveOptions`.

    Raises:
        ValueError: They are of pipes, and there is none; or their values cannot be used.
    """
    reads, writes = options.source == PIPE, PIPE in options.outputs
    if options.output_format is not None and not writes:
        raise ValueError(
            f"got output_format={options.output_format}, expected it with the output -"
        )
    if reads and options.loop:
        raise ValueError("got loop=True, expected none: standard input comes once")
    for name, value, is_taken in (
        ("control", options.control, reads),
        ("json", options.json, writes),
    ):
        if value == PIPE and is_taken:
            raise ValueError(f"got {name}=-, which the pictures take, expected another")
    raw = raw_video(options) if reads else None
    if writes:
        from stream.sinks.pipe import check_pipe

        check_pipe(*_output(options.output_format, _encoding(options)), options.pixel_format)
    is_raw = raw is not None or options.output_format == "rawvideo"
    if options.pixel_format is not None and not is_raw:
        raise ValueError(
            f"got pixel_format={options.pixel_format}, expected it with rawvideo in a pipe"
        )


def raw_video(options: Any) -> "RawVideo | None":
    """What standard input is, where that was said.

    Raises:
        ValueError: It cannot be.
    """
    if options.camera_size is None:
        return None
    from stream.sources.pipe import RawVideo

    rate = Fraction(options.camera_rate or RAW_RATE).limit_denominator(1001)
    return RawVideo(options.camera_size, options.pixel_format or "yuv420p", rate)


def open_pipe_sink(
    info: "VideoInfo", format: str | None, encoding: "VideoEncoding", pixel_format: str | None
) -> "Sink":
    """Standard output.

    Raises:
        SinkError, ValueError: As `PipeSink`.
    """
    from stream.sinks.pipe import PipeSink

    name, encoding = _output(format, encoding)[:2]
    return PipeSink(
        info=info, format=name, encoding=encoding, pixel_format=pixel_format, is_live=True
    )


def _encoding(options: Any) -> "VideoEncoding":
    from stream.sinks.base import VideoEncoding

    return VideoEncoding(options.codec, options.crf, options.preset)


def _output(format: str | None, encoding: "VideoEncoding") -> "tuple[str, VideoEncoding]":
    """The format, and how its pictures are encoded: so that none is held back."""
    from stream.sinks.profiles import STREAM

    name = format or FORMAT
    quick = STREAM.get(encoding.codec or "libx264" if name == "matroska" else encoding.codec or "")
    if quick is None:
        return name, encoding
    return name, replace(
        encoding,
        crf=quick.crf if encoding.crf is None else encoding.crf,
        preset=encoding.preset or quick.preset,
        options=quick.options,
    )
