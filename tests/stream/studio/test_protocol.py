"""The wire protocol: what is understood, and that everything else is refused with a reason."""

import contextlib
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studios import jpeg, plain, png

from stream.studio import pictures, protocol
from stream.studio.protocol import (
    HEADER,
    RECTANGLE,
    Close,
    Kind,
    Packet,
    ProtocolError,
    read_control,
    read_hello,
    read_packet,
    write_packet,
)

HELLO = {"hello": 1, "key": "k", "kind": "live", "size": [512, 288], "rate": 24}


def test_a_picture_comes_back_as_it_was_sent() -> None:
    coded = jpeg(plain((10, 200, 30)))
    packet = read_packet(write_packet(Packet(Kind.JPEG, 7, coded, 4, 12)))
    assert packet == Packet(Kind.JPEG, 7, coded, 4, 12, (0, 0), (128, 64))
    assert np.abs(pictures.decode(packet).astype(int) - (10, 200, 30)).max() < 4


def test_a_patch_has_its_place_and_every_pixel() -> None:
    data = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    message = write_packet(Packet(Kind.PATCH, 1, png(data)), RECTANGLE.pack(5, 6, 30, 20))
    packet = read_packet(message)
    assert (packet.place, packet.size) == ((5, 6), (30, 20))
    assert np.array_equal(pictures.decode(packet), data)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is huge."""
    return png(plain((0, 0, 0)))[:16] + struct.pack(">2I", width, height) + bytes(40)


@pytest.mark.parametrize(
    ("message", "close"),
    [
        (b"", Close.BAD_MESSAGE),
        (bytes(15), Close.BAD_MESSAGE),
        (HEADER.pack(9, 0, 0, 1, 0), Close.BAD_MESSAGE),
        (HEADER.pack(1, 0, 0, 1, 0), Close.BAD_MESSAGE),
        (HEADER.pack(1, 0, 8, 1, 0) + jpeg(plain((0, 0, 0))), Close.BAD_MESSAGE),
        (HEADER.pack(3, 0, 0, 1, 0) + png(plain((0, 0, 0))), Close.BAD_MESSAGE),
        (HEADER.pack(3, 0, 8, 1, 0) + RECTANGLE.pack(0, 0, 9, 9) + png(plain((0, 0, 0))), 4400),
        (HEADER.pack(3, 0, 8, 1, 0) + RECTANGLE.pack(0, 0, 9, 9) + bomb(65535, 65535), 1009),
        (HEADER.pack(4, 0, 0, 1, 0) + b"odd", Close.BAD_MESSAGE),
        (HEADER.pack(1, 0, 0, 1, 0) + bytes(protocol.MOST_BYTES), Close.TOO_BIG),
    ],
)
def test_what_is_no_message_is_refused_with_its_close_code(message: bytes, close: Close) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_packet(message)
    assert caught.value.close == close


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_no_message_breaks_the_reader(noise: bytes, start: bytes) -> None:
    for kind in (1, 3, 4):
        try:
            packet = read_packet(HEADER.pack(kind, 0, 8 * (kind == 3), 1, 0) + start + noise)
            if packet.kind is not Kind.SOUND:
                pictures.decode(packet)
        except ProtocolError:
            pass


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (read_control, read_hello):
        with contextlib.suppress(ProtocolError):
            read(text)


@pytest.mark.parametrize(
    "change",
    [
        {"hello": 2},
        {"hello": "1"},
        {"kind": "film"},
        {"kind": None},
        {"key": 5},
        {"size": [512]},
        {"size": [1, 1]},
        {"size": [1e9, 5]},
        {"size": "512x288"},
        {"rate": 0},
        {"rate": "24"},
        {"look": [1]},
        {"resume": 7},
    ],
)
def test_a_hello_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        read_hello(json.dumps({**HELLO, **change}))


def test_a_hello_is_understood() -> None:
    hello = read_hello(json.dumps({**HELLO, "resume": None, "look": {"prompt": "neon"}}))
    assert (hello.kind, hello.size, hello.rate, hello.resume) == ("live", (512, 288), 24.0, "")
    assert hello.look == {"prompt": "neon"}


def test_a_picture_that_does_not_decode_is_refused() -> None:
    coded = jpeg(plain((9, 9, 9)))
    head = coded[: coded.index(b"\xff\xda")]
    packet = read_packet(HEADER.pack(1, 0, 0, 1, 0) + head)
    with pytest.raises(ProtocolError):
        pictures.decode(packet)


def test_the_close_codes_are_those_of_the_documentation() -> None:
    page = Path(__file__).parents[3] / "docs" / "studio.md"
    rows = re.findall(r"^\| (\d{4}) \| (.+) \|$", page.read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(code.value), code.meaning) for code in sorted(Close)]
