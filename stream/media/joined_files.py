"""Joined files: whether a file holds further recordings after its first, as `cat` makes them.

MP4 and FLV play only the first, with FFmpeg as with every player. Of Matroska FFmpeg reads the
second too (of live ones all), which begins at zero again: its times must be carried on.
"""

import mmap
import struct
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer

EBML = b"\x1a\x45\xdf\xa3"
"""How a Matroska file begins."""

SEGMENT = b"\x18\x53\x80\x67"
"""Matroska's element that holds all others."""

MOST_SEGMENTS = 2
"""Of known length, that FFmpeg reads."""

DOCUMENT_TYPES = (b"webm", b"matroska")
HEADER_BYTES = 64
"""Within which Matroska says what it is."""

MATROSKA = "matroska,webm"
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


def is_joined(container: InputContainer) -> bool:
    """Whether an open file is of a kind whose further recordings are read, and has some."""
    if container.format.name != MATROSKA or not container.name.startswith("file:"):
        return False
    try:
        with Path(container.name.removeprefix("file:")).open("rb") as file:
            return more_segments(file)
    except (OSError, ValueError):
        return False


def more_segments(file: BinaryIO) -> bool:
    """Whether another Matroska file follows, after a length that is known or (live) unknown."""
    file.seek(4)
    header = vint(file)
    file.seek(header or 0, 1)
    if header is None or file.read(4) != SEGMENT:
        return False
    length = vint(file)
    if length is not None:
        file.seek(length, 1)
        return file.read(4) == EBML
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(EBML, file.tell())
        while at >= 0:
            head = data[at : at + HEADER_BYTES]
            if any(kind in head for kind in DOCUMENT_TYPES):
                return True
            at = data.find(EBML, at + 1)
    return False


def third_segment(file: BinaryIO, size: int) -> bool:
    """Whether there are more Matroska files of known length than the two that FFmpeg reads."""
    count, at = 0, 0
    while at < size and count <= MOST_SEGMENTS:
        file.seek(at)
        sign = file.read(4)
        header = vint(file) if sign == EBML else None
        file.seek(header or 0, 1)
        if header is None or file.read(4) != SEGMENT:
            break
        length = vint(file)
        if length is None:
            return False
        count, at = count + 1, file.tell() + length
    return count > MOST_SEGMENTS


def more_films(file: BinaryIO, size: int) -> bool:
    """Whether an MP4 has a second index, and no fragments: those may repeat theirs."""
    indexes, at = 0, 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8 or kind == b"moof":
            return False
        indexes += kind == b"moov"
        if indexes > 1:
            return True
        at += length
    return False


def vint(file: BinaryIO) -> int | None:
    """EBML's number of as many bytes as its first one says; ``None`` where all bits are set."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == (1 << (7 * (extra + 1))) - 1 else value
