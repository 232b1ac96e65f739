"""MPEG-TS: whether packets are missing, by the counters in them (ISO 13818-1, 2.4.3.3)."""

import mmap
from collections.abc import Iterator
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
"""The programme association and service description tables (ISO 13818-1, 2.4.4; ETSI EN 300 468).
"""

TABLES_WITHIN_BYTES = 1_000_000
"""How far back a table is looked for: each comes several times a second."""


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
    """Whether a packet of any stream is missing.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(at.size for at in _lost(data, 0, len(data)).values())


def lost_places(path: Path, pid: int, begin: int, end: int) -> list[int]:
    """The packets of one stream before which others of it are missing, by their places in bytes.

    Args:
        path: The file.
        pid: The stream's number.
        begin, end: What is looked at, in bytes.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        lost = _lost(data, max(0, begin - TABLES_WITHIN_BYTES), min(end, len(data))).get(pid, ())
        return [int(at) for at in lost if begin <= at < end]


def _lost(data: mmap.mmap, begin: int, end: int) -> dict[int, NDArray[np.int64]]:
    """For each stream the places of the packets before which others of it are missing."""
    head = begin_and_length(data[: SYNCS * max(LENGTHS)])
    if head is None:
        return {}
    first, length = head
    begin = first + max(0, begin - first) // length * length
    found: dict[int, list[NDArray[np.int64]]] = {}
    step = PACKETS_AT_A_TIME * length
    for at in range(begin, end, step):
        piece = np.frombuffer(data[at : min(end, at + step)], np.uint8)
        for stream, places in _lost_of(piece[: len(piece) // length * length].reshape(-1, length)):
            found.setdefault(stream, []).append(places * length + at)
    return {stream: np.concatenate(places) for stream, places in found.items()}


def _lost_of(packets: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each stream with the numbers of its packets before which others are missing.

    Where recordings were joined counters jump as well. There the first one to jump is that of a
    table: tables are what a recording begins with. Of packets that were lost on the way it is
    hardly ever, for tables are few.
    """
    jumps, before, streams = _jumps(packets)
    order = np.argsort(jumps)
    jumps, before, streams = jumps[order], before[order], streams[order]
    first = np.searchsorted(jumps, before, side="right")  # to jump since this stream's last packet
    is_joint = np.isin(streams[first], TABLES)
    for stream in np.unique(streams[~is_joint]):
        yield int(stream), jumps[~is_joint & (streams == stream)]


def _jumps(packets: NDArray[np.uint8]) -> tuple[NDArray[np.int64], ...]:
    """The packets whose counters jump, by number; their streams' packets before; the streams."""
    numbers = (packets[:, 1].astype(np.int64) & 0x1F) << 8 | packets[:, 2]
    has_payload = packets[:, 3] & 0x10 > 0
    may_jump = (packets[:, 3] & 0x20 > 0) & (packets[:, 4] > 0) & (packets[:, 5] & 0x80 > 0)
    found: list[NDArray[np.int64]] = [np.empty((3, 0), np.int64)]
    for stream in np.unique(numbers):
        if stream == NO_STREAM:
            continue
        chosen = np.flatnonzero((numbers == stream) & has_payload)
        counts = packets[chosen, 3] & 0x0F
        steps = (counts[1:] - counts[:-1]) & 0x0F
        at = np.flatnonzero((steps > 1) & ~may_jump[chosen][1:])
        found.append(np.stack([chosen[at + 1], chosen[at], np.full(len(at), stream)]))
    jumps, before, streams = np.concatenate(found, axis=1)
    return jumps, before, streams
