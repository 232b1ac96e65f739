"""Demuxing: the packets of some streams of a container, without PyAV's rough edges."""

from collections.abc import Iterator, Sequence

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream


def packets(container: InputContainer, streams: Sequence[Stream]) -> "Iterator[Packet[Stream]]":
    """Every packet with something in it, in the order of the file.

    Empty ones are left out: a decoder would take one for the end.

    Raises:
        av.FFmpegError: The file cannot be read on from here.
    """
    demuxer = container.demux(list(streams))
    while True:
        try:
            packet = next(demuxer, None)
        except IndexError:
            # At the end, PyAV looks in vain for a stream that turned up after opening (in TS).
            return
        if packet is None:
            return
        if packet.size:
            yield packet
