"""The wire protocol of the studio, version 1: what is said between a page and the server. Pure.

JSON text is control, binary is pictures and sound. A binary message has a header of 16 bytes,
little-endian, an extension, and a payload:

    kind u8 · flags u8 · extra u16 (bytes of extension) · id u32 · t_us u64 · extension · payload

The extension of a patch is x, y, width, height (u16 each); that of a painting how long it waited,
how long it was painted, and its age when it was sent (u16, ms each). A painting carries the id of
the frame, or of the newest patch, that it was painted from. docs/studio.md describes the rest.
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from stream.frame import Size

VERSION = 1

HEADER = struct.Struct("<BBHIQ")
RECTANGLE = struct.Struct("<4H")
TIMES = struct.Struct("<3H")

KEY = 1
"""Flag of H.264 that decoding can begin with."""

FULL = 2
"""Flag of a patch that is the whole picture."""

AT_REST = 4
"""Flag of a painting that nothing was given up for and that stays until something changes."""

MOST_BYTES = 4 * 1024 * 1024
"""Of one message."""

MOST_TEXT = 16_384
"""Characters of one control message."""

MOST_SIDE_PX = 2048
LEAST_SIDE_PX = 64
MOST_PROMPT = 500
"""Characters of a prompt."""

MOST_IN_FLIGHT = 2
"""Pictures on their way, each way, that the other side has not acknowledged."""

MESSAGES_PER_S = 200

KINDS = ("live", "canvas", "watch")


class Kind(IntEnum):
    """What a binary message carries."""

    JPEG = 1
    H264 = 2
    PATCH = 3
    SOUND = 4
    THUMBNAIL = 5
    PHOTO = 6


INCOMING = (Kind.JPEG, Kind.H264, Kind.PATCH, Kind.SOUND)

CODECS = ("jpeg", "h264")
"""That a live page may send and be sent; the first always."""


class Close(IntEnum):
    """Why the server closes a socket. `meaning` is for a reader; docs/studio.md has the table."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "Close":
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    TOO_BIG = 1009, "a message is larger than 4 MiB, or a picture than 2048 pixels a side"
    RESTART = 1012, "the studio ends or starts again; the page tries again"
    BAD_MESSAGE = 4400, "a message is not understood"
    KEY = 4401, "the key is missing or wrong, or may not do this"
    LATE = 4402, "no hello came within 5 seconds"
    IDLE = 4408, "nothing came for 90 seconds while others waited"
    ELSEWHERE = 4409, "the seat was opened in another page"
    TOO_SLOW = 4413, "the page does not read what it is sent"
    TOO_FAST = 4428, "more than 200 messages in a second"
    BUSY = 4429, "too many pages are open"


class ProtocolError(Exception):
    """A message that cannot be taken; `close` says how the socket ends."""

    def __init__(self, sentence: str, close: Close = Close.BAD_MESSAGE) -> None:
        super().__init__(sentence)
        self.close = close


@dataclass(frozen=True, slots=True)
class Packet:
    """A binary message.

    Attributes:
        id: The sender's number; of a painting, that of its frame.
        t_us: The sender's clock, in microseconds; handed back as it came.
        place: (x, y) of a patch's upper left corner, in px.
        size: (width, height) of a picture, from its own header.
    """

    kind: Kind
    id: int
    payload: bytes
    flags: int = 0
    t_us: int = 0
    place: tuple[int, int] = (0, 0)
    size: Size = (0, 0)


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a page.

    Attributes:
        kind: ``live``, ``canvas`` or ``watch``.
        size: Of the pictures that it will send.
        rate: Frames a second that it will send at most.
        resume: The seat that it had, or "".
        codecs: Those of `CODECS` that it can show.
        look: Words of `stream.live.controls` to start with.
    """

    key: str
    kind: str
    size: Size
    rate: float
    resume: str
    look: dict[str, Any]
    codecs: tuple[str, ...] = CODECS[:1]


def read_packet(message: bytes) -> Packet:
    """
    Raises:
        ProtocolError: It is no message of this version, or its picture is too large.
    """
    if len(message) < HEADER.size:
        raise ProtocolError(f"got a message of {len(message)} bytes, expected a header of 16")
    if len(message) > MOST_BYTES:
        raise ProtocolError("the message is too long", Close.TOO_BIG)
    number, flags, extra, id_, t_us = HEADER.unpack_from(message)
    if number not in INCOMING:
        raise ProtocolError(f"got a message of kind {number}, expected 1 to 4")
    kind = Kind(number)
    if extra != (RECTANGLE.size if kind is Kind.PATCH else 0):
        raise ProtocolError(f"got an extension of {extra} bytes")
    payload = message[HEADER.size + extra :]
    size = _size_of(kind, payload)
    if max(size) > MOST_SIDE_PX:
        raise ProtocolError(f"got a picture of {size[0]}x{size[1]}", Close.TOO_BIG)
    if kind is not Kind.PATCH:
        return Packet(kind, id_, payload, flags, t_us, size=size)
    x, y, width, height = RECTANGLE.unpack_from(message, HEADER.size)
    if size != (width, height):
        raise ProtocolError(f"got a patch of {size}, expected {width}x{height}")
    return Packet(kind, id_, payload, flags, t_us, (x, y), size)


def _size_of(kind: Kind, payload: bytes) -> Size:
    """(width, height) of a picture by its own header; of H.264 the decoder sees to it.

    Raises:
        ProtocolError: It is no such payload.
    """
    if kind is Kind.JPEG:
        return jpeg_size(payload)
    if kind is Kind.PATCH:
        return png_size(payload)
    if not payload or (kind is Kind.SOUND and len(payload) % 2):
        raise ProtocolError(f"got {len(payload)} bytes of {kind.name.lower()}")
    return 0, 0


def write_packet(packet: Packet, extension: bytes = b"") -> bytes:
    """A message to send."""
    head = HEADER.pack(packet.kind, packet.flags, len(extension), packet.id, packet.t_us)
    return head + extension + packet.payload


def read_control(text: str) -> dict[str, Any]:
    """
    Raises:
        ProtocolError: It is no JSON object, or too long.
    """
    if len(text) > MOST_TEXT:
        raise ProtocolError("the message is too long", Close.TOO_BIG)
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise ProtocolError("got text that is no JSON") from err
    if not isinstance(said, dict):
        raise ProtocolError("got JSON that is no object")
    return said


def read_hello(text: str) -> Hello:
    """
    Raises:
        ProtocolError: It is no hello of this version.
    """
    said = read_control(text)
    if said.get("hello") != VERSION:
        raise ProtocolError(f"got hello={said.get('hello')!r}, expected {VERSION}")
    key, kind, resume = said.get("key", ""), said.get("kind"), said.get("resume") or ""
    if not (isinstance(key, str) and isinstance(resume, str) and kind in KINDS):
        raise ProtocolError("got a hello with a key, kind or seat that cannot be")
    look, rate = said.get("look") or {}, said.get("rate", 24)
    if not isinstance(look, dict):
        raise ProtocolError("got a look that is no object")
    if not (isinstance(rate, int | float) and 1 <= rate <= 120):
        raise ProtocolError(f"got rate={rate!r}, expected 1 to 120")
    size = _read_size(said.get("size", [512, 288]))
    return Hello(key, kind, size, float(rate), resume, look, _read_codecs(said.get("codecs")))


def _read_codecs(value: object) -> tuple[str, ...]:
    """Those that are known; what a later version may have besides is left out."""
    there = value if isinstance(value, list) else []
    return (CODECS[0], *(codec for codec in CODECS[1:] if codec in there))


def _read_size(value: object) -> Size:
    if isinstance(value, list) and len(value) == 2:
        width, height = value
        if all(isinstance(s, int) and LEAST_SIDE_PX <= s <= MOST_SIDE_PX for s in value):
            return width, height
    raise ProtocolError(
        f"got size={value!r}, expected [width, height] of {LEAST_SIDE_PX} to {MOST_SIDE_PX}"
    )


def png_size(data: bytes) -> Size:
    """(width, height) that a PNG says it has; nothing is decoded.

    Raises:
        ProtocolError: It is no PNG.
    """
    if len(data) < 33 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise ProtocolError("got a picture that is no PNG")
    width, height = struct.unpack_from(">2I", data, 16)
    if not width or not height:
        raise ProtocolError("got a picture without pixels")
    return width, height


STANDALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers of JPEG that no length follows (ITU T.81, table B.1)."""

START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def jpeg_size(data: bytes) -> Size:
    """(width, height) that a JPEG says it has; nothing is decoded.

    Raises:
        ProtocolError: It is no JPEG.
    """
    if data[:2] != b"\xff\xd8":
        raise ProtocolError("got a picture that is no JPEG")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in STANDALONE:
            at += 2
        elif marker in START_OF_FRAME:
            height, width = struct.unpack_from(">2H", data, at + 5)
            if not width or not height:
                break
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ProtocolError("got a picture that is no JPEG")
