"""Demuxing: the packets of chosen streams of a container, with PyAV's pitfalls handled."""

from collections.abc import Iterator, Sequence

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from stream.media.continuity import Continuity


def packets(
    container: InputContainer, streams: Sequence[Stream], continuity: Continuity | None = None
) -> "Iterator[Packet[Stream]]":
    """Every packet with something in it, in the order of the file.

    Empty ones are left out: a decoder would take one for the end.

    Args:
        container: What to read.
        streams: Those wanted.
        continuity: What puts the packets' times on one clock; without it they are as the file has
            them.

    Raises:
        av.FFmpegError: The file cannot be read on from here.
    """
    wanted = {stream.index for stream in streams}
    watched = [] if continuity is None else continuity.watched
    demuxer = container.demux([*streams, *(s for s in watched if s.index not in wanted)])
    while True:
        try:
            packet = _next(demuxer)
        except av.FFmpegError:
            yield from _settled(continuity, wanted)
            raise
        if packet is None:
            yield from _settled(continuity, wanted)
            return
        if packet.size:
            for ready in [packet] if continuity is None else continuity.push(packet):
                if ready.stream_index in wanted:
                    yield ready


def _next(demuxer: "Iterator[Packet[Stream]]") -> "Packet[Stream] | None":
    try:
        return next(demuxer, None)
    except IndexError:
        # At the end, PyAV looks in vain for a stream that turned up after opening (in TS).
        return None


def _settled(continuity: Continuity | None, wanted: set[int]) -> "Iterator[Packet[Stream]]":
    held = [] if continuity is None else continuity.flush()
    return (packet for packet in held if packet.stream_index in wanted)
