"""Completeness: whether a file ends where it says. Reads its outlines, decodes nothing.

FFmpeg takes the end of a file for the end of the film. Most containers say how long they are, by
their boxes, chunks, tags or packets: what was cut off, or lost on the way, is seen by that.
"""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from stream.media.playlists import END, HLS_SUFFIXES, read_text

TS_PACKETS = (188, 192, 204)
SYNC, SYNCS = 0x47, 5
"""How a packet of MPEG-TS begins, and how many beginnings tell the packets' size."""

SEGMENT = b"\x18\x53\x80\x67"
"""Matroska's element that holds all others."""


def loss_at_end(path: Path, format: str) -> list[str]:
    """A sentence where the file ends before it should; none where it does not, or cannot tell.

    Args:
        format: FFmpeg's name of its container.
    """
    if path.suffix.lower() in HLS_SUFFIXES:
        ended = END in read_text(path)
        return [] if ended else [f"{path} has no end ({END}); what should follow is missing."]
    is_whole = CHECKS.get(format)
    if is_whole is None:
        return []
    try:
        with path.open("rb") as file:
            whole = is_whole(file, os.fstat(file.fileno()).st_size)
    except (OSError, struct.error):
        return []
    return [] if whole else [f"{path} is cut off, or bytes of it are missing."]


def _boxes(file: BinaryIO, size: int) -> bool:
    """MP4: boxes one after the other, each with its length."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8 or not kind.isalnum():
            return True  # to the end of the file, or what is no box
        at += length
    return at <= size


def _segment(file: BinaryIO, size: int) -> bool:
    """Matroska: a header, then one element with its length, or of unknown length (live)."""
    file.seek(4)
    header = _vint(file)
    file.seek(header or 0, os.SEEK_CUR)
    if header is None or file.read(4) != SEGMENT:
        return True
    length = _vint(file)
    return length is None or file.tell() + length <= size


def _vint(file: BinaryIO) -> int | None:
    """EBML's number of as many bytes as its first one says; ``None`` where all bits are set."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> extra)]) + file.read(extra), "big")
    return None if value == (1 << (7 * (extra + 1))) - 1 else value


def _riff(file: BinaryIO, size: int) -> bool:
    """AVI: one chunk with its length; 0 where its writer was killed."""
    head = file.read(8)
    (length,) = struct.unpack("<4xI", head)
    return not head.startswith(b"RIFF") or int(length) + 8 <= size


def _tags(file: BinaryIO, size: int) -> bool:
    """FLV: tags, each with its length before and after."""
    file.seek(5)
    (at,) = struct.unpack(">I", file.read(4))
    at += 4
    while at + 11 <= size:
        file.seek(at)
        head = file.read(4)
        if head[0] & 0x1F not in (8, 9, 18):
            return False
        at += 11 + int.from_bytes(head[1:4], "big") + 4
    return bool(at == size)


def _blocks(file: BinaryIO, size: int) -> bool:
    """GIF: blocks of pictures and extensions, and a sign at the end."""
    file.seek(10)
    file.seek(_table_bytes(file.read(1)[0]) + 2, os.SEEK_CUR)
    while sign := file.read(1):
        if sign == b";":
            return True
        if sign == b"!":
            file.seek(1, os.SEEK_CUR)
        elif sign == b",":
            file.seek(8, os.SEEK_CUR)
            flags = file.read(1)
            file.seek(_table_bytes(flags[0] if flags else 0) + 1, os.SEEK_CUR)
        else:
            return False
        while (length := file.read(1)) and length[0]:
            file.seek(length[0], os.SEEK_CUR)
    return False


def _table_bytes(flags: int) -> int:
    """Of the colours that flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _packets(file: BinaryIO, size: int) -> bool:
    """MPEG-TS: packets of one size."""
    head = file.read(TS_PACKETS[-1] * SYNCS)
    for length in TS_PACKETS:
        begin = length - TS_PACKETS[0] if length == TS_PACKETS[1] else 0
        begins = range(begin, begin + SYNCS * length, length)
        signs = [head[at : at + 1] for at in begins]
        if all(sign == bytes([SYNC]) for sign in signs):
            return size % length == 0
    return True


CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes,
    "matroska,webm": _segment,
    "avi": _riff,
    "flv": _tags,
    "gif": _blocks,
    "mpegts": _packets,
}
"""FFmpeg's name of a container -> whether a file of so many bytes is whole."""
