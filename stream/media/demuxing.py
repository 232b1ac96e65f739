"""Demuxing: the packets of chosen streams of a container, with PyAV's pitfalls handled.

Where recordings were appended to each other the clock of the file jumps back; `Continuity` carries
it on, alike for whoever reads the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream

JUMP_S = Fraction(1, 10)
"""A step back longer than this is another recording, not a packet out of order (as in FFmpeg)."""

STEADY_TYPES = ("video", "audio")
"""Streams whose packets follow each other closely enough to tell when the clock jumps."""


@dataclass(slots=True)
class _Track:
    """How far one stream has come.

    Attributes:
        jumps: Of the file's jumps, how many it has made.
        shift_s: Added to its times since then.
        end_s: Where it ends so far, shifted.
        dts: Of its last packet, as the file has it.
        length: Its last packet's duration, or the distance before it where the file has none.
    """

    jumps: int
    shift_s: Fraction
    end_s: Fraction | None = None
    dts: int | None = None
    length: int = 0


class Continuity:
    """Carries packets' times on where the clock jumps back. Not thread-safe; one per reading.

    A recording that was appended begins where the longest stream before it ends, and all its
    streams move together, so that sound stays with its pictures.

    Args:
        container: What is read. If it may jump by its nature (MPEG), all its sound and pictures
            are watched, whichever are read: so every reader finds the same jumps.
    """

    def __init__(self, container: InputContainer) -> None:
        may_jump = Flags.ts_discont in Flags(container.format.flags)
        self.watched = [s for s in container.streams if may_jump and s.type in STEADY_TYPES]
        self.jumps = 0
        self._shift_s = Fraction(0)
        self._tracks: dict[int, _Track] = {}

    def carry_on(self, packet: "Packet[Stream]") -> None:
        """Move the packet to its time on a clock that never jumps back."""
        shift_s = self._shift_s
        if packet.stream.type in STEADY_TYPES:
            shift_s = self._follow(packet)
        shift = round(shift_s / packet.time_base)
        if packet.dts is not None:
            packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift

    def _follow(self, packet: "Packet[Stream]") -> Fraction:
        """How far to shift a packet of sound or pictures."""
        track = self._tracks.setdefault(packet.stream_index, _Track(self.jumps, self._shift_s))
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is None:
            return track.shift_s
        begin_s = pts * packet.time_base
        step = 0 if packet.dts is None or track.dts is None else packet.dts - track.dts
        if step * packet.time_base < -JUMP_S:
            self._jump(track, begin_s)
        track.dts = track.dts if packet.dts is None else packet.dts
        track.length = packet.duration or max(0, step) or track.length
        end_s = begin_s + track.length * packet.time_base + track.shift_s
        track.end_s = end_s if track.end_s is None else max(track.end_s, end_s)
        return track.shift_s

    def _jump(self, track: _Track, begin_s: Fraction) -> None:
        """The track's clock jumped back to `begin_s`: the first to do so decides for all."""
        ends_s = [other.end_s for other in self._tracks.values() if other.end_s is not None]
        if track.jumps == self.jumps:
            self.jumps += 1
            self._shift_s = max(ends_s) - begin_s
        track.jumps = self.jumps
        track.shift_s = self._shift_s
        if track.end_s is not None:
            track.shift_s = max(track.shift_s, track.end_s - begin_s)

    def notes(self) -> list[str]:
        """A sentence on what was done, or none."""
        if not self.jumps:
            return []
        return [
            "The clock of the file jumped back and was carried on, for pictures and sound alike: "
            f"{self.jumps}."
        ]


def packets(
    container: InputContainer, streams: Sequence[Stream], continuity: Continuity | None = None
) -> "Iterator[Packet[Stream]]":
    """Every packet with something in it, in the order of the file.

    Empty ones are left out: a decoder would take one for the end.

    Args:
        container: What to read.
        streams: Those wanted.
        continuity: What puts the packets' times in order; without it they are as the file has them.

    Raises:
        av.FFmpegError: The file cannot be read on from here.
    """
    wanted = {stream.index for stream in streams}
    watched = [] if continuity is None else continuity.watched
    demuxer = container.demux([*streams, *(s for s in watched if s.index not in wanted)])
    while True:
        try:
            packet = next(demuxer, None)
        except IndexError:
            # At the end, PyAV looks in vain for a stream that turned up after opening (in TS).
            return
        if packet is None:
            return
        if packet.size:
            if continuity is not None:
                continuity.carry_on(packet)
            if packet.stream_index in wanted:
                yield packet
