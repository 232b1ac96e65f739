"""Decoding: packets of one video stream to decoded pictures, keeping count of what was lost.

A damaged file gives what decodes: an unreadable stretch is skipped, a broken packet is counted, and
`Damage` says afterwards how much is missing and where. Starts no thread of its own (FFmpeg does).
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.media.demuxing import packets

READ_ATTEMPTS = 16
"""Failed reads in a row after which a damaged file is taken to end."""

CODECS_WITH_HIDDEN_FRAMES = {"vp8", "libvpx"}
"""Codecs whose packets do not each make a picture, so that none can be missed by counting."""

FORMATS_WITHOUT_PTS = {"avi"}


@dataclass(slots=True)
class Damage:
    """What could not be read or decoded of one stream.

    A packet whose time no picture has is a picture lost, unless it is the second field of one:
    nearer to an interlaced picture than pictures are to each other. Pictures may come out of order
    (containers without times of presentation).

    Attributes:
        time_base: Seconds per tick of the packets.
        counts_packets: Whether each packet must make one picture.
    """

    time_base: Fraction
    counts_packets: bool = True
    failed_reads: int = 0
    failed_packets: int = 0
    concealed: int = 0
    lost: int = 0
    first_s: float | None = None
    last_s: float | None = None
    _expected: list[int] = field(default_factory=list)
    _missing: set[int] = field(default_factory=set)
    _distances: Counter[int] = field(default_factory=Counter)  # between interlaced pictures
    _last: int | None = None
    _is_interlaced: bool = False

    def expect(self, packet: "Packet[VideoStream]") -> None:
        """A packet goes into the decoder."""
        if self.counts_packets and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def arrived(self, frame: VideoFrame) -> None:
        """A picture came out; what should have come before it hardly will."""
        if frame.is_corrupt:
            self.concealed += 1
            self._at(frame.pts)
        if frame.pts is None:
            return
        self._missing.discard(frame.pts)
        while self._expected and self._expected[0] <= frame.pts:
            self._miss(heapq.heappop(self._expected), frame.pts)
        self._is_interlaced = bool(frame.interlaced_frame)
        if self._is_interlaced and self._last is not None:
            self._distances[frame.pts - self._last] += 1
        self._last = frame.pts

    def _miss(self, pts: int, arrived: int | None) -> None:
        """A packet is past; `arrived` is the picture's time that came now."""
        if pts != arrived and not self._is_second_field(pts):
            self._missing.add(pts)

    def _is_second_field(self, pts: int) -> bool:
        if self._last is None or not self._is_interlaced:
            return False
        usual, distance = self._distances.most_common(1), pts - self._last
        return distance > 0 and (not usual or distance < usual[0][0])

    def failed(self, packet: "Packet[VideoStream] | None") -> None:
        """A packet could not be decoded."""
        self.failed_packets += 1
        self._at(None if packet is None else packet.pts)

    def ended(self) -> None:
        """No picture comes any more."""
        for pts in self._expected:
            self._miss(pts, None)
        self._expected.clear()
        self.lost += len(self._missing)
        for pts in self._missing:
            self._at(pts)
        self._missing.clear()

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


@dataclass(slots=True)
class Order:
    """Which of a picture's two times tells when it is shown: pts, or dts once pts is the worse.

    As FFmpeg has it: containers without pts are given some by the order of decoding, which run
    back where pictures are reordered.

    Attributes:
        lacks_pts: The container is known to be one of these.
    """

    lacks_pts: bool = False
    backwards_pts: int = 0
    backwards_dts: int = 0
    _pts: int | None = None
    _dts: int | None = None

    def time_of(self, frame: VideoFrame) -> int | None:
        """In ticks; of each picture in turn."""
        if frame.pts is not None:
            self.backwards_pts += self._pts is not None and frame.pts <= self._pts
            self._pts = frame.pts
        if frame.dts is not None:
            self.backwards_dts += self._dts is not None and frame.dts <= self._dts
            self._dts = frame.dts
        is_worse = self.lacks_pts or self.backwards_pts > self.backwards_dts
        return frame.dts if is_worse and self._dts is not None else frame.pts


def decoded_frames(
    container: InputContainer, stream: VideoStream, damage: Damage
) -> Iterator[VideoFrame]:
    """Every picture that decodes, in order of presentation, with the time of that as its pts."""
    order = Order(lacks_pts=container.format.name in FORMATS_WITHOUT_PTS)
    for packet in _packets(container, stream, damage):
        damage.expect(packet)
        yield from _decode(stream, packet, damage, order)
    yield from _decode(stream, None, damage, order)
    damage.ended()


def _decode(
    stream: VideoStream, packet: "Packet[VideoStream] | None", damage: Damage, order: Order
) -> Iterator[VideoFrame]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        damage.failed(packet)
        return
    for frame in frames:
        damage.arrived(frame)
        time = order.time_of(frame)
        if time != frame.pts:
            frame.pts = time
        yield frame


def _packets(
    container: InputContainer, stream: VideoStream, damage: Damage
) -> "Iterator[Packet[VideoStream]]":
    """The stream's packets; a failed read is tried again further on, a few times."""
    attempts = 0
    while attempts < READ_ATTEMPTS:
        try:
            for packet in packets(container, [stream]):
                attempts = 0
                yield cast("Packet[VideoStream]", packet)
            return
        except av.FFmpegError:
            damage.failed_reads += 1
            attempts += 1
