"""Continuity: one clock for a file whose own clock jumps, because recordings were joined in it.

    clock of the file   0 1 2 3 | 0 1 2   or   0 1 2 3 | 700 701      (transport streams, HLS, …)
    clock that is given 0 1 2 3   4 5 6        0 1 2 3   4   5

All streams of a recording move by the same amount, so that its sound stays with its pictures: the
earliest of the new recording goes where the last of the old one ends. Around a jump the packets are
held until every stream has made it: what is old and what is new lies mixed in the file.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream

from stream.media.joined_files import is_joined

FORWARD_S = Fraction(10)
"""A step forward longer than this is another recording (as in FFmpeg); less is a gap."""

CLEAR_S = Fraction(1, 2)
"""A jump longer than this tells by the times alone on which side of it a packet is. In Matroska a
shorter step back is none: after a joint FFmpeg gives the pts as dts, and B-frames go to and fro.
"""

TICK_S = Fraction(1, 1000)
"""A step back shorter than this is rounding."""

WINDOW_S = Fraction(3)
"""How long to wait for the other streams to jump; they are interleaved more closely."""

GOES_ON_S = Fraction(3, 2)
"""A stream that runs on for so long while another one jumps is not part of the jump."""

LOOK_AHEAD = 8
"""Packets of the new recording that are looked at: its earliest picture need not come first."""

STEADY_TYPES = ("video", "audio")
"""Streams whose packets follow each other closely enough to tell when the clock jumps."""


@dataclass(slots=True)
class _Track:
    """How far one stream has come within a recording, by the file's clock."""

    begin_s: Fraction | None = None
    end_s: Fraction | None = None
    dts_s: Fraction | None = None
    length_s: Fraction = Fraction(0)
    count: int = 0

    def step_s(self, packet: "Packet[Stream]") -> Fraction:
        """How much later the packet is than was to be expected; 0 for the first one."""
        if packet.dts is None or self.dts_s is None:
            return Fraction(0)
        return packet.dts * packet.time_base - self.dts_s - self.length_s

    def follow(self, packet: "Packet[Stream]") -> None:
        """The packet is the next one."""
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is None:
            return
        begin_s = pts * packet.time_base
        self.count += 1
        distance_s = Fraction(0)
        if packet.dts is not None:
            dts_s = packet.dts * packet.time_base
            distance_s = Fraction(0) if self.dts_s is None else max(Fraction(0), dts_s - self.dts_s)
            self.dts_s = dts_s
        self.length_s = (packet.duration or 0) * packet.time_base or distance_s or self.length_s
        end_s = begin_s + self.length_s
        self.begin_s = begin_s if self.begin_s is None else min(self.begin_s, begin_s)
        self.end_s = end_s if self.end_s is None else max(self.end_s, end_s)


@dataclass(slots=True)
class _Joint:
    """A jump that is being looked at.

    Attributes:
        first: The stream that jumped first.
        by_s: How far.
        pos: Where in the file its first new packet lies; ``None`` if the format cannot say.
        held: Packets, each with whether it belongs to the new recording.
        new: How far each stream has come after its jump.
        old_s: How long each stream has run on before it, since the first one jumped.
    """

    first: int
    by_s: Fraction
    pos: int | None
    held: "list[tuple[Packet[Stream], bool]]" = field(default_factory=list)
    new: dict[int, _Track] = field(default_factory=dict)
    old_s: dict[int, Fraction] = field(default_factory=dict)


class Continuity:
    """Puts packets on one clock. Not thread-safe; one per reading.

    Args:
        container: What is read. If its clock may jump, all its sound and pictures are watched,
            whichever are read: so every reader finds the same jumps.

    Attributes:
        watched: The streams whose packets must be given to `push`.
        jumps: How often the clock jumped.
        joints_s: When, by the clock that is given, a new recording begins.
    """

    def __init__(self, container: InputContainer) -> None:
        joined = is_joined(container)
        may_jump = joined or Flags.ts_discont in Flags(container.format.flags)
        self._back_s = CLEAR_S if joined else TICK_S
        self.watched = [s for s in container.streams if may_jump and _is_steady(s)]
        self.jumps = 0
        self.joints_s: list[Fraction] = []
        self._shift_s = Fraction(0)
        self._own_s: dict[int, Fraction] = {}
        self._tracks = {stream.index: _Track() for stream in self.watched}
        self._joint: _Joint | None = None

    def push(self, packet: "Packet[Stream]") -> "list[Packet[Stream]]":
        """Take the next packet of the file; gives those whose times are settled, in order."""
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            _agree(packet)
        if self._joint is not None:
            return self._push_held(packet, track, self._joint)
        if track is not None and self._jumps(track, packet) and not self._is_gap(packet, track):
            step_s = track.step_s(packet)
            self._joint = _Joint(packet.stream_index, step_s, packet.pos)
            return self._push_held(packet, track, self._joint)
        if track is not None:
            track.follow(packet)
        self._move(packet, self._shift_s)
        return [packet]

    def flush(self) -> "list[Packet[Stream]]":
        """What is still held, at the end of the file or where it cannot be read on."""
        return [] if self._joint is None else self._settle(self._joint)

    def _jumps(self, track: _Track, packet: "Packet[Stream]") -> bool:
        if packet.dts is None or track.dts_s is None:
            return False
        went_back = packet.dts * packet.time_base < track.dts_s - self._back_s
        return went_back or track.step_s(packet) > FORWARD_S

    def _is_gap(self, packet: "Packet[Stream]", track: _Track) -> bool:
        """Whether the stream just paused: another one has sound or pictures of that time."""
        if track.step_s(packet) < 0:
            return False
        time_s = (packet.dts or 0) * packet.time_base
        others = [one for index, one in self._tracks.items() if index != packet.stream_index]
        return any(
            one.begin_s is not None
            and one.end_s is not None
            and one.begin_s <= time_s < one.end_s + GOES_ON_S
            for one in others
        )

    def _push_held(
        self, packet: "Packet[Stream]", track: _Track | None, joint: _Joint
    ) -> "list[Packet[Stream]]":
        if track is None:
            joint.held.append((packet, self._looks_new(packet, joint)))
            return []
        new = joint.new.get(packet.stream_index)
        if new is not None and self._jumps(new, packet):
            returned = abs(track.step_s(packet)) <= CLEAR_S and abs(joint.by_s) > 2 * CLEAR_S
            if returned and packet.stream_index == joint.first:
                return [*self._forget(joint), *self.push(packet)]
            return [*self._settle(joint), *self.push(packet)]
        is_new = new is not None or self._is_new(packet, track, joint)
        if is_new:
            joint.new.setdefault(packet.stream_index, _Track()).follow(packet)
        else:
            before_s = track.end_s or Fraction(0)
            track.follow(packet)
            more_s = (track.end_s or before_s) - before_s
            joint.old_s[packet.stream_index] = joint.old_s.get(packet.stream_index, 0) + more_s
        joint.held.append((packet, is_new))
        return self._settle(joint) if self._is_clear(joint) else []

    def _is_new(self, packet: "Packet[Stream]", track: _Track, joint: _Joint) -> bool:
        """Whether a packet of a stream that has not jumped yet comes after the jump."""
        if packet.stream_index == joint.first or track.dts_s is None:
            return True
        step_s = track.step_s(packet)
        if abs(joint.by_s) > CLEAR_S:
            return abs(step_s - joint.by_s) < abs(step_s)
        if self._jumps(track, packet):
            return True
        return packet.pos is not None and joint.pos is not None and packet.pos > joint.pos

    def _looks_new(self, packet: "Packet[Stream]", joint: _Joint) -> bool:
        """Whether a packet of a sparse stream does."""
        old, new = self._tracks[joint.first], joint.new.get(joint.first)
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is None or new is None or new.begin_s is None or old.end_s is None:
            return True
        time_s = pts * packet.time_base
        return abs(time_s - new.begin_s) <= abs(time_s - old.end_s)

    def _is_clear(self, joint: _Joint) -> bool:
        """Whether all that belongs to the jump has been seen."""
        first = joint.new[joint.first]
        if (first.end_s or 0) - (first.begin_s or 0) > WINDOW_S:
            return True
        if max(joint.old_s.values(), default=Fraction(0)) > WINDOW_S:
            return True
        active = [index for index, track in self._tracks.items() if track.count]
        return all(index in joint.new for index in active) and first.count >= LOOK_AHEAD

    def _settle(self, joint: _Joint) -> "list[Packet[Stream]]":
        """Decide what the jump was, and give all packets their times."""
        self._joint = None
        goes_on = any(
            more_s > GOES_ON_S and index not in joint.new for index, more_s in joint.old_s.items()
        )
        old_shift_s = self._shift_s
        if not goes_on:
            self._join(joint)
        elif joint.by_s < 0:
            self._shift_alone(joint)
        for packet, is_new in joint.held:
            if not is_new:
                self._move(packet, old_shift_s)
            elif goes_on and packet.stream_index in joint.new:
                self._move(packet, self._own_s.get(packet.stream_index, self._shift_s))
            else:
                self._move(packet, self._shift_s)
        if goes_on:
            for index, track in joint.new.items():
                self._tracks[index] = track
        return [packet for packet, _ in joint.held]

    def _join(self, joint: _Joint) -> None:
        """The new recording begins where the old one ends, in whichever stream."""
        ends_s = [
            track.end_s + self._own_s.get(index, self._shift_s)
            for index, track in self._tracks.items()
            if track.end_s is not None
        ]
        begins_s = [track.begin_s for track in joint.new.values() if track.begin_s is not None]
        self.jumps += 1
        self.joints_s.append(max(ends_s))
        self._shift_s = max(ends_s) - min(begins_s)
        self._own_s.clear()
        for index in self._tracks:
            self._tracks[index] = joint.new.get(index, _Track())

    def _shift_alone(self, joint: _Joint) -> None:
        """One stream's clock went back while the others ran on: it goes on where it was."""
        for index, new in joint.new.items():
            old = self._tracks[index]
            if old.end_s is not None and new.begin_s is not None:
                shift_s = self._own_s.get(index, self._shift_s)
                self._own_s[index] = old.end_s + shift_s - new.begin_s
        self.jumps += 1

    def _forget(self, joint: _Joint) -> "list[Packet[Stream]]":
        """The clock came back at once: those times were wrong, and follow the one before."""
        self._joint = None
        for packet, is_new in joint.held:
            track = self._tracks.get(packet.stream_index)
            if is_new and track is not None and track.dts_s is not None:
                packet.dts = round((track.dts_s + track.length_s) / packet.time_base)
                packet.pts = None if packet.pts is None else packet.dts
                track.follow(packet)
            self._move(packet, self._shift_s)
        return [packet for packet, _ in joint.held]

    def _move(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        own_s = self._own_s.get(packet.stream_index)
        shift = round((shift_s if own_s is None else own_s) / packet.time_base)
        if packet.dts is not None:
            packet.dts += shift
        if packet.pts is not None:
            packet.pts += shift

    def notes(self) -> list[str]:
        """A sentence on what was done, or none."""
        if not self.jumps:
            return []
        return [
            "The clock of the file jumped and was carried on, for pictures and sound alike: "
            f"{self.jumps}."
        ]


def _agree(packet: "Packet[Stream]") -> None:
    """At a jump FFmpeg may guess a packet's dts by the clock before it: its pts is the file's."""
    if packet.pts is None or packet.dts is None:
        return
    if abs(packet.pts - packet.dts) * packet.time_base > FORWARD_S:
        packet.dts = packet.pts


def _is_steady(stream: Stream) -> bool:
    return stream.type in STEADY_TYPES and not stream.disposition & Disposition.attached_pic
