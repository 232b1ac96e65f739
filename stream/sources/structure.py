"""Structure: whether the pieces that a file is made of follow each other without a hole. Decodes
nothing.

FFmpeg passes over what it cannot read, looks for the next piece that is whole, and says nothing.
MP4, Matroska, AVI, WMV, Ogg and NUT say of each piece what it is and how long, of some the number
or the check sum: what was passed over is seen by that.
"""

import mmap
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.media.joined_files import MATROSKA, MP4
from stream.sources.mp4_structure import is_consistent

Data = Any
"""A file's bytes: `mmap.mmap`, or `bytes`."""

EBML, SEGMENT, CLUSTER, TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
TRACK, TRACK_NUMBER, SIMPLE_BLOCK, BLOCK_GROUP, BLOCK = 0xAE, 0xD7, 0xA3, 0xA0, 0xA1
VOID, CRC_32 = 0xEC, 0xBF
IN_SEGMENT = {
    *(0x114D9B74, 0x1549A966, TRACKS, CLUSTER, 0x1C53BB6B),
    *(0x1043A770, 0x1254C367, 0x1941A469, VOID, CRC_32),
}
IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, SIMPLE_BLOCK, BLOCK_GROUP, 0xAF, VOID, CRC_32}
"""Numbers of Matroska's elements (RFC 9559, section 5)."""

AVI_CHUNK = re.compile(rb"(\d\d)[A-Za-z]{2}|ix\d\d|JUNK|idx1|indx|strd|strn|vprp")
"""What lies beside each other in an AVI's list of pictures and sound."""

MOST_STREAMS = 100
"""Numbers of two digits; the further lists of a long AVI do not say how many there are."""

ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
ASF_DATA_HEAD = 50
SIZES = (0, 1, 2, 4)
"""Bytes of a field of ASF, by its code of two bits (ASF specification, section 5.2)."""

MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits the other way round: Ogg's check sum is zlib's, so seen."""

NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
NUT_SYNCPOINT = bytes.fromhex("4e4be4adeeca4569")


def has_hole(path: Path, format: str) -> bool:
    """Whether a piece of a file is missing or cannot be read; False where that cannot be told.

    Args:
        format: FFmpeg's name of its container.

    Raises:
        OSError: It cannot be read.
    """
    is_sound = STRUCTURES.get(format)
    if is_sound is None:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return not is_sound(data)
        except (IndexError, struct.error):
            return True


@dataclass(frozen=True, slots=True)
class _Element:
    """One of Matroska's: its number, and where its content begins and ends (if that is known)."""

    number: int
    begin: int
    end: int | None


def _element(data: Data, at: int) -> _Element | None:
    width = 9 - data[at].bit_length()
    if width > 4:
        return None
    number = int.from_bytes(data[at : at + width])
    at += width
    width = 9 - data[at].bit_length()
    if width > 8:
        return None
    unknown = (1 << 7 * width) - 1
    length = int.from_bytes(data[at : at + width]) & unknown
    begin = at + width
    return _Element(number, begin, None if length == unknown else begin + length)


def _children(data: Data, at: int, end: int, known: set[int] | None) -> Iterator[_Element | None]:
    """The elements between two places; ``None`` for what is none, or ends beyond. One of unknown
    length is given last.
    """
    while at < end:
        one = _element(data, at)
        is_wrong = one is None or (known is not None and one.number not in known)
        if is_wrong or (one is not None and one.end is not None and one.end > end):
            yield None
            return
        yield one
        if one is None or one.end is None:
            return
        at = one.end


def _matroska(data: Data) -> bool:
    """Headers, each with a segment of clusters of blocks. One of unknown length (live) may break
    off.
    """
    at = 0
    while at < len(data):
        header = _element(data, at)
        if header is None or header.number != EBML or header.end is None:
            return at > 0
        segment = _element(data, header.end)
        if segment is None or segment.number != SEGMENT:
            return False
        if segment.end is None:
            return True
        if not _segment(data, segment.begin, segment.end):
            return False
        at = segment.end
    return True


def _segment(data: Data, at: int, end: int) -> bool:
    tracks: set[int] = set()
    for one in _children(data, at, end, IN_SEGMENT):
        if one is None or one.end is None:
            return False
        if one.number == TRACKS:
            tracks = _track_numbers(data, one)
        elif one.number == CLUSTER and not _cluster(data, one, tracks):
            return False
    return True


def _track_numbers(data: Data, tracks: _Element) -> set[int]:
    found = set()
    for track in _children(data, tracks.begin, tracks.end or 0, None):
        if track is not None and track.number == TRACK:
            for one in _children(data, track.begin, track.end or 0, None):
                if one is not None and one.number == TRACK_NUMBER:
                    found.add(int.from_bytes(data[one.begin : one.end]))
    return found


def _cluster(data: Data, cluster: _Element, tracks: set[int]) -> bool:
    for one in _children(data, cluster.begin, cluster.end or 0, IN_CLUSTER):
        if one is None or one.end is None:
            return False
        block: _Element | None = one if one.number == SIMPLE_BLOCK else None
        if one.number == BLOCK_GROUP:
            inside = [*_children(data, one.begin, one.end, None)]
            block = next((each for each in inside if each and each.number == BLOCK), None)
            if block is None or None in inside:
                return False
        if block is not None and _track_of(data, block) not in tracks:
            return False
    return True


def _track_of(data: Data, block: _Element) -> int:
    width = 9 - data[block.begin].bit_length()
    mask = (1 << 7 * width) - 1
    return int(int.from_bytes(data[block.begin : block.begin + width]) & mask)


def _avi(data: Data) -> bool:
    """Lists of chunks. Where its writer was killed there are lengths of 0, and all may be read."""
    at = 0
    while data[at : at + 4] == b"RIFF":
        (length,) = struct.unpack_from("<I", data, at + 4)
        if not length:
            return True
        end = at + 8 + length
        if not _lists(data, at + 12, end):
            return False
        at = end + end % 2
    return True


def _lists(data: Data, at: int, end: int) -> bool:
    streams, pictures = MOST_STREAMS, 0
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        held = data[at + 8 : at + 12] if kind == b"LIST" else b""
        if held == b"hdrl":
            streams = data[at : at + 8 + length].count(b"strh")
        elif held == b"movi":
            pictures = at + 8
        is_right = (
            (held != b"movi" or _chunks(data, at + 12, at + 8 + length, streams))
            and (kind != b"idx1" or _listed(data, at + 8, length, pictures))
            and (kind.strip().isalnum() or not any(data[at:end]))
        )
        if not is_right:
            return False
        at += 8 + length + length % 2
    return True


def _chunks(data: Data, at: int, end: int, streams: int) -> bool:
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"LIST":
            at += 12
            continue
        found = AVI_CHUNK.fullmatch(kind)
        if found is None or (found[1] and int(found[1]) >= streams):
            return not any(data[at:end])
        at += 8 + length + length % 2
    return at <= end + 1


def _listed(data: Data, at: int, length: int, pictures: int) -> bool:
    """Whether each chunk is where the index says: from the list's begin on, or the file's."""
    rows = [*struct.iter_unpack("<4sIII", data[at : at + length - length % 16])]
    bases = [base for base in (pictures, 0) if rows and _names(data, base, rows[0])]
    return not rows or any(all(_names(data, base, row) for row in rows) for base in bases)


def _names(data: Data, base: int, row: tuple[bytes, int, int, int]) -> bool:
    return bool(data[base + row[2] : base + row[2] + 4] == row[0])


@dataclass(slots=True)
class _Object:
    """What of one stream of an ASF was seen last: its number, and how much of it."""

    number: int = -1
    bytes: int = 0
    size: int = 0


def _asf(data: Data) -> bool:
    """Packets of one size with payloads: pieces of objects, which are numbered by stream."""
    head = data.find(ASF_FILE)
    at = data.find(ASF_DATA)
    if head < 0 or at < 0:
        return True
    least, most = struct.unpack_from("<II", data, head + 92)
    (length,) = struct.unpack_from("<Q", data, at + 16)
    if least != most or not least:
        return True
    end = len(data) if length <= ASF_DATA_HEAD else min(len(data), at + length)
    objects: dict[int, _Object] = {}
    for start in range(at + ASF_DATA_HEAD, end - least + 1, least):
        if not _asf_packet(data[start : start + least], objects):
            return False
    return all(one.bytes == one.size for one in objects.values())


class _Fields:
    """Reads the fields of an ASF packet one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, width: int) -> int:
        """An integer of so many bytes; 0 of none."""
        value = int.from_bytes(self.data[self.at : self.at + width], "little")
        self.at += width
        if self.at > len(self.data):
            raise IndexError("a field beyond the end of a packet")
        return value


def _asf_packet(packet: bytes, objects: dict[int, _Object]) -> bool:
    fields = _Fields(packet)
    if packet[0] & 0x80:
        if packet[0] & 0x70:
            return False
        fields.at = 1 + (packet[0] & 0x0F)
    flags, widths = fields.take(1), fields.take(1)
    if widths >> 6 != 1:
        return False
    length = fields.take(SIZES[flags >> 5 & 3])
    fields.take(SIZES[flags >> 1 & 3])
    padding = fields.take(SIZES[flags >> 3 & 3])
    fields.take(6)
    is_multiple = flags & 1
    several = fields.take(1) if is_multiple else 1
    end = (length or len(packet)) - padding
    for _ in range(several & 0x3F):
        width = SIZES[several >> 6] if is_multiple else 0
        if not _asf_payload(fields, widths, width, end, objects):
            return False
    return fields.at <= end


def _asf_payload(
    fields: _Fields, widths: int, length_width: int, end: int, objects: dict[int, _Object]
) -> bool:
    stream = fields.take(1) & 0x7F
    width = SIZES[widths >> 4 & 3]
    number = fields.take(width)
    offset = fields.take(SIZES[widths >> 2 & 3])
    replicated = fields.take(SIZES[widths & 3])
    size = int.from_bytes(fields.data[fields.at : fields.at + 4], "little")
    fields.take(replicated)
    length = fields.take(length_width) if length_width else end - fields.at
    begin = fields.at
    fields.take(length)
    last = objects.setdefault(stream, _Object())
    if replicated == 1:  # several small objects in one payload
        while begin < fields.at:
            begin += 1 + fields.data[begin]
            last.number = number
            number += 1
        last.bytes = last.size = 0
        return begin == fields.at
    if offset:
        fits = last.number in (-1, number) and offset == last.bytes
        is_late = last.number == -1
        if is_late:  # a recording that begins within an object
            last.bytes = last.size = 0
            return True
        last.bytes += length
        return fits and last.bytes <= last.size
    follows = last.number in (-1, (number - 1) % (1 << 8 * width))
    is_whole = last.bytes == last.size
    last.number, last.bytes, last.size = number, length, size
    return follows and is_whole and length <= size


def _ogg(data: Data) -> bool:
    """Pages, numbered by stream, each with a check sum."""
    at, numbers = 0, dict[bytes, int]()
    while at < len(data):
        head = data[at : at + 27]
        end = at + 27 + head[26] + sum(data[at + 27 : at + 27 + head[26]])
        serial, number = head[14:18], int.from_bytes(head[18:22], "little")
        page = b"".join((head[:22], bytes(4), data[at + 26 : end]))
        is_next = number == numbers.get(serial, number - 1) + 1
        if not is_next or _ogg_sum(page) != int.from_bytes(head[22:26], "little"):
            return False
        numbers[serial] = number
        at = end
    return True


def _ogg_sum(page: bytes) -> int:
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _nut(data: Data) -> bool:
    """At its end an index of its points of synchronization, whose last number is its own length;
    where none is, it was cut off.
    """
    (back,) = struct.unpack_from(">Q", data, len(data) - 12)
    at = len(data) - back
    if not (0 < at < len(data) and data[at : at + 8] == NUT_INDEX):
        return False
    length, begin = _nut_number(data, at + 8)
    if length > 4096:
        begin += 4  # a check sum of the length
    _, place = _nut_number(data, begin)
    count, place = _nut_number(data, place)
    near = 0
    for _ in range(count):
        step, place = _nut_number(data, place)
        near += step
        if NUT_SYNCPOINT not in data[16 * near : 16 * near + 24]:
            return False
    return True


def _nut_number(data: Data, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    while True:
        value = value << 7 | data[at] & 0x7F
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


STRUCTURES: dict[str, Callable[[Data], bool]] = {
    MP4: is_consistent,
    MATROSKA: _matroska,
    "avi": _avi,
    "asf": _asf,
    "ogg": _ogg,
    "nut": _nut,
}
"""FFmpeg's name of a container -> whether a file's pieces follow each other."""
