"""Completeness: whether a file ends where it says. Reads its outlines, decodes nothing.

FFmpeg takes the end of a file for the end of the film. Most containers say how long they are, by
their boxes, chunks, tags or packets: what was cut off, or lost on the way, is seen by that.
"""

import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from stream.media.joined_files import EBML, MATROSKA, MP4, SEGMENT, more_films, third_segment, vint
from stream.media.playlists import END, HLS_SUFFIXES, read_text
from stream.media.transport_stream import LENGTHS, SYNCS, begin_and_length
from stream.sources.structure import has_hole

LENGTH, LIST_OF_LISTS = "#EXTINF", "#EXT-X-STREAM-INF"
"""What HLS says of each part; what makes a list of other lists."""

FLV_HEAD_BYTES = 13
FLV_TAGS = (8, 9, 18)
"""Of sound, pictures and data."""

GIF_PICTURE = re.compile(rb"!\xf9\x04[\x00-\x1f].{3}\x00[,!]", re.DOTALL)
"""How a picture of an animation begins."""

ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_HEAD_BYTES = 65_536
OGG_FIRST, OGG_LAST = 2, 4
DV_625_BYTES, DV_525_BYTES = 144_000, 120_000
"""Of a frame (IEC 61834-2); DV of 50 or 100 Mbit/s has two or four of that."""

MXF_KEY = b"\x06\x0e\x2b\x34"
MXF_SETS, MXF_LAST = 2, (0x04, 0x11)
"""At 4 and 13 of a key: those of the file itself; its footer, and the index of its partitions."""


def loss_at_end(path: Path, format: str) -> list[str]:
    """A sentence where the file ends before it should; none where it does not, or cannot tell.

    Args:
        format: FFmpeg's name of its container.
    """
    if path.suffix.lower() in HLS_SUFFIXES:
        return list(_losses_of_playlist(path))
    is_whole = CHECKS.get(format, _unchecked)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            has_more = MORE.get(format)
            if has_more is not None and has_more(file, size):
                return [
                    f"{path} holds several recordings one after the other; not all of them are "
                    "read: join them by a .ffconcat list."
                ]
            whole = is_whole(file, size)
        is_sound = whole and not has_hole(path, format)
    except (OSError, ValueError, struct.error):
        return []
    if not whole:
        return [f"{path} is cut off, or bytes of it are missing."]
    return [] if is_sound else [f"{path} is damaged: parts of it cannot be found."]


def _unchecked(file: BinaryIO, size: int) -> bool:
    return True


def _losses_of_playlist(path: Path) -> Iterator[str]:
    """FFmpeg passes over a length without a part, and over a part without a length."""
    text = read_text(path)
    if END not in text:
        yield f"{path} has no end ({END}); what should follow is missing."
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith(LIST_OF_LISTS) for line in lines):
        return
    lengths = sum(line.startswith(LENGTH) for line in lines)
    parts = sum(bool(line) and not line.startswith("#") for line in lines)
    if lengths != parts:
        yield f"{path} gives {lengths} lengths for {parts} parts; some of them are missing."


def _boxes(file: BinaryIO, size: int) -> bool:
    """MP4: boxes one after the other, each with its length. What follows them may be no box, but
    not between fragments: there the rest would be missed.
    """
    at, in_fragments = 0, False
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8 or not kind.isalnum():
            return not in_fragments or (length == 0 and kind.isalnum())
        in_fragments |= kind == b"moof"
        at += length
    return at <= size


def _segment(file: BinaryIO, size: int) -> bool:
    """Matroska: a header, then one element with its length, or of unknown length (live); perhaps
    several of those.
    """
    at = 0
    while at < size:
        file.seek(at + 4)
        header = vint(file)
        file.seek(header or 0, os.SEEK_CUR)
        if header is None or file.read(4) != SEGMENT:
            return True
        length = vint(file)
        if length is None:
            return True
        at = file.tell() + length
        file.seek(at)
        if file.read(4) != EBML:
            break
    return at <= size


def _riff(file: BinaryIO, size: int) -> bool:
    """AVI: one chunk with its length; 0 where its writer was killed."""
    head = file.read(8)
    (length,) = struct.unpack("<4xI", head)
    return not head.startswith(b"RIFF") or int(length) + 8 <= size


def _tags(file: BinaryIO, size: int) -> bool:
    """FLV: tags, each with its length before and after."""
    at = FLV_HEAD_BYTES
    while at + 11 <= size:
        file.seek(at)
        head = file.read(4)
        if head[0] & 0x1F not in FLV_TAGS:
            return False
        at += 11 + int.from_bytes(head[1:4], "big") + 4
    return bool(at == size)


def _more_tags(file: BinaryIO, size: int) -> bool:
    """Whether an FLV's tags are followed by another FLV."""
    at = FLV_HEAD_BYTES
    while at + 11 <= size:
        file.seek(at)
        head = file.read(4)
        if head[:3] == b"FLV":
            return True
        if head[0] & 0x1F not in FLV_TAGS:
            return False
        at += 11 + int.from_bytes(head[1:4], "big") + 4
    return False


def _asf(file: BinaryIO, size: int) -> bool:
    """WMV: its header gives the size of the file, unless it was broadcast."""
    head = file.read(ASF_HEAD_BYTES)
    at = head.find(ASF_PROPERTIES)
    if at < 0 or at + 92 > len(head):
        return True
    (written,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    return bool(flags & 1) or written == 0 or written <= size


def _pages(file: BinaryIO, size: int) -> bool:
    """Ogg: pages, each with the lengths of its parts; each stream has a last one."""
    at = 0
    begun, ended = set(), set()
    while at < size:
        file.seek(at)
        head = file.read(27)
        if len(head) < 27 or not head.startswith(b"OggS"):
            return False
        flags, serial, parts = head[5], head[14:18], head[26]
        begun |= {serial} if flags & OGG_FIRST else set()
        ended |= {serial} if flags & OGG_LAST else set()
        at += 27 + parts + sum(file.read(parts))
    return at == size and begun <= ended


def _elements(file: BinaryIO, size: int) -> bool:
    """MXF: elements, each with its length, up to the end."""
    at, has_end = 0, False
    while at < size:
        file.seek(at)
        head = file.read(25)
        if len(head) < 17 or not head.startswith(MXF_KEY):
            return False
        extra = head[16] & 0x7F if head[16] & 0x80 else 0
        length = int.from_bytes(head[17 : 17 + extra]) if extra else head[16]
        if extra > 8:
            return False
        at += 17 + extra + length
        has_end |= head[4] == MXF_SETS and head[13] in MXF_LAST
    return at == size and has_end


def _blocks(file: BinaryIO, size: int) -> bool:
    """GIF: blocks of pictures and extensions, and a sign at the end."""
    file.seek(0)
    pictures = len(GIF_PICTURE.findall(file.read()))
    file.seek(10)
    file.seek(_table_bytes(file.read(1)[0]) + 2, os.SEEK_CUR)
    while sign := file.read(1):
        if sign == b";":
            return pictures <= 0
        begin = sign + file.read(8)
        pictures -= GIF_PICTURE.match(begin) is not None
        file.seek(1 - len(begin), os.SEEK_CUR)
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
    found = begin_and_length(file.read(SYNCS * max(LENGTHS)))
    return found is None or size % found[1] == 0


def _dv(file: BinaryIO, size: int) -> bool:
    """DV: frames of one size, that of 625 lines or that of 525."""
    file.seek(3)
    is_625_lines = file.read(1)[0] & 0x80
    return size % (DV_625_BYTES if is_625_lines else DV_525_BYTES) == 0


CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    MP4: _boxes,
    MATROSKA: _segment,
    "avi": _riff,
    "flv": _tags,
    "gif": _blocks,
    "mpegts": _packets,
    "asf": _asf,
    "ogg": _pages,
    "mxf": _elements,
    "dv": _dv,
}
"""FFmpeg's name of a container -> whether a file of so many bytes is whole."""

MORE: dict[str, Callable[[BinaryIO, int], bool]] = {
    MP4: more_films,
    MATROSKA: third_segment,
    "flv": _more_tags,
}
"""FFmpeg's name of a container -> whether recordings follow that no player shows."""
