"""Decoding: packets of one video stream to decoded pictures, keeping count of what was lost.

A damaged file gives what decodes: an unreadable stretch is skipped, a broken packet is counted, and
`Damage` says afterwards how much is missing and where; `Stamps` gives the time of each picture.
Starts no thread of its own (FFmpeg does).
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from stream.media.continuity import Continuity
from stream.media.demuxing import packets
from stream.media.holes import Holes
from stream.sources.lost_packets import LostPackets

READ_ATTEMPTS = 16
"""Failed reads in a row after which a damaged file is taken to end."""

CODECS_WITH_HIDDEN_FRAMES = {"vp8", "libvpx"}
"""Codecs whose packets do not each make a picture, so that none can be missed by counting."""


CONSTANT_RATE_FORMATS = {"mxf", "mxf_opatom", "gxf", "dv"}
"""Containers that number their pictures: a step over a number is a picture that is missing."""

MPEG_CODECS = {"mpeg1video", "mpeg2video"}
SEQUENCE_HEADER = b"\0\0\1\xb3"
"""How a sequence of MPEG-1 or MPEG-2 begins; twelve bits of width and of height follow."""

ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class Stamps:
    """The times of packets, held against the pictures that come of them. Not thread-safe.

    As a rule a picture has its packet's pts. AVI and FFmpeg's MXF keep none, so that libavformat
    numbers packets in the order of decoding; a B-picture that overtakes such a stamp gives that
    away. From then on a picture is due when its decoder lets it go, as FFmpeg's guess_correct_pts
    has it.

    Two packets may make one picture: the fields of an interlaced one.
    """

    def __init__(self) -> None:
        self._awaited: list[int] = []
        self._broken: set[int] = set()
        self._newest: int | None = None
        self._reordered = False
        self._by_decoding = False
        self._delay = 0
        self._last: int | None = None
        self._was_interlaced = False
        self._spacing: int | None = None

    def expect(self, packet: "Packet[VideoStream]") -> None:
        """The packet should make a picture, or half of one."""
        if packet.pts is None:
            return
        heapq.heappush(self._awaited, packet.pts)
        self._reordered |= self._newest is not None and packet.pts < self._newest
        self._newest = packet.pts

    def failed(self, packet: "Packet[VideoStream]") -> None:
        """The packet could not be decoded."""
        if packet.pts is not None:
            self._broken.add(packet.pts)

    def place(self, frame: VideoFrame) -> list[int]:
        """Give the picture its pts; gives those before it that came to nothing."""
        pts = frame.pts = self._pts(frame)
        if pts is None:
            return []
        if self._last is not None and pts > self._last:
            step = pts - self._last
            self._spacing = step if self._spacing is None else min(self._spacing, step)
        missed = []
        while self._awaited and self._awaited[0] <= pts:
            awaited = heapq.heappop(self._awaited)
            if awaited < pts and not self._is_second_field(awaited):
                missed.append(awaited)
        self._last, self._was_interlaced = pts, bool(frame.interlaced_frame)
        return missed

    def rest(self) -> list[int]:
        """Those that came to nothing after the last picture."""
        return [pts for pts in sorted(self._awaited) if not self._is_second_field(pts)]

    def _pts(self, frame: VideoFrame) -> int | None:
        pts, dts = frame.pts, frame.dts
        if pts is None:
            return None
        earliest = self._awaited[0] if self._awaited else pts
        if self._last is not None and frame.pict_type == PictureType.B and earliest < pts:
            self._by_decoding = True
        if self._reordered or not self._by_decoding:
            self._delay = self._delay if dts is None else dts - pts
            return pts
        return earliest if dts is None else dts - self._delay

    def _is_second_field(self, pts: int) -> bool:
        """Whether it belongs to the last picture, being nearer to it than a next one would be."""
        if not self._was_interlaced or self._last is None or pts in self._broken:
            return False
        return self._spacing is None or 4 * (pts - self._last) < 3 * self._spacing


@dataclass(slots=True)
class Damage:
    """What could not be read or decoded of one stream.

    Attributes:
        time_base: Seconds per tick of the packets.
        counts_packets: Whether each packet must make one picture.
        read: Packets that were read, of any kind.
    """

    time_base: Fraction
    counts_packets: bool = True
    read: int = 0
    failed_reads: int = 0
    failed_packets: int = 0
    concealed: int = 0
    lost: int = 0
    first_s: float | None = None
    last_s: float | None = None

    def arrived(self, frame: VideoFrame, *, is_torn: bool = False) -> None:
        """A picture came out; whether a piece of it is known to be missing."""
        if frame.is_corrupt or is_torn:
            self.concealed += 1
            self._at(frame.pts)

    def missed(self, times: Sequence[int]) -> None:
        """The pictures of these times never came."""
        for pts in times:
            self.lost += 1
            self._at(pts)

    def absent(self, times: Sequence[int]) -> None:
        """The packets of the pictures of these times never came."""
        if self.counts_packets:
            self.missed(times)
            return
        for pts in times:
            self.failed_packets += 1
            self._at(pts)

    def failed(self, packet: "Packet[VideoStream] | None") -> None:
        """A packet could not be decoded."""
        self.failed_packets += 1
        self._at(None if packet is None else packet.pts)

    def _at(self, pts: int | None) -> None:
        if pts is None:
            return
        time_s = float(pts * self.time_base)
        self.first_s = time_s if self.first_s is None else min(self.first_s, time_s)
        self.last_s = time_s if self.last_s is None else max(self.last_s, time_s)

    def notes(self) -> list[str]:
        """A sentence on the damage, or none."""
        lost = self.lost if self.counts_packets else self.failed_packets
        if not (lost or self.concealed or self.failed_reads):
            return []
        where = (
            "" if self.first_s is None else f" between {self.first_s:.2f} and {self.last_s:.2f} s"
        )
        return [
            f"The input is damaged{where}; frames lost: {lost}, shown with errors: "
            f"{self.concealed}, unreadable stretches skipped: {self.failed_reads}."
        ]


def decoded_frames(
    container: InputContainer, stream: VideoStream, damage: Damage, continuity: Continuity
) -> Iterator[VideoFrame]:
    """Every picture that decodes, in order of presentation."""
    stamps = Stamps()
    always = container.format.name in CONSTANT_RATE_FORMATS
    holes = Holes(always, damage.time_base, continuity.joints_s)
    lost = LostPackets(container, stream, continuity)
    for frame in _decoded(container, stream, damage, continuity, stamps, lost):
        damage.absent(holes.before(frame.pts))
        yield frame
    damage.missed(stamps.rest())


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    damage: Damage,
    continuity: Continuity,
    stamps: Stamps,
    lost: LostPackets,
) -> Iterator[VideoFrame]:
    decoder = decoder_of(stream)
    is_mpeg = stream.codec_context.name in MPEG_CODECS
    size: bytes | None = None
    for packet in _packets(container, stream, damage, continuity):
        damage.read += 1
        damage.absent(lost.before(packet))
        if is_mpeg:
            size, before = sequence_size(packet) or size, size
            if before not in (None, size):  # FFmpeg's decoder would drop the last picture before
                yield from _decode(decoder, None, stamps, damage, lost)
                decoder.flush_buffers()
        if damage.counts_packets and not packet.is_discard:
            stamps.expect(packet)
        yield from _decode(decoder, packet, stamps, damage, lost)
    yield from _decode(decoder, None, stamps, damage, lost)


def sequence_size(packet: "Packet[VideoStream]") -> bytes | None:
    """Width and height, twelve bits each, where a sequence of MPEG-1 or MPEG-2 begins."""
    head = bytes(memoryview(packet)[:7])
    return head[4:] if head.startswith(SEQUENCE_HEADER) else None


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's own, but for VP8 and VP9 with transparency, which only libvpx's decodes."""
    other = ALPHA_DECODERS.get(stream.codec_context.name)
    if stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1" or not other:
        return stream.codec_context
    decoder = CodecContext.create(other, "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def _decode(
    decoder: VideoCodecContext,
    packet: "Packet[VideoStream] | None",
    stamps: Stamps,
    damage: Damage,
    lost: LostPackets,
) -> Iterator[VideoFrame]:
    try:
        frames = decoder.decode(packet)
    except av.FFmpegError:
        damage.failed(packet)
        if packet is not None:
            stamps.failed(packet)
        return
    for frame in frames:
        damage.missed(stamps.place(frame))
        damage.arrived(frame, is_torn=frame.pts in lost.torn)
        yield frame


def _packets(
    container: InputContainer, stream: VideoStream, damage: Damage, continuity: Continuity
) -> "Iterator[Packet[VideoStream]]":
    """The stream's packets; a failed read is tried again further on, a few times."""
    attempts = 0
    while attempts < READ_ATTEMPTS:
        try:
            for packet in packets(container, [stream], continuity):
                attempts = 0
                yield cast("Packet[VideoStream]", packet)
            return
        except av.FFmpegError:
            damage.failed_reads += 1
            attempts += 1
