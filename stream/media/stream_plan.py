"""What becomes of each stream of the input: copied, converted, or left out and why.

The one place that decides it; whether a container holds a stream as it is, it asks `fitting.py`.
`docs/streams.md` holds the table. Nothing is written in here.
"""

from collections.abc import Mapping
from typing import Any

import av
import av.logging
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import AttachmentStream, DataStream, Stream

from stream.media.carriers import Carrier, PacketCopy, SoundConversion, TextConversion
from stream.media.edits import is_cut
from stream.media.fitting import refusal
from stream.sound_mode import SoundMode

SOUND_CODECS: Mapping[str, str] = {"webm": "libopus"}
"""The encoder of each container that sound is converted by; elsewhere AAC."""

TEXT_CODECS: Mapping[str, str] = {
    "mp4": "mov_text",
    "mov": "mov_text",
    "matroska": "srt",
    "webm": "webvtt",
}
"""The format of captions that each container takes."""

STYLED_TEXT = {"ass", "ssa"}
"""Captions with styles of their own: in Matroska they stay what they are."""


class Unfit(Exception):
    """The stream cannot get into the output; the message says why."""


def sound_carrier(
    stream: AudioStream,
    first: "Packet[Stream] | None",
    output: OutputContainer,
    mode: SoundMode,
) -> tuple[Carrier, str | None]:
    """How the sound gets in, and why it is converted where it is.

    Raises:
        Unfit: It cannot be copied, and not be decoded either.
    """
    reason = "it was asked for" if mode == "encode" else None
    if reason is None and is_cut(stream):
        # Copied packets would click where they meet: each one's sound reaches into the next.
        reason = "the file cuts it up by an edit list"
    if reason is None:
        if refusal(stream, first, output) is None:
            return PacketCopy(stream, output), None
        reason = "the output's container cannot hold it as it is"
    if stream.codec_context is None:
        raise Unfit("there is no decoder for it")
    for codec in _sound_codecs(stream, output):
        try:
            return SoundConversion(stream, output, codec), f"{codec}, because {reason}"
        except (ValueError, av.FFmpegError):
            continue
    raise Unfit("the output's container cannot hold it")


def _sound_codecs(stream: AudioStream, output: OutputContainer) -> list[str]:
    usual = SOUND_CODECS.get(output.format.name, "aac")
    name = stream.codec_context.name
    if not name.startswith("pcm_") or usual != "aac":
        return [usual]
    return [usual] if name in ("pcm_mulaw", "pcm_alaw") else [name, usual]


def text_carrier(
    stream: Stream, first: "Packet[Stream] | None", output: OutputContainer
) -> tuple[Carrier, str | None]:
    """How subtitles get in, and into what they are converted if they are.

    Raises:
        Unfit: They are pictures that the container cannot hold, or cannot be read.
    """
    if refusal(stream, first, output) is None:
        return PacketCopy(stream, output), None
    context: CodecContext | None = stream.codec_context
    codec = TEXT_CODECS.get(output.format.name)
    if context is None or codec is None or not context.codec.text_sub:
        raise Unfit("the output's container cannot hold it; an .mkv holds most")
    try:
        return TextConversion(stream, output, codec), codec
    except (ValueError, av.FFmpegError) as err:
        raise Unfit("it could not be converted") from err


def programmes(container: InputContainer) -> list[set[int]]:
    """The streams of each programme of a broadcast, by their indices; none elsewhere."""
    found: list[set[int]] = []
    if container.format.name != "mpegts" or len(container.streams.video) < 2:
        return found
    for line in _dumped(container).splitlines():
        words = line.split()
        if words[:1] == ["Program"]:
            found.append(set())
        elif words[:1] == ["No"]:  # "No Program": the streams of none follow
            break
        elif found and words[:1] == ["Stream"]:
            index = words[1].partition(":")[2].partition("[")[0].partition("(")[0].rstrip(":")
            if index.isdecimal():
                found[-1].add(int(index))
    return found


def _dumped(container: InputContainer) -> str:
    """FFmpeg's description of a file, which PyAV only gives while it logs."""
    shown: Any = container  # PyAV's stub lacks what follows
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        return str(shown.dumps_format())
    finally:
        av.logging.set_level(before)


def in_order(container: InputContainer, painted: int) -> list[Stream]:
    """The streams, those of the painted one's programme first."""
    home = next((one for one in programmes(container) if painted in one), set())
    return sorted(container.streams, key=lambda stream: bool(home) and stream.index not in home)


def described(stream: Stream) -> str:
    """A stream in a user's words: ``audio #1 (aac, fra)``."""
    if isinstance(stream, DataStream | AttachmentStream):
        name = stream.name
    else:
        name = stream.codec_context.name if stream.codec_context is not None else None
    language = f", {stream.language}" if stream.language not in (None, "und") else ""
    return f"{stream.type} #{stream.index} ({name or 'unknown'}{language})"


def can_hold_cover(output: OutputContainer) -> bool:
    """Whether the container has a place for a cover picture."""
    return output.format.name in ("mp4", "matroska")
