"""PipeSink: writes video to standard output, as FFmpeg's programs take it.

format          what is written
--------------  ------------------------------------------------------------------------------
yuv4mpegpipe    pictures one after the other, 4:2:0, at one rate; no times, no sound
rawvideo        the same without any header, in the pixel format that is asked for
nut             FFmpeg's own container: times are kept; raw pictures unless a codec is given
matroska        the same with H.264 unless a codec is given

Nothing else reaches standard output meanwhile: see `stdout.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.media import colour
from stream.media.sound import Sound
from stream.sinks.base import Sink, VideoEncoding
from stream.sinks.encoding import EncodingPlan, plan_encoding
from stream.sinks.muxing import DEFAULT_RATE, SCALING, Muxer
from stream.sinks.stdout import PipeFile
from stream.video_info import VideoInfo

FORMATS = ("yuv4mpegpipe", "rawvideo", "nut", "matroska")
ENCODED = ("nut", "matroska")
PLANAR_420 = "yuv420p"
TIMELESS = "yuv4mpegpipe and rawvideo hold no times, and the frames come unevenly: they will drift"


class PipeSink(Sink):
    """Writes one video to standard output. Not thread-safe.

    Args:
        info: The source's; NUT and Matroska copy its file's other streams.
        format: One of `FORMATS`.
        encoding: Codec and quality, for NUT and Matroska.
        pixel_format: Of rawvideo; ``None`` is yuv420p.
        is_live: Frames come as a session shows them, and sound by `hear`. Where there are no times,
            one is written again or left out, so that the rate is even.

    Raises:
        SinkError: Standard output is a terminal, or there is no such encoder.
        ValueError: No such format or pixel format.
    """

    def __init__(
        self,
        *,
        info: VideoInfo,
        format: str = FORMATS[0],
        encoding: VideoEncoding | None = None,
        pixel_format: str | None = None,
        is_live: bool = False,
    ) -> None:
        self._plan = check_pipe(format, encoding, pixel_format)
        self._file = PipeFile()
        if self._file.is_terminal:
            raise SinkError("Standard output is a terminal; pipe it into a program that reads it.")
        self.notes: list[str] = []
        self._info = info
        self._sound = (encoding or VideoEncoding()).audio
        self._rate = info.rate or DEFAULT_RATE
        self._format = format
        is_raw = format == "rawvideo"
        self._written = pixel_format if is_raw and pixel_format else PLANAR_420
        self._first: Frame | None = None
        self._count = 0
        self._size: Size | None = None
        self._reformatter = VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        self._muxer: Muxer | None = None
        self._early = self._done = False
        self._is_live, self._last = is_live, b""
        self.hears = is_live and info.sound and self._plan is not None

    def write(self, frame: Frame) -> None:
        if self._size not in (None, frame.size):
            raise ValueError(f"got a frame of {frame.size}, expected {self._size} as the first")
        is_first, self._size = self._size is None, frame.size
        if self._plan is not None:
            with _ffmpeg_errors():
                self._mux(frame)
            return
        if is_first and self._format == "yuv4mpegpipe":
            self._file.write(self._header(frame.size))
        if self._is_live:
            self._write_evenly(frame)
            return
        self._look_at_time(frame)
        self._write_pixels(self._pixels(frame))

    def hear(self, sound: Sound) -> None:
        if self._muxer is not None and not self._done:
            with _ffmpeg_errors():
                self._muxer.hear(sound)

    def _write_evenly(self, frame: Frame) -> None:
        """Write a frame at its place in an even rate, and the one before up to there."""
        self._first = self._first or frame.replace(frame.data[:0])
        place = round((frame.time_s - self._first.time_s) * float(self._rate))
        self.took_last = place >= self._count
        if not self.took_last:
            return
        while self._count < place:
            self._write_pixels(self._last)
        self._last = self._pixels(frame)
        self._write_pixels(self._last)

    def _write_pixels(self, pixels: bytes) -> None:
        if self._format == "yuv4mpegpipe":
            self._file.write(b"FRAME\n")
        self._file.write(pixels)
        self._count += 1

    def _look_at_time(self, frame: Frame) -> None:
        """Say once where a frame is not where it will be taken to be."""
        self._first = self._first or frame.replace(frame.data[:0])
        due_s = self._first.time_s + self._count / float(self._rate)
        if abs(frame.time_s - due_s) > 1 / float(self._rate) and not self.notes:
            self.notes.append(f"{TIMELESS} from the sound; nut and matroska keep them.")

    def _mux(self, frame: Frame) -> None:
        if self._muxer is None:
            assert self._plan is not None
            self._muxer = Muxer(
                self._file,
                plan=self._plan,
                info=self._info,
                size=frame.size,
                time_base=frame.time_base,
                notes=self.notes,
                sound=self._sound,
            )
        self._muxer.write(frame)

    def _header(self, size: Size) -> bytes:
        """The stream header of YUV4MPEG2 (mjpegtools, yuv4mpeg(5)), with FFmpeg's colour range."""
        rate = self._rate
        aspect = self._info.sample_aspect_ratio
        return (
            f"YUV4MPEG2 W{size[0]} H{size[1]} F{rate.numerator}:{rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator} C420mpeg2 XYSCSS=420MPEG2 "
            "XCOLORRANGE=LIMITED\n"
        ).encode()

    def _pixels(self, frame: Frame) -> bytes:
        """The planes of one picture, without padding: what FFmpeg's rawvideo makes of it."""
        encoder = self._encoder or self._open_encoder(frame.size)
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame.data), format="rgb24")
        if av.VideoFormat(self._written).is_rgb:
            made = self._reformatter.reformat(picture, format=self._written, threads=1)
        else:
            made = self._reformatter.reformat(
                picture,
                format=self._written,
                dst_colorspace=self._matrix(),
                dst_color_range=colour.LIMITED_RANGE,
                interpolation=SCALING,
                threads=1,
            )
        made.pts = None
        return b"".join(bytes(packet) for packet in encoder.encode(made))

    def _open_encoder(self, size: Size) -> VideoCodecContext:
        encoder = VideoCodecContext.create("rawvideo", "w")
        assert isinstance(encoder, VideoCodecContext)
        encoder.width, encoder.height = size
        encoder.pix_fmt = self._written
        encoder.time_base = 1 / self._rate
        self._encoder = encoder
        return encoder

    def _matrix(self) -> int:
        tags = colour.complete_tags(
            self._info.size,
            color_primaries=self._info.color_primaries,
            color_trc=self._info.color_trc,
            colorspace=self._info.colorspace,
        )
        return colour.SWSCALE_MATRICES[tags.colorspace]

    def end_early(self) -> None:
        self._early = True

    def close(self) -> None:
        if self._done:
            return
        self._done = True
        if self._muxer is not None:
            with _ffmpeg_errors():
                self._muxer.finish(early=self._early)
            self.losses = self._muxer.losses

    def abort(self) -> None:
        """Let go; what was written cannot be taken back."""
        self._done = True
        if self._muxer is not None:
            try:
                self._muxer.abandon()
            except SinkError:  # the reader is gone
                return


def check_pipe(
    format: str, encoding: VideoEncoding | None, pixel_format: str | None
) -> EncodingPlan | None:
    """How a pipe's video is encoded; ``None`` where it is not.

    Raises:
        SinkError, ValueError: As `plan_encoding`; no such format or pixel format.
    """
    encoding = encoding or VideoEncoding()
    if format not in FORMATS:
        raise ValueError(f"got output_format={format}, expected {', '.join(FORMATS)}")
    if pixel_format is not None:
        try:
            av.VideoFormat(pixel_format)
        except ValueError as err:
            raise ValueError(
                f"got pixel_format={pixel_format}, expected one of FFmpeg's, e.g. yuv420p"
            ) from err
    if format in ENCODED:
        if format == "nut" and encoding.codec is None:
            encoding = replace(encoding, codec="rawvideo", pix_fmt=PLANAR_420)
        return replace(plan_encoding(".mkv", encoding), format=format)
    if encoding.codec is not None:
        raise ValueError(f"got codec={encoding.codec}, expected none for {format}, which is raw")
    return None


@contextmanager
def _ffmpeg_errors() -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as err:
        raise SinkError(f"Standard output cannot be written: {err.strerror or err}.") from err
