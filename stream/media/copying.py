"""StreamCopier: everything of a file but its pictures, packet by packet, bit for bit.

It reads the input a second time, beside the output in the making, and never runs ahead of it: the
output stays interleaved and memory does not grow with the length. What the container cannot hold
is left out and noted.
"""

import errno
import io
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

STALE_TAGS = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id"),
    *("DURATION", "rotate", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"),
}
"""Tags that describe the old file or its old pictures, not the work."""

STALE_PREFIX = "_STATISTICS"

DISK_FAILURES = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}
"""Failures of the output, as opposed to packets that it cannot hold."""

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
        self._streams: dict[int, Stream] = {}
        self._last_dts: dict[int, int] = {}
        self._refused: dict[int, int] = {}
        self._input: InputContainer | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._held: Packet[Stream] | None = None
        if path is not None:
            self._open(path, video)

    def _open(self, path: Path, video: VideoStream) -> None:
        try:
            self._input = av.open(f"file:{path}", metadata_errors="surrogateescape")
        except av.FFmpegError:
            self._notes.append(f"{path} could not be read again, so only its pictures are kept.")
            return
        self._copy_tags(self._input, video)
        chosen = [stream for stream in self._input.streams if self._wanted(stream)]
        for stream in self._input.streams:
            if stream not in chosen:
                stream.discard = Discard.all
        for stream in chosen:
            self._add(stream)
        self._note_copied()
        if self._streams:
            self._packets = self._input.demux([self._input.streams[i] for i in self._streams])

    def _wanted(self, stream: Stream) -> bool:
        if stream.type in COPIED_TYPES:
            return True
        if stream.type == "video":
            return bool(stream.disposition & Disposition.attached_pic)
        # Chapter titles are carried by the chapters, a time code by the video's tags.
        if stream.discard != Discard.all and stream.metadata.get("timecode") is None:
            self._notes.append(f"The {stream.type} stream #{stream.index} was not copied.")
        return False

    def _copy_tags(self, source: InputContainer, video: VideoStream) -> None:
        self._output.metadata.update(_lasting(source.metadata))
        moving = [s for s in source.streams.video if not s.disposition & Disposition.attached_pic]
        if moving:
            video.metadata.update(_lasting(moving[0].metadata))
            video.disposition = moving[0].disposition
        shifted = []
        for chapter in source.chapters():
            shift = round(self._shift_s / (chapter["time_base"] or 1))
            chapter["start"] = max(0, chapter["start"] - shift)
            chapter["end"] = max(0, chapter["end"] - shift)
            shifted.append(chapter)
        self._output.set_chapters(shifted)

    def _add(self, stream: Stream) -> None:
        reason = _refusal(stream, self._output.format.name)
        if reason:
            self._notes.append(
                f"The {_described(stream)} was not copied, because the output's container cannot "
                "hold it; an .mkv holds most."
            )
            stream.discard = Discard.all
            return
        copy = _add_copy(self._output, stream)
        self._streams[stream.index] = copy

    def _note_copied(self) -> None:
        if self._streams and self._input is not None:
            names = ", ".join(_described(self._input.streams[i]) for i in self._streams)
            self._notes.append(f"Copied bit for bit: {names}.")

    def advance(self, until_s: Fraction) -> None:
        """Copy what is due up to this time of the output."""
        while (packet := self._next()) is not None:
            if self._due_s(packet) > until_s:
                return
            self._held = None
            self._copy(packet)

    def finish(self, until_s: Fraction | None) -> None:
        """Copy the rest: up to this time of the output, or all of it."""
        while (packet := self._next()) is not None:
            self._held = None
            if until_s is None or self._due_s(packet) < until_s:
                self._copy(packet)
        for index, count in self._refused.items():
            self._notes.append(f"{count} packets of stream #{index} were refused by the container.")

    def close(self) -> None:
        """Let go of the input. May be called twice."""
        if self._input is not None:
            self._held = None
            self._packets = iter(())
            self._input.close()
            self._input = None

    def _next(self) -> "Packet[Stream] | None":
        try:
            while self._held is None:
                packet = next(self._packets, None)
                if packet is None:
                    return None
                if packet.size and self._dated(packet):
                    self._held = packet
        except av.FFmpegError:
            self._notes.append("The input is damaged: sound and subtitles end where it is.")
            self._packets = iter(())
        return self._held

    def _dated(self, packet: "Packet[Stream]") -> bool:
        """Give the packet both its times, later than the last one's; False if it has neither."""
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.pts is None:
            packet.pts = packet.dts
        return packet.dts is not None

    def _due_s(self, packet: "Packet[Stream]") -> Fraction:
        return (packet.dts or 0) * packet.time_base - self._shift_s

    def _copy(self, packet: "Packet[Stream]") -> None:
        index = packet.stream_index
        shift = round(self._shift_s / packet.time_base)
        assert packet.dts is not None and packet.pts is not None
        packet.dts = max(packet.dts - shift, self._last_dts.get(index, packet.dts - shift - 1) + 1)
        packet.pts = max(packet.pts - shift, packet.dts)
        self._last_dts[index] = packet.dts
        packet.stream = self._streams[index]
        try:
            self._output.mux(packet)
        except av.FFmpegError as err:
            if err.errno in DISK_FAILURES:
                raise
            self._refused[index] = self._refused.get(index, 0) + 1


def _lasting(metadata: dict[str, str]) -> dict[str, str]:
    return {
        key: value
        for key, value in metadata.items()
        if key not in STALE_TAGS and not key.startswith(STALE_PREFIX)
    }


def _described(stream: Stream) -> str:
    name = stream.name if stream.codec_context is None else stream.codec_context.name
    language = f", {stream.language}" if stream.language not in (None, "und") else ""
    return f"{stream.type} #{stream.index} ({name}{language})"


def _add_copy(output: OutputContainer, stream: Stream) -> Stream:
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(_lasting(stream.metadata))
    copy.disposition = stream.disposition
    return copy


def _refusal(stream: Stream, format_name: str) -> str | None:
    """Why a container of this format cannot hold the stream; tried on one in memory."""
    scratch = av.open(io.BytesIO(), "w", format=format_name, metadata_errors="surrogateescape")
    try:
        _add_copy(scratch, stream)
        scratch.start_encoding()
    except (ValueError, av.FFmpegError) as err:
        return str(err)
    finally:
        with suppress(av.FFmpegError):
            scratch.close()
    return None
