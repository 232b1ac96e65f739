"""Pipes: standard input and output of file jobs, by what the options say of them.

What each format holds is in `stream.sources.pipe` and `stream.sinks.pipe`.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from stream.addresses import PIPE
from stream.offline.film import encoding_of
from stream.offline.options import RestyleOptions
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.video_info import VideoInfo

if TYPE_CHECKING:
    from stream.sources.pipe import RawVideo

RAW_RATE = 25.0
"""Frames a second of rawvideo unless given, as FFmpeg has it."""


class Pipes:
    """Opens the pipes of a file job.

    Args:
        options: What was asked.
    """

    def __init__(self, options: RestyleOptions) -> None:
        self._options = options

    def check(self, source: str, sink: str) -> None:
        """Refuse options that make no sense for these two.

        Raises:
            ValueError: They are of pipes, and there is none; or their values cannot be used.
        """
        options = self._options
        if options.input_size is not None and source != PIPE:
            raise ValueError(f"got input_size={options.input_size}, expected it with the input -")
        if options.output_format is not None and sink != PIPE:
            raise ValueError(
                f"got output_format={options.output_format}, expected it with the output -"
            )
        raw = self._raw() if source == PIPE else None
        if sink == PIPE:
            from stream.sinks.pipe import check_pipe

            check_pipe(self._format, encoding_of(options), options.pixel_format)
        if options.pixel_format is not None and raw is None and self._format != "rawvideo":
            raise ValueError(
                f"got pixel_format={options.pixel_format}, expected it with rawvideo in a pipe"
            )

    def open_source(self) -> Source:
        """Standard input.

        Raises:
            SourceError: As `PipeSource`.
        """
        from stream.sources.pipe import PipeSource

        return PipeSource(self._raw())

    def open_sink(self, info: VideoInfo) -> Sink:
        """Standard output.

        Raises:
            SinkError, ValueError: As `PipeSink`.
        """
        from stream.sinks.pipe import PipeSink

        options = self._options
        return PipeSink(
            info=info,
            format=self._format,
            encoding=encoding_of(options),
            pixel_format=options.pixel_format,
        )

    @property
    def _format(self) -> str:
        return self._options.output_format or "yuv4mpegpipe"

    def _raw(self) -> "RawVideo | None":
        """What standard input is, where that was said.

        Raises:
            ValueError: It cannot be.
        """
        options = self._options
        if options.input_size is None:
            return None
        from stream.sources.pipe import RawVideo

        rate = Fraction(options.framerate or RAW_RATE).limit_denominator(1001)
        return RawVideo(options.input_size, options.pixel_format or "yuv420p", rate)
