"""Carriers: how one stream of the input gets into the output.

PacketCopy        packet by packet, bit for bit
SoundConversion   decoded and encoded anew, with silence where there is none
TextConversion    captions from one text format into another
"""

import errno
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from stream.media.fitting import (
    MP4_FORMATS,
    USUAL_LAYOUTS,
    add_copy,
    header_filter,
    stream_tags,
)

DISK_FAILURES = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""Failures of the output, as opposed to packets that it cannot hold."""

PREROLL_PACKETS = 4
PREROLL_S = Fraction(1, 8)
"""What a decoder of sound needs to hear before the first sample that is played; MP4 can hide it."""

GAP_S = Fraction(1, 50)
"""Less than this between the times of two pieces is rounding: they are end to end."""

BIT_RATES = {"aac": 96_000, "libopus": 80_000}
"""Bits a second for each channel."""

CAPTION_TIME_BASE = Fraction(1, 1_000_000)

CAPTION_END_S = Fraction(1)
"""A caption that ends earlier than this before the pictures is ended by FFmpeg, rightly."""


class Carrier(ABC):
    """Takes the packets of one stream, and puts what comes of them into the output.

    Attributes:
        original: The stream of the input.
        refused: Packets that came to nothing.
    """

    def __init__(self, original: Stream, output: OutputContainer) -> None:
        self.original = original
        self.refused = 0
        self._output = output

    @abstractmethod
    def carry(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        """Put the packet into the output, earlier by `shift_s`.

        Raises:
            av.FFmpegError: The disk is full or the like.
        """

    def finish(self, end_s: Fraction) -> None:
        """Put in what is still held; the pictures end at `end_s`."""
        return

    def _guard(self, err: av.FFmpegError) -> None:
        """Count a packet that the output refused; what is worse is raised."""
        if err.errno in DISK_FAILURES:
            raise err
        self.refused += 1


class PacketCopy(Carrier):
    """The packets as they are. Those that an edit list hides stay hidden."""

    def __init__(self, original: Stream, output: OutputContainer) -> None:
        super().__init__(original, output)
        self._stream = add_copy(output, original)
        self._filter: BitStreamFilterContext | None = header_filter(original, output)
        self._last_dts: int | None = None
        hides = original.type == "audio" and output.format.name in MP4_FORMATS
        self._captions = _Captions(output) if name_of(original) == "mov_text" else None
        self._preroll: deque[Packet[Stream]] = deque(maxlen=PREROLL_PACKETS if hides else 0)

    def carry(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        if packet.is_discard:
            if self._last_dts is None:
                self._preroll.append(packet)
            return
        earliest = (packet.pts or 0) - PREROLL_S / packet.time_base
        while self._preroll:
            hidden = self._preroll.popleft()
            if earliest <= (hidden.pts or 0) < (packet.pts or 0):
                self._mux(hidden, shift_s)
        self._mux(packet, shift_s)

    def _mux(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        shift = round(shift_s / packet.time_base)
        assert packet.dts is not None and packet.pts is not None
        packet.dts -= shift
        packet.pts -= shift
        if self._last_dts is not None and packet.dts <= self._last_dts:
            packet.dts = self._last_dts + 1
            packet.pts = max(packet.pts, packet.dts)
        self._last_dts = packet.dts
        if self._captions is not None:
            self._captions.saw(packet)
        try:
            for ready in [packet] if self._filter is None else self._filter.filter(packet):
                ready.stream = self._stream
                self._output.mux(ready)
        except av.FFmpegError as err:
            self._guard(err)

    def finish(self, end_s: Fraction) -> None:
        if self._captions is not None:
            self._captions.close(self._stream, end_s)


class _Captions:
    """Ends the last caption of an MP4.

    FFmpeg does so by an empty one, which in a fragmented file gets the length of the one before: so
    that one must be short.
    """

    def __init__(self, output: OutputContainer) -> None:
        self._output = output
        self._end_s: Fraction | None = None
        self._tick_s = Fraction(0)

    def saw(self, packet: "Packet[Stream]") -> None:
        """The packet is a caption that goes to the output."""
        self._tick_s = packet.time_base
        self._end_s = ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base

    def close(self, stream: Stream, pictures_end_s: Fraction) -> None:
        """Write the empty one, where FFmpeg will write another."""
        if self._end_s is None or self._end_s < pictures_end_s - CAPTION_END_S:
            return
        if self._output.format.name not in MP4_FORMATS:
            return
        empty: Packet[Stream] = av.Packet(bytes(2))
        empty.time_base = self._tick_s
        empty.pts = empty.dts = round(self._end_s / self._tick_s) + 1
        empty.duration = 1
        empty.stream = stream
        self._output.mux(empty)


def name_of(stream: Stream) -> str | None:
    """FFmpeg's name of the stream's codec, ``None`` where it has no decoder."""
    return None if stream.codec_context is None else stream.codec_context.name


class SoundConversion(Carrier):
    """The sound, encoded by another codec; what overlaps is cut, gaps are filled with silence.

    Args:
        codec: FFmpeg's name of the encoder.

    Raises:
        ValueError, av.FFmpegError: The container does not take that codec.
    """

    def __init__(self, original: AudioStream, output: OutputContainer, codec: str) -> None:
        super().__init__(original, output)
        self._rate = _rate(codec, original.rate or 48_000)
        self._layout = _layout(codec, self._rate, original)
        self._format = (av.Codec(codec, "w").audio_formats or [av.AudioFormat("s16")])[0].name
        stream = cast(AudioStream, output.add_stream(codec, rate=self._rate))
        stream.layout = self._layout
        stream.codec_context.format = self._format
        if codec in BIT_RATES:
            stream.bit_rate = BIT_RATES[codec] * stream.codec_context.layout.nb_channels
        stream.metadata.update(stream_tags(original, output))
        stream.disposition = original.disposition
        self._stream = stream
        self._decoder = original.codec_context
        self._resampler: AudioResampler | None = None
        self._setup: tuple[object, ...] = ()
        self._next: int | None = None

        self._cut = 0
        self._shift_s = Fraction(0)

    def carry(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        self._shift_s = shift_s
        self._decode(packet)

    def _decode(self, packet: "Packet[Stream] | None") -> None:
        try:
            frames = self._decoder.decode(cast("Packet[AudioStream] | None", packet))
        except av.FFmpegError:
            self.refused += 1
            return
        for frame in frames:
            self._take(frame, self._shift_s)

    def _take(self, frame: AudioFrame, shift_s: Fraction) -> None:
        setup = frame.format.name, frame.layout.name, frame.sample_rate
        if setup != self._setup:
            self._drain()
            self._setup = setup
            self._resampler = AudioResampler(self._format, self._layout, self._rate)
        if frame.pts is not None and frame.time_base is not None:
            due = round((frame.pts * frame.time_base - shift_s) * self._rate)
            if self._next is None or abs(due - self._next) > GAP_S * self._rate:
                self._drain()
                self._fill(due)
        frame.pts = None
        assert self._resampler is not None
        for piece in self._resampler.resample(frame):
            self._encode(piece)

    def _fill(self, due: int) -> None:
        """Silence up to a position; one that is past cuts what comes next."""
        if self._next is None:
            self._next = due
            return
        while self._next < due:
            self._encode(self._silence(min(self._rate, due - self._next)))
        self._cut = self._next - due

    def _silence(self, count: int) -> AudioFrame:
        piece = AudioFrame(format=self._format, layout=self._layout, samples=count)
        for plane in piece.planes:
            plane.update(bytes(plane.buffer_size))
        piece.sample_rate = self._rate
        return piece

    def _encode(self, piece: AudioFrame) -> None:
        if self._cut:
            kept = _without_begin(piece, self._cut)
            self._cut = max(0, self._cut - piece.samples)
            if kept is None:
                return
            piece = kept
        piece.pts, piece.time_base = self._next, Fraction(1, self._rate)
        self._next = (self._next or 0) + piece.samples
        self._output.mux(self._stream.encode(piece))

    def _drain(self) -> None:
        """What the resampler still holds."""
        if self._resampler is not None:
            for piece in self._resampler.resample(None):
                self._encode(piece)
            self._resampler = AudioResampler(self._format, self._layout, self._rate)

    def finish(self, end_s: Fraction) -> None:
        self._decode(None)
        if self._next is not None:
            self._drain()
            self._output.mux(self._stream.encode(None))


class TextConversion(Carrier):
    """Captions, as FFmpeg's decoders and encoders of text understand them.

    Args:
        codec: FFmpeg's name of the encoder.

    Raises:
        ValueError, av.FFmpegError: They cannot be read, or the container does not take that codec.
    """

    def __init__(self, original: Stream, output: OutputContainer, codec: str) -> None:
        super().__init__(original, output)
        decoder: Any = original.codec_context
        decoder.open(strict=False)
        self._decoder = decoder
        self._captions = _Captions(output)
        self._stream: Any = output.add_stream(codec)
        encoder: Any = self._stream.codec_context
        encoder.subtitle_header = decoder.subtitle_header
        encoder.time_base = CAPTION_TIME_BASE
        self._stream.metadata.update(stream_tags(original, output))
        self._stream.disposition = original.disposition

    def carry(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        if packet.is_discard:
            return
        try:
            for caption in self._encoded(packet):
                begin_s = (packet.pts or 0) * packet.time_base - shift_s
                caption.pts = caption.dts = round(begin_s / CAPTION_TIME_BASE)
                length_s = (packet.duration or 0) * packet.time_base
                caption.duration = round(length_s / CAPTION_TIME_BASE)
                caption.time_base = CAPTION_TIME_BASE
                caption.stream = self._stream
                self._captions.saw(caption)
                self._output.mux(caption)
        except (av.FFmpegError, ValueError) as err:
            if not isinstance(err, av.FFmpegError):
                self.refused += 1
            else:
                self._guard(err)

    def finish(self, end_s: Fraction) -> None:
        self._captions.close(self._stream, end_s)

    def _encoded(self, packet: "Packet[Stream]") -> "Iterator[Packet[Stream]]":
        captions = self._decoder.decode2(packet)
        if captions:
            yield self._stream.codec_context.encode_subtitle(captions)


def _rate(codec: str, wanted: int) -> int:
    known = av.Codec(codec, "w").audio_rates or [wanted]
    return wanted if wanted in known else min(known, key=lambda rate: (abs(rate - 48_000), -rate))


def _layout(codec: str, rate: int, original: AudioStream) -> str:
    """The original's channels if the encoder can do them, else stereo."""
    count = original.codec_context.layout.nb_channels
    named = original.codec_context.layout.name.replace("(side)", "").replace("(back)", "")
    for layout in (named, USUAL_LAYOUTS.get(count, "stereo")):
        scratch = av.CodecContext.create(codec, "w")
        assert isinstance(scratch, av.AudioCodecContext)
        try:
            scratch.layout = layout
            scratch.sample_rate, scratch.time_base = rate, Fraction(1, rate)
            scratch.format = (av.Codec(codec, "w").audio_formats or [av.AudioFormat("s16")])[0]
            scratch.open()
        except (ValueError, av.FFmpegError):
            continue
        return layout
    return "stereo"


def _without_begin(piece: AudioFrame, count: int) -> AudioFrame | None:
    if count >= piece.samples:
        return None
    data = piece.to_ndarray()
    channels = 1 if piece.format.is_planar else piece.layout.nb_channels
    kept: Any = np.ascontiguousarray(data[:, count * channels :])
    cut = AudioFrame.from_ndarray(kept, format=piece.format.name, layout=piece.layout.name)
    cut.sample_rate = piece.sample_rate
    return cut
