"""Fitting: whether a container can hold a copied stream, and which bitstream filter that takes."""

import io
import re
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream

from stream.media.demuxing import packets
from stream.media.safe_opening import open_file

STALE_TAGS = {
    *("major_brand", "minor_version", "compatible_brands", "encoder", "vendor_id"),
    *("DURATION", "rotate", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES"),
}
"""Tags that describe the old file or its old pictures, not the work."""

STALE_PREFIX = "_STATISTICS"

PACKETS_TRIED = 500
"""Packets read in search of the first one of each stream; sparse subtitles may begin later."""

MP4_FORMATS = ("mp4", "mov")

USUAL_LAYOUTS: Mapping[int, str] = {
    1: "mono",
    2: "stereo",
    3: "2.1",
    4: "4.0",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}
"""The layout that so many channels are taken for where none is named, as FFmpeg does."""

OTHER_SPELLINGS: Mapping[str, str] = {
    "bod": "tib",
    "cym": "wel",
    "deu": "ger",
    "ell": "gre",
    "eus": "baq",
    "fas": "per",
    "hye": "arm",
    "isl": "ice",
    "kat": "geo",
    "mkd": "mac",
    "msa": "may",
    "mya": "bur",
    "nld": "dut",
    "sqi": "alb",
    "zho": "chi",
}
"""Languages of ISO 639-2, terminological -> bibliographic, where MOV has the latter only."""

DROP_FRAME_RATES = (Fraction(30000, 1001), Fraction(60000, 1001))
"""The rates that a time code with a semicolon is for."""

MOST_RATE = 120
"""No time code counts more frames a second."""


def lasting_tags(metadata: dict[str, str]) -> dict[str, str]:
    """The tags that are still true of the output."""
    return {
        key: value
        for key, value in metadata.items()
        if key not in STALE_TAGS and not key.startswith(STALE_PREFIX)
    }


def stream_tags(stream: Stream, output: OutputContainer) -> dict[str, str]:
    """A stream's lasting tags, its language and name as the container has them."""
    tags = lasting_tags(stream.metadata)
    if output.format.name == "mov" and "language" in tags:
        tags["language"] = OTHER_SPELLINGS.get(tags["language"], tags["language"])
    if output.format.name in ("mp4", "mov") and tags.get("title"):
        tags["handler_name"] = tags["title"]  # where players look for a track's name
    return tags


def add_copy(output: OutputContainer, stream: Stream) -> Stream:
    """A stream of the output that takes this one's packets and keeps its tags.

    Raises:
        ValueError, av.FFmpegError: The container has no place for it.
    """
    copy = output.add_stream_from_template(stream, opaque=True)
    if isinstance(copy, AudioStream) and is_nameless(copy.codec_context.layout):
        copy.codec_context.layout = USUAL_LAYOUTS.get(
            copy.codec_context.layout.nb_channels, copy.codec_context.layout
        )
    copy.metadata.update(stream_tags(stream, output))
    copy.disposition = stream.disposition
    return copy


def is_nameless(layout: AudioLayout) -> bool:
    """Whether the layout is just a number of channels, which MP4 and others refuse."""
    return layout.name.endswith("channels")


def valid_time_code(code: str, rate: Fraction | None) -> bool:
    """Whether a muxer can write a time code for so many frames a second."""
    if rate is None or rate > MOST_RATE:
        return False
    frames = re.split(r"[:;.]", code)[-1]
    is_drop = bool(re.search(r"[;.]", code))
    fits_drop = not is_drop or any(abs(rate - one) < Fraction(1, 100) for one in DROP_FRAME_RATES)
    return fits_drop and frames.isdecimal() and int(frames) < round(rate)


def header_filter(stream: Stream, output: OutputContainer) -> BitStreamFilterContext | None:
    """What takes the headers of broadcast AAC off its packets, where the container needs that.

    FFmpeg would do so by itself, were it not for delay_moov.
    """
    context = stream.codec_context
    if context is None or context.name != "aac" or context.extradata_size:
        return None
    if output.format.name not in MP4_FORMATS:
        return None
    return BitStreamFilterContext("aac_adtstoasc", stream)


def first_packets(path: Path) -> "dict[int, Packet[Stream]]":
    """The first packet of each stream but moving pictures, by the stream's index.

    Raises:
        av.FFmpegError: The file cannot be opened.
    """
    found: dict[int, Packet[Stream]] = {}
    with open_file(path) as container:
        wanted = [
            stream
            for stream in container.streams
            if stream.type in ("audio", "subtitle")
            or (stream.type == "video" and stream.disposition & Disposition.attached_pic)
        ]
        for stream in container.streams:
            if stream not in wanted:
                stream.discard = Discard.all
        with suppress(av.FFmpegError):
            for number, packet in enumerate(packets(container, wanted) if wanted else ()):
                found.setdefault(packet.stream_index, packet)
                if len(found) == len(wanted) or number >= PACKETS_TRIED:
                    break
    return found


def refusal(stream: Stream, first: "Packet[Stream] | None", output: OutputContainer) -> str | None:
    """Why a container like `output` cannot hold the stream; ``None`` if it can."""
    scratch = av.open(
        io.BytesIO(),
        "w",
        format=output.format.name,
        container_options=output.container_options,
        options=output.options,
        metadata_errors="surrogateescape",
    )
    try:
        copy = add_copy(scratch, stream)
        scratch.start_encoding()
        if first is not None:
            _try_packet(first, header_filter(stream, scratch), copy, scratch)
    except (ValueError, av.FFmpegError) as err:
        return str(err)
    finally:
        # A scratch file that cannot be completed is no worse than one that can.
        with suppress(av.FFmpegError, ValueError):
            scratch.close()
    return None


def _try_packet(
    first: "Packet[Stream]",
    bitstream_filter: BitStreamFilterContext | None,
    copy: Stream,
    scratch: OutputContainer,
) -> None:
    packet = av.Packet(bytes(first))
    packet.pts = packet.dts = 0
    packet.time_base = first.time_base
    packet.duration = first.duration
    packet.is_keyframe = first.is_keyframe
    for ready in [packet] if bitstream_filter is None else bitstream_filter.filter(packet):
        ready.stream = copy
        scratch.mux(ready)
    scratch.close()
