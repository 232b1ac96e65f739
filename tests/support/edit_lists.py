"""Edit lists: the table of an MP4 that says which stretches of a track are shown, and when."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

HOLDERS = (b"moov", b"trak", b"edts", b"mdia")
"""Boxes that hold boxes, on the way to what is changed."""

EMPTY = -1.0
"""As a media time: nothing is shown for that long."""

Edits = Mapping[int, Sequence[tuple[float, float]]]
"""For each track: (how long, from which media time on), in seconds."""


def with_edits(source: Path, target: Path, edits: Edits) -> Path:
    """A copy of an MP4 (its index at the end) with other edit lists."""
    data = source.read_bytes()
    begin = next(at for kind, at, size in _boxes(data, 0, len(data)) if kind == b"moov")
    scales: list[int] = []
    movie_scale = 0

    def look(kind: bytes, body: bytes) -> bytes:
        nonlocal movie_scale
        if kind == b"mvhd":
            (movie_scale,) = struct.unpack_from(">I", body, 12)
        elif kind == b"mdhd":
            scales.append(struct.unpack_from(">I", body, 20 if body[0] else 12)[0])
        return body

    track = -1

    def change(kind: bytes, body: bytes) -> bytes:
        nonlocal track
        if kind == b"tkhd":
            track += 1
        if kind != b"elst" or track not in edits:
            return body
        rows = [_row(edit, movie_scale, scales[track]) for edit in edits[track]]
        return struct.pack(">II", 0, len(rows)) + b"".join(rows)

    _rebuilt(data[begin:], look)
    target.write_bytes(data[:begin] + _rebuilt(data[begin:], change))
    return target


def _row(edit: tuple[float, float], movie_scale: int, media_scale: int) -> bytes:
    length_s, media_s = edit
    media = -1 if media_s == EMPTY else round(media_s * media_scale)
    return struct.pack(">IiHH", round(length_s * movie_scale), media, 1, 0)


def _boxes(data: bytes, at: int, end: int) -> list[tuple[bytes, int, int]]:
    found = []
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, at, size))
        at += size
    return found


def _rebuilt(data: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    parts = []
    for kind, at, size in _boxes(data, 0, len(data)):
        body = data[at + 8 : at + size]
        body = change(kind, _rebuilt(body, change) if kind in HOLDERS else body)
        parts.append(struct.pack(">I4s", len(body) + 8, kind) + body)
    return b"".join(parts)
