"""Decoding: packets of one video stream to decoded pictures, keeping count of what was lost.

A damaged file gives what decodes: an unreadable stretch is skipped, a broken packet is counted, and
`Damage` says afterwards how much is missing and where. Starts no thread of its own (FFmpeg does).
"""

import heapq
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


@dataclass(slots=True)
class Damage:
    """What could not be read or decoded of one stream.

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

    def expect(self, packet: "Packet[VideoStream]") -> None:
        """A packet goes into the decoder."""
        if self.counts_packets and packet.pts is not None and not packet.is_discard:
            heapq.heappush(self._expected, packet.pts)

    def arrived(self, frame: VideoFrame) -> None:
        """A picture came out; whatever should have come before it never will."""
        if frame.is_corrupt:
            self.concealed += 1
            self._at(frame.pts)
        while frame.pts is not None and self._expected and self._expected[0] <= frame.pts:
            pts = heapq.heappop(self._expected)
            if pts < frame.pts:
                self.lost += 1
                self._at(pts)

    def failed(self, packet: "Packet[VideoStream] | None") -> None:
        """A packet could not be decoded."""
        self.failed_packets += 1
        self._at(None if packet is None else packet.pts)

    def ended(self) -> None:
        """No picture comes any more."""
        for pts in self._expected:
            self.lost += 1
            self._at(pts)
        self._expected.clear()

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
    container: InputContainer, stream: VideoStream, damage: Damage
) -> Iterator[VideoFrame]:
    """Every picture that decodes, in order of presentation."""
    for packet in _packets(container, stream, damage):
        damage.expect(packet)
        yield from _decode(stream, packet, damage)
    yield from _decode(stream, None, damage)
    damage.ended()


def _decode(
    stream: VideoStream, packet: "Packet[VideoStream] | None", damage: Damage
) -> Iterator[VideoFrame]:
    try:
        frames = stream.codec_context.decode(packet)
    except av.FFmpegError:
        damage.failed(packet)
        return
    for frame in frames:
        damage.arrived(frame)
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
