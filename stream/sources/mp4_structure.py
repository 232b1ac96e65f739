"""MP4's structure: whether the tables of its pictures agree with each other, and its fragments are
whole. Reads the index, decodes nothing.

FFmpeg takes the shortest of tables that disagree, and skips a fragment that it cannot read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Data = Any
"""A file's bytes: `mmap.mmap`, or `bytes`."""

HOLDERS = (b"trak", b"mdia", b"minf", b"stbl")
IN_FRAGMENT = (b"mfhd", b"traf")


@dataclass(frozen=True, slots=True)
class _Box:
    """Four letters, and where what they name begins and ends."""

    kind: bytes
    begin: int
    end: int


def is_consistent(data: Data) -> bool:
    """Whether no table of an MP4's pictures is shorter than another, and no fragment is broken.

    Raises:
        struct.error: A table ends in the middle.
    """
    for box in _boxes(data, 0, len(data)):
        if box is None:
            break  # what follows the last box may be anything; `completeness` looks at that
        if box.kind == b"moov" and not all(_track(data, one) for one in _inside(data, box)):
            return False
        if box.kind == b"moof" and not _fragment(data, box):
            return False
    return True


def _boxes(data: Data, at: int, end: int) -> Iterator[_Box | None]:
    """Those between two places; ``None`` for what is none, or ends beyond."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if length == 0:
            length = end - at
        if length < head or at + length > end:
            yield None
            return
        yield _Box(kind, at + head, at + length)
        at += length


def _inside(data: Data, box: _Box) -> list[_Box]:
    return [one for one in _boxes(data, box.begin, box.end) if one is not None]


def _track(data: Data, track: _Box) -> bool:
    """Whether the tables of a track of pictures speak of the same number of pictures."""
    if track.kind != b"trak":
        return True
    tables: dict[bytes, int] = {}
    holders = [track]
    while holders:
        for one in _inside(data, holders.pop()):
            tables.setdefault(one.kind, one.begin)
            if one.kind in HOLDERS:
                holders.append(one)
    handler, sizes = tables.get(b"hdlr"), tables.get(b"stsz")
    if handler is None or sizes is None or data[handler + 8 : handler + 12] != b"vide":
        return True
    (count,) = struct.unpack_from(">I", data, sizes + 8)
    if sum(_rows(data, sizes + 4, ">I", 0)) > len(data):
        return False
    timed = sum(_rows(data, tables.get(b"stts"), ">II", 0))
    shifted = sum(_rows(data, tables.get(b"ctts"), ">Ii", 0))
    return timed == count == _in_chunks(data, tables) and shifted in (0, count)


def _rows(data: Data, table: int | None, row: str, column: int) -> list[int]:
    """One column of a table whose rows follow their number."""
    if table is None:
        return []
    (count,) = struct.unpack_from(">I", data, table + 4)
    rows = data[table + 8 : table + 8 + count * struct.calcsize(row)]
    return [values[column] for values in struct.iter_unpack(row, rows)]


def _in_chunks(data: Data, tables: dict[bytes, int]) -> int:
    """Pictures in all chunks together."""
    place = tables.get(b"stco", tables.get(b"co64"))
    if place is None:
        return 0
    (chunks,) = struct.unpack_from(">I", data, place + 4)
    firsts = _rows(data, tables.get(b"stsc"), ">III", 0)
    counts = _rows(data, tables.get(b"stsc"), ">III", 1)
    ends = [*firsts[1:], chunks + 1]
    chosen = zip(firsts, ends, counts, strict=False)  # no rows, one end
    return sum((end - first) * count for first, end, count in chosen)


def _fragment(data: Data, fragment: _Box) -> bool:
    """Whether a fragment has a number and tracks, each with its head and its pictures."""
    inside = [*_boxes(data, fragment.begin, fragment.end)]
    kinds = [box.kind for box in inside if box is not None]
    if None in inside or not set(IN_FRAGMENT) <= set(kinds):
        return False
    for box in inside:
        if box is not None and box.kind == b"traf":
            held = [*_boxes(data, box.begin, box.end)]
            if None in held or b"tfhd" not in [one.kind for one in held if one is not None]:
                return False
    return True
