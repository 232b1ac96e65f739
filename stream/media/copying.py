"""StreamCopier: carries the sound, subtitles and other streams of a file into the output.

It reads the input a second time while the output is written, and never runs ahead of it, so that
the output stays interleaved and memory does not grow with the length. `stream.media.stream_plan`
says what becomes of each stream; what is left out is noted, and is a loss.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from stream.media.carriers import Carrier, PacketCopy
from stream.media.continuity import Continuity
from stream.media.demuxing import packets
from stream.media.fitting import (
    add_copy,
    first_packets,
    lasting_tags,
    valid_time_code,
)
from stream.media.holes import Holes
from stream.media.notes import copied
from stream.media.safe_opening import open_file
from stream.media.stream_plan import (
    Unfit,
    can_hold_cover,
    described,
    in_order,
    sound_carrier,
    text_carrier,
)
from stream.media.transport_stream import has_lost_packets
from stream.sound_mode import SoundMode

COVER_KINDS = {"mjpeg": "jpeg", "png": "png", "bmp": "bmp", "gif": "gif", "webp": "webp"}
"""Codec of a cover picture -> what its file and MIME type are called."""


class StreamCopier:
    """Carries into `output` what `path` holds beside its video. Not thread-safe.

    Args:
        path: The input, or ``None`` where there is nothing to copy.
        output: The container in the making; nothing may have been muxed yet.
        video: Its video stream, which inherits the tags of the input's.
        shift_s: Taken off every time, as it was off the pictures'.
        notes: Where to say what was copied and what could not be.
        sound: Whether sound is copied, encoded anew or left out.

    Attributes:
        losses: A sentence on each thing of the input that is not in the output; they are notes too.
    """

    def __init__(
        self,
        path: Path | None,
        output: OutputContainer,
        video: VideoStream,
        shift_s: Fraction,
        notes: list[str],
        sound: SoundMode = "copy",
    ) -> None:
        self.losses: list[str] = []
        self._output = output
        self._shift_s = shift_s
        self._notes = notes
        self._sound = sound
        self._carriers: dict[int, Carrier] = {}
        self._covers: list[tuple[Stream, Packet[Stream]]] = []
        self._input: InputContainer | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._holes: dict[int, Holes] = {}
        self._missing: Counter[int] = Counter()
        self._held: Packet[Stream] | None = None
        if path is not None:
            self._open(path, video)

    def _open(self, path: Path, video: VideoStream) -> None:
        try:
            first = first_packets(path)
            self._input = open_file(path)
        except av.FFmpegError:
            self._lose(f"{path} could not be read again, so only its pictures are kept.")
            return
        painted = self._copy_tags(self._input, video)
        continuity = Continuity(self._input)
        watched = {stream.index for stream in continuity.watched}
        for stream in in_order(self._input, painted):
            self._plan(stream, first.get(stream.index))
            if stream.index not in self._carriers and stream.index not in watched:
                stream.discard = Discard.all
        if self._carriers:
            originals = [carrier.original for carrier in self._carriers.values()]
            self._packets = packets(self._input, originals, continuity)
        counted = self._input.format.name == "mpegts" and has_lost_packets(path)
        self._holes = {
            stream.index: Holes(counted, stream.time_base, continuity.joints_s)
            for stream in self._input.streams.audio
            if stream.index in self._carriers and stream.time_base is not None
        }
        originals = [one.original for one in self._carriers.values() if isinstance(one, PacketCopy)]
        if originals:
            self._notes.append(copied(described(stream) for stream in originals))

    def _lose(self, sentence: str) -> None:
        self._notes.append(sentence)
        self.losses.append(sentence)

    def _plan(self, stream: Stream, first: "Packet[Stream] | None") -> None:
        try:
            if isinstance(stream, AudioStream):
                self._plan_sound(stream, first)
            elif stream.type == "subtitle":
                carrier, codec = text_carrier(stream, first, self._output)
                self._take(carrier, codec)
            elif stream.type == "attachment":
                self._plan_attachment(stream)
            elif stream.type == "video":
                if stream.disposition & Disposition.attached_pic:
                    self._plan_cover(stream, first)
            # Chapter titles are carried by the chapters, a time code by the video's tags.
            elif stream.discard != Discard.all and stream.metadata.get("timecode") is None:
                # no player shows it, and FFmpeg and HandBrake leave it out too: no loss
                self._notes.append(
                    f"The {described(stream)} was not copied, because no container can hold it but "
                    "the camera's own."
                )
        except Unfit as why:
            self._lose(f"The {described(stream)} was not copied, because {why}.")

    def _plan_sound(self, stream: AudioStream, first: "Packet[Stream] | None") -> None:
        if self._sound == "none":
            self._notes.append(f"The {described(stream)} was left out, as was asked for.")
            return
        self._take(*sound_carrier(stream, first, self._output, self._sound))

    def _take(self, carrier: Carrier, converted: str | None) -> None:
        self._carriers[carrier.original.index] = carrier
        if converted is not None:
            self._notes.append(f"Converted: {described(carrier.original)} to {converted}.")

    def _plan_attachment(self, stream: Stream) -> None:
        if self._output.format.name != "matroska":
            raise Unfit("the output's container cannot hold it; an .mkv holds most")
        self._take(PacketCopy(stream, self._output), None)

    def _plan_cover(self, stream: Stream, picture: "Packet[Stream] | None") -> None:
        if picture is None or not can_hold_cover(self._output):
            raise Unfit("the output's container cannot hold it; .mkv and .mp4 can")
        if self._output.format.name == "mp4":
            self._covers.append((add_copy(self._output, stream), picture))
        else:
            kind = COVER_KINDS.get(stream.codec_context.name, "jpeg")
            self._output.add_attachment(
                stream.metadata.get("filename", f"cover.{kind}"),
                stream.metadata.get("mimetype", f"image/{kind}"),
                bytes(picture),
            )
        self._notes.append(f"Copied the cover picture (stream #{stream.index}).")

    def _copy_tags(self, source: InputContainer, video: VideoStream) -> int:
        """Tags and chapters; gives the index of the stream that is painted."""
        self._output.metadata.update(lasting_tags(source.metadata))
        moving = [s for s in source.streams.video if not s.disposition & Disposition.attached_pic]
        painted = max(moving, key=lambda stream: stream.width * stream.height, default=None)
        if painted is not None:
            tags = lasting_tags(painted.metadata)
            for held in (tags, self._output.metadata):
                for key in [key for key in held if key.lower() == "timecode"]:
                    if not valid_time_code(held[key], video.average_rate):
                        self._lose(f"The time code {held.pop(key)} does not fit the rate.")
            video.metadata.update(tags)
            video.disposition = painted.disposition
        chapters = source.chapters()
        for chapter in chapters:
            shift = round(self._shift_s / (chapter["time_base"] or 1))
            chapter["start"] = max(0, chapter["start"] - shift)
            chapter["end"] = max(0, chapter["end"] - shift)
        self._output.set_chapters(chapters)
        return -1 if painted is None else painted.index

    def advance(self, until_s: Fraction) -> None:
        """Carry what is due up to this time of the output."""
        self._mux_covers()
        while (packet := self._next()) is not None and self._due_s(packet) <= until_s:
            self._held = None
            self._carriers[packet.stream_index].carry(packet, self._shift_s)

    def _mux_covers(self) -> None:
        for stream, picture in self._covers:
            cover = av.Packet(bytes(picture))
            cover.stream, cover.pts, cover.dts, cover.is_keyframe = stream, 0, 0, True
            cover.time_base = picture.time_base
            self._output.mux(cover)
        self._covers.clear()

    def finish(self, end_s: Fraction, *, early: bool) -> None:
        """Carry the rest.

        Args:
            end_s: When the pictures end, by the output's clock.
            early: What comes later is left out.
        """
        while (packet := self._next()) is not None:
            self._held = None
            if not early or self._due_s(packet) < end_s:
                self._carriers[packet.stream_index].carry(packet, self._shift_s)
        for carrier in self._carriers.values():
            carrier.finish(end_s)
            missing = self._missing[carrier.original.index]
            if missing:
                self._lose(f"The {described(carrier.original)} has holes; packets lost: {missing}.")
            if carrier.refused:
                self._lose(
                    f"Packets of the {described(carrier.original)} that could not be carried over: "
                    f"{carrier.refused}."
                )

    def close(self) -> None:
        """Let go of the input. May be called twice."""
        if self._input is not None:
            self._held = None
            self._packets = iter(())
            self._carriers.clear()
            self._covers.clear()
            self._input.close()
            self._input = None

    def _next(self) -> "Packet[Stream] | None":
        try:
            while self._held is None:
                packet = next(self._packets, None)
                if packet is None:
                    return None
                if _dated(packet):
                    self._watch(packet)
                    self._held = packet
        except av.FFmpegError:
            self._lose("The input is damaged: sound and subtitles end where it is.")
            self._packets = iter(())
        return self._held

    def _watch(self, packet: "Packet[Stream]") -> None:
        holes = self._holes.get(packet.stream_index)
        if holes is not None:
            holes.read(packet)
            self._missing[packet.stream_index] += len(holes.before(packet.pts))

    def _due_s(self, packet: "Packet[Stream]") -> Fraction:
        return (packet.dts or 0) * packet.time_base - self._shift_s


def _dated(packet: "Packet[Stream]") -> bool:
    """Give the packet both its times; False if it has neither."""
    if packet.dts is None:
        packet.dts = packet.pts
    if packet.pts is None:
        packet.pts = packet.dts
    return packet.dts is not None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a file asks of the MP4 or MOV that it is carried into.

    Attributes:
        apple_tags: A place for tags of the kind ``com.apple.quicktime.model``.
        cover: One for a cover picture; FFmpeg makes a broken track of it in fragments.
    """

    apple_tags: bool = False
    cover: bool = False


def needs_of(path: Path | None) -> Needs:
    """What the file asks; nothing where it cannot be read."""
    if path is None:
        return Needs()
    try:
        with open_file(path) as container:
            videos = container.streams.video
            return Needs(
                apple_tags=any(key.startswith("com.") for key in container.metadata),
                cover=any(one.disposition & Disposition.attached_pic for one in videos),
            )
    except av.FFmpegError:
        return Needs()
