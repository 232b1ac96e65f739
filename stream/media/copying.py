"""StreamCopier: copies the sound, subtitles and other streams of a file without re-encoding them.

It reads the input a second time while the output is written, and never runs ahead of it, so that
the output stays interleaved and memory does not grow with the length. What the container cannot
hold is left out and noted.
"""

import errno
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, DataStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from stream.media.demuxing import Continuity, packets
from stream.media.fitting import add_copy, first_packets, header_filter, lasting_tags, refusal
from stream.media.notes import copied

DISK_FAILURES = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""Failures of the output, as opposed to packets that it cannot hold."""

COVER_KINDS = {"mjpeg": "jpeg", "png": "png", "bmp": "bmp", "gif": "gif", "webp": "webp"}
"""Codec of a cover picture -> what its file and MIME type are called."""

COPIED_TYPES = ("audio", "subtitle", "attachment")


class StreamCopier:
    """Copies into `output` what `path` holds beside its video. Not thread-safe.

    Args:
        path: The input, or ``None`` where there is nothing to copy.
        output: The container in the making; nothing may have been muxed yet.
        video: Its video stream, which inherits the tags of the input's.
        shift_s: Taken off every time, as it was off the pictures'.
        notes: Where to say what was copied and what could not be.
    """

    def __init__(
        self,
        path: Path | None,
        output: OutputContainer,
        video: VideoStream,
        shift_s: Fraction,
        notes: list[str],
    ) -> None:
        self._output = output
        self._shift_s = shift_s
        self._notes = notes
        self._copies: dict[int, _Copy] = {}
        self._input: InputContainer | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._held: Packet[Stream] | None = None
        if path is not None:
            self._open(path, video)

    def _open(self, path: Path, video: VideoStream) -> None:
        try:
            first = first_packets(path)
            self._input = av.open(f"file:{path}", metadata_errors="surrogateescape")
        except av.FFmpegError:
            self._notes.append(f"{path} could not be read again, so only its pictures are kept.")
            return
        self._copy_tags(self._input, video)
        continuity = Continuity(self._input)
        watched = {stream.index for stream in continuity.watched}
        for stream in self._input.streams:
            is_copied = self._wanted(stream, first) and self._add(stream, first)
            if not is_copied and stream.index not in watched:
                stream.discard = Discard.all
        if self._copies:
            self._notes.append(copied(_described(one.original) for one in self._copies.values()))
            originals = [copy.original for copy in self._copies.values()]
            self._packets = packets(self._input, originals, continuity)

    def _wanted(self, stream: Stream, first: "Mapping[int, Packet[Stream]]") -> bool:
        if stream.type in COPIED_TYPES:
            return True
        if stream.type == "video":
            if stream.disposition & Disposition.attached_pic:
                self._add_cover(stream, first.get(stream.index))
            return False
        # Chapter titles are carried by the chapters, a time code by the video's tags.
        if stream.discard != Discard.all and stream.metadata.get("timecode") is None:
            self._notes.append(f"The {_described(stream)} was not copied.")
        return False

    def _add(self, stream: Stream, first: "Mapping[int, Packet[Stream]]") -> bool:
        if refusal(stream, first.get(stream.index), self._output):
            self._notes.append(
                f"The {_described(stream)} was not copied, because the output's container cannot "
                "hold it; an .mkv holds most."
            )
            return False
        self._copies[stream.index] = _Copy(stream, self._output)
        return True

    def _add_cover(self, stream: Stream, picture: "Packet[Stream] | None") -> None:
        if picture is None or self._output.format.name != "matroska":
            self._notes.append(
                f"The cover picture (stream #{stream.index}) was not copied; an .mkv can hold it."
            )
            return
        kind = COVER_KINDS.get(stream.codec_context.name, "jpeg")
        self._output.add_attachment(
            stream.metadata.get("filename", f"cover.{kind}"),
            stream.metadata.get("mimetype", f"image/{kind}"),
            bytes(picture),
        )
        self._notes.append(f"Copied the cover picture (stream #{stream.index}).")

    def _copy_tags(self, source: InputContainer, video: VideoStream) -> None:
        self._output.metadata.update(lasting_tags(source.metadata))
        moving = [s for s in source.streams.video if not s.disposition & Disposition.attached_pic]
        if moving:
            painted = max(moving, key=lambda stream: stream.width * stream.height)
            video.metadata.update(lasting_tags(painted.metadata))
            video.disposition = painted.disposition
        chapters = source.chapters()
        for chapter in chapters:
            shift = round(self._shift_s / (chapter["time_base"] or 1))
            chapter["start"] = max(0, chapter["start"] - shift)
            chapter["end"] = max(0, chapter["end"] - shift)
        self._output.set_chapters(chapters)

    def advance(self, until_s: Fraction) -> None:
        """Copy what is due up to this time of the output."""
        while (packet := self._next()) is not None and self._due_s(packet) <= until_s:
            self._held = None
            self._copies[packet.stream_index].mux(packet, self._shift_s)

    def finish(self, until_s: Fraction | None) -> None:
        """Copy the rest: up to this time of the output, or all of it."""
        while (packet := self._next()) is not None:
            self._held = None
            if until_s is None or self._due_s(packet) < until_s:
                self._copies[packet.stream_index].mux(packet, self._shift_s)
        for copy in self._copies.values():
            if copy.refused:
                self._notes.append(
                    f"Packets of the {_described(copy.original)} that the container refused: "
                    f"{copy.refused}."
                )

    def close(self) -> None:
        """Let go of the input. May be called twice."""
        if self._input is not None:
            self._held = None
            self._packets = iter(())
            self._copies.clear()
            self._input.close()
            self._input = None

    def _next(self) -> "Packet[Stream] | None":
        try:
            while self._held is None:
                packet = next(self._packets, None)
                if packet is None:
                    return None
                if _dated(packet):
                    self._held = packet
        except av.FFmpegError:
            self._notes.append("The input is damaged: sound and subtitles end where it is.")
            self._packets = iter(())
        return self._held

    def _due_s(self, packet: "Packet[Stream]") -> Fraction:
        return (packet.dts or 0) * packet.time_base - self._shift_s


class _Copy:
    """One stream of the input and its copy in the output."""

    def __init__(self, original: Stream, output: OutputContainer) -> None:
        self.original = original
        self.refused = 0
        self._output = output
        self._stream = add_copy(output, original)
        self._filter: BitStreamFilterContext | None = header_filter(original, output)
        self._last_dts: int | None = None

    def mux(self, packet: "Packet[Stream]", shift_s: Fraction) -> None:
        shift = round(shift_s / packet.time_base)
        assert packet.dts is not None and packet.pts is not None
        packet.dts -= shift
        packet.pts -= shift
        if self._last_dts is not None and packet.dts <= self._last_dts:
            packet.dts = self._last_dts + 1
            packet.pts = max(packet.pts, packet.dts)
        self._last_dts = packet.dts
        try:
            for ready in [packet] if self._filter is None else self._filter.filter(packet):
                ready.stream = self._stream
                self._output.mux(ready)
        except av.FFmpegError as err:
            if err.errno in DISK_FAILURES:
                raise
            self.refused += 1


def _dated(packet: "Packet[Stream]") -> bool:
    """Give the packet both its times; False if it has neither."""
    if packet.dts is None:
        packet.dts = packet.pts
    if packet.pts is None:
        packet.pts = packet.dts
    return packet.dts is not None


def _described(stream: Stream) -> str:
    if isinstance(stream, DataStream | AttachmentStream):
        name = stream.name
    else:
        name = stream.codec_context.name if stream.codec_context is not None else None
    language = f", {stream.language}" if stream.language not in (None, "und") else ""
    return f"{stream.type} #{stream.index} ({name or 'unknown'}{language})"
