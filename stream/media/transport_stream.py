"""MPEG-TS: whether packets are missing, by the counters in them (ISO 13818-1, 2.4.3.3)."""

import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SYNC, SYNCS = 0x47, 5
"""How a packet begins, and how many beginnings tell the packets' size."""

PACKET_BYTES = 188
LENGTHS = {188: 0, 192: 4, 204: 0}
"""Bytes from packet to packet, and before the first: bare, of a Blu-ray, with check bytes."""

PACKETS_AT_A_TIME = 200_000
NO_STREAM = 0x1FFF
TABLES = (0x0000, 0x0011)
"""The programme association and service description tables (ISO 13818-1, 2.4.4; ETSI EN 300 468):
where even their counters jump, another recording begins."""


def begin_and_length(head: bytes) -> tuple[int, int] | None:
    """Where the first packet begins, and how many bytes it is to the next; ``None`` of no TS.

    Args:
        head: The first bytes of a file.
    """
    for length, begin in LENGTHS.items():
        places = range(begin, begin + SYNCS * length, length)
        if all(head[at : at + 1] == bytes([SYNC]) for at in places):
            return begin, length
    return None


def has_lost_packets(path: Path) -> bool:
    """Whether a packet of any stream is missing; false where recordings were joined, for their
    counters jump as well.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = begin_and_length(data[: SYNCS * max(LENGTHS)])
        if found is None:
            return False
        begin, length = found
        step = PACKETS_AT_A_TIME * length
        jumping: set[int] = set()
        for at in range(begin, len(data), step):
            piece = np.frombuffer(data[at : at + step], np.uint8)
            jumping |= _jumping(piece[: len(piece) // length * length].reshape(-1, length))
    return bool(jumping) and jumping.isdisjoint(TABLES)


def _jumping(packets: NDArray[np.uint8]) -> set[int]:
    """The streams whose counters jump."""
    streams = (packets[:, 1].astype(np.uint16) & 0x1F) << 8 | packets[:, 2]
    has_payload = packets[:, 3] & 0x10 > 0
    may_jump = (packets[:, 3] & 0x20 > 0) & (packets[:, 4] > 0) & (packets[:, 5] & 0x80 > 0)
    found = set()
    for stream in np.unique(streams):
        chosen = (streams == stream) & has_payload
        counts = packets[chosen, 3] & 0x0F
        steps = (counts[1:] - counts[:-1]) & 0x0F
        if stream != NO_STREAM and np.any((steps > 1) & ~may_jump[chosen][1:]):
            found.add(int(stream))
    return found
