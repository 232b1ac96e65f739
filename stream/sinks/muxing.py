"""Muxing: encodes RGB frames into a container, beside the copied sound and subtitles of the input.

    Frame -> YUV of the tagged matrix -> encoder -> container <- StreamCopier <- the input, again

Knows nothing of the file's final name; `stream.sinks.video` does.
"""

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from stream.frame import Frame, Size
from stream.media import colour
from stream.media.copying import StreamCopier, needs_of
from stream.media.fitting import MP4_FORMATS
from stream.media.key_frames import KeyFrames
from stream.media.sound import Sound
from stream.media.sound_encoding import SoundTrack
from stream.sinks.alpha import with_alpha
from stream.sinks.encoding import EncodingPlan
from stream.sinks.thread_scheduling import kept_scheduling
from stream.sound_mode import SoundMode
from stream.video_info import VideoInfo

DEFAULT_RATE = Fraction(24)
"""Frames a second of a source that has none, such as a single picture."""

SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
"""Chroma averaged from all pixels, exact rounding."""

HEVC_TAG = "hvc1"
"""The only code under which Apple's players know HEVC in MP4 and MOV."""


class Writable(Protocol):
    """A file that cannot seek."""

    def write(self, data: bytes) -> int: ...


class Muxer:
    """One output container, opened for frames of one size. Not thread-safe.

    Args:
        path: Where to write: a file's name, or something with a method `write`.
        plan: How.
        info: What the source says; its file's other streams are copied.
        size: (width, height) of the frames to come.
        time_base: Seconds per unit of their pts.
        notes: Where to say what was and was not carried over.
        sound: What becomes of the file's sound.
        threads: Of the encoder; ``None`` takes what the machine has.

    Attributes:
        has_written: Whether a picture has reached the container.

    Raises:
        av.FFmpegError: The encoder or the container cannot be opened.
    """

    def __init__(
        self,
        path: Path | Writable,
        *,
        plan: EncodingPlan,
        info: VideoInfo,
        size: Size,
        time_base: Fraction,
        notes: list[str],
        sound: SoundMode = "copy",
        threads: int | None = None,
    ) -> None:
        self._plan = plan
        self._threads = threads
        self._rate = info.rate or DEFAULT_RATE
        self._shift = round(info.start_s / time_base)
        self._size = plan.size(size)
        self._end_s = Fraction(0)
        self._first_delay_s = Fraction(0)
        self.has_written = False
        self._key_frames = KeyFrames()
        self._held: Packet[VideoStream] | None = None
        self._reformatter = VideoReformatter()
        self._container = av.open(
            f"file:{path}" if isinstance(path, Path) else path,
            "w",
            format=plan.format,
            options=_muxer_options(plan, info.path),
            metadata_errors="surrogateescape",
        )
        with ExitStack() as on_failure:
            on_failure.callback(self._container.close)
            self._video = self._add_video(info, time_base)
            self._copier = StreamCopier(
                info.path, self._container, self._video, self._shift * time_base, notes, sound
            )
            self._track = SoundTrack(self._container, plan.format) if info.sound else None
            on_failure.pop_all()
        if info.has_alpha and not plan.has_alpha:
            notes.append(
                f"The transparency was not kept, because {plan.codec} has none; black shows "
                "instead. A .webm or ProRes (--codec prores_ks) keeps it."
            )
        if self._size != size:
            notes.append(
                f"The size {size[0]}x{size[1]} was cropped to {self._size[0]}x{self._size[1]}, "
                f"because {plan.codec} needs even sides with {plan.pix_fmt}."
            )

    def _add_video(self, info: VideoInfo, time_base: Fraction) -> VideoStream:
        options = self._plan.options(self._rate, self._size, self._threads)
        stream = self._container.add_stream(self._plan.codec, rate=self._rate, options=options)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.width, context.height = self._size
        context.pix_fmt = self._plan.pix_fmt
        # The stream's own time base has no effect: only the encoder's keeps every pts as it is.
        context.time_base = time_base
        context.flags |= Flags.frame_duration
        if self._threads is not None:
            context.thread_count = self._threads
        context.sample_aspect_ratio = info.sample_aspect_ratio
        self._tag_colour(stream, info)
        if self._plan.codec == "libx265" and self._plan.format in ("mp4", "mov"):
            context.codec_tag = HEVC_TAG
        return stream

    def _tag_colour(self, stream: VideoStream, info: VideoInfo) -> None:
        tags = colour.complete_tags(
            info.size,
            color_primaries=info.color_primaries,
            color_trc=info.color_trc,
            colorspace=info.colorspace,
        )
        is_rgb = av.VideoFormat(self._plan.pix_fmt).is_rgb
        self._matrix = colour.RGB if is_rgb else tags.colorspace
        self._range = colour.FULL_RANGE if is_rgb else colour.LIMITED_RANGE
        context = stream.codec_context
        context.color_primaries = tags.color_primaries
        context.color_trc = tags.color_trc
        context.colorspace = self._matrix
        context.color_range = self._range

    def write(self, frame: Frame) -> None:
        """Encode one frame, and copy what belongs beside it.

        Raises:
            av.FFmpegError: The container cannot take it.
        """
        duration = frame.duration or max(1, round(1 / (self._rate * frame.time_base)))
        picture = self._to_picture(frame)
        picture.pts = frame.pts - self._shift
        picture.time_base = frame.time_base
        picture.duration = duration
        self._key_frames.mark(picture, picture.pts * frame.time_base)
        self._end_s = max(self._end_s, (picture.pts + duration) * frame.time_base)
        self._open_encoder()
        self._mux(self._video.encode(picture))
        if self._track is not None:
            self._track.advance(self._end_s)

    def _open_encoder(self) -> None:
        """Once, before anything is encoded or written: the encoder starts its threads here."""
        if not self._video.codec_context.is_open:
            with kept_scheduling():
                self._video.codec_context.open(strict=False)

    @property
    def losses(self) -> list[str]:
        """What of the input is not in the output; final after `finish`."""
        return self._copier.losses

    def hear(self, sound: Sound) -> None:
        """Encode a piece of sound, where the container was opened with a track for it."""
        if self._track is not None:
            self._open_encoder()
            self._track.hear(sound)

    def _to_picture(self, frame: Frame) -> VideoFrame:
        width, height = self._size
        if self._plan.has_alpha:
            data, format = with_alpha(frame), "rgba"
        else:
            data, format = frame.data, "rgb24"
        data = np.ascontiguousarray(data[:height, :width])
        picture = VideoFrame.from_ndarray(data, format=format)
        if self._matrix == colour.RGB:
            return self._reformatter.reformat(picture, format=self._plan.pix_fmt, threads=1)
        return self._reformatter.reformat(
            picture,
            format=self._plan.pix_fmt,
            dst_colorspace=colour.SWSCALE_MATRICES[self._matrix],
            dst_color_range=self._range,
            interpolation=SCALING,
            threads=1,
        )

    def _mux(self, packets: "list[Packet[VideoStream]]") -> None:
        """Write these packets but the last, which waits until it is known to be the last of all."""
        for packet in packets:
            if self._held is None:
                self._first_delay_s = _delay_s(packet)
            else:
                self._mux_held(self._held)
            self._held = packet

    def _mux_held(self, packet: "Packet[VideoStream]") -> None:
        due_s = (packet.dts or 0) * packet.time_base
        self._container.mux(packet)
        self.has_written = True
        self._copier.advance(due_s)

    def _mux_last(self) -> None:
        """MP4 adds up the packets' durations: the last one's is what makes the sum come out right.

        The encoder gives it that of its own picture, which need not be the last one shown. Nothing
        is shown for longer than the film lasts, though.
        """
        packet, self._held = self._held, None
        if packet is not None and packet.dts is not None:
            pts = packet.dts if packet.pts is None else packet.pts
            rest_s = self._end_s - self._first_delay_s - packet.dts * packet.time_base
            shown_s = self._end_s - pts * packet.time_base
            rest = round(min(rest_s, shown_s) / packet.time_base)
            packet.duration = max(packet.duration or 0, rest)
            self._mux_held(packet)

    def finish(self, *, early: bool) -> None:
        """Flush the encoder, copy the rest and complete the container.

        Args:
            early: The frames stopped before the source did, and so does what is copied.

        Raises:
            av.FFmpegError: The container cannot be completed.
        """
        self._open_encoder()
        self._mux(self._video.encode(None))
        self._mux_last()
        if self._track is not None:
            self._track.finish(self._end_s)
        self._copier.finish(self._end_s, early=early)
        self._copier.close()
        self._container.close()

    def abandon(self) -> None:
        """Let go of the container in whatever state it is. May be called twice."""
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()
        self._copier.close()


def _muxer_options(plan: EncodingPlan, path: Path | None) -> dict[str, str]:
    """The plan's, and what the input's cover and tags need."""
    options = dict(plan.muxer_options)
    if plan.format in MP4_FORMATS:
        needs = needs_of(path)
        flags = [] if needs.cover else [options.pop("movflags", "")]
        flags += ["use_metadata_tags"] if needs.apple_tags else []
        options["movflags"] = "+".join(filter(None, flags))
    return {name: value for name, value in options.items() if value}


def _delay_s(packet: "Packet[VideoStream]") -> Fraction:
    """How long before its time a packet is decoded, to make room for B-frames."""
    return ((packet.pts or 0) - (packet.dts or 0)) * packet.time_base
