"""Pictures as H.264: what is encoded can be decoded, from each key picture on."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from studios import SIZE, FakePage, RunningStudio, plain, running_studio

from stream.studio.h264 import H264Decoder, H264Encoder
from stream.studio.protocol import HEADER, KEY, Kind, Packet, ProtocolError, write_packet

BITS = 1_000_000
ORANGE, BLUE = (200, 120, 40), (20, 60, 210)


def coded(colours: list[tuple[int, int, int]], *keys: int) -> list[tuple[bytes, bool]]:
    encoder = H264Encoder(SIZE, 24.0, BITS)
    return [
        encoder.encode(plain(colour), index / 24, key=index in keys)
        for index, colour in enumerate(colours)
    ]


def is_near(data: NDArray[np.uint8] | None, colour: tuple[int, int, int]) -> bool:
    return data is not None and int(np.abs(data.astype(int) - colour).max()) <= 6


def test_each_picture_comes_back_at_once_in_its_colours() -> None:
    decoder = H264Decoder()
    for colour, (payload, is_key) in zip([ORANGE, BLUE], coded([ORANGE, BLUE]), strict=True):
        assert is_near(decoder.decode(payload, key=is_key), colour)


def test_decoding_begins_at_a_key_picture_that_was_asked_for() -> None:
    pictures = coded([ORANGE, ORANGE, BLUE, BLUE], 2)
    assert [is_key for _, is_key in pictures] == [True, False, True, False]
    decoder = H264Decoder()
    assert decoder.decode(pictures[1][0], key=False) is None and decoder.needs_key
    assert is_near(decoder.decode(pictures[2][0], key=True), BLUE) and not decoder.needs_key
    decoder.forget()
    assert decoder.decode(pictures[3][0], key=False) is None and decoder.needs_key


def test_an_odd_column_is_left_out() -> None:
    payload, _ = H264Encoder((65, 33), 24.0, BITS).encode(plain(ORANGE, (65, 33)), 0.0, key=True)
    data = H264Decoder().decode(payload, key=True)
    assert data is not None and data.shape == (32, 64, 3)


@pytest.mark.parametrize("payload", [b"rubbish" * 20, bytes(64)])
def test_what_is_no_h264_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot be decoded"):
        H264Decoder().decode(payload, key=True)


def test_a_picture_that_is_too_large_is_refused_before_it_has_room() -> None:
    size = (4096, 2304)
    payload, _ = H264Encoder(size, 24.0, BITS).encode(plain(BLUE, size), 0.0, key=True)
    with pytest.raises(ProtocolError, match="cannot be decoded"):
        H264Decoder().decode(payload, key=True)


def send(page: FakePage, number: int, picture: tuple[bytes, bool]) -> None:
    flags = KEY if picture[1] else 0
    page.socket.send(write_packet(Packet(Kind.H264, number, picture[0], flags)))


def test_a_camera_may_send_h264_and_is_asked_for_a_key_picture(tmp_path: Any) -> None:
    pictures = coded([ORANGE, ORANGE, BLUE], 2)
    with running_studio(tmp_path) as studio:
        page = FakePage(studio.port).hello(codecs=["jpeg", "h264", "of a later version"])
        assert "h264" in page.until("welcome")["codecs"]
        send(page, 1, pictures[1])
        page.until("key")
        send(page, 2, pictures[2])
        seat = newest_seat(studio)
        page.painting(lambda id_, flags: id_ == 2)
        assert is_near(seat._newest.data, BLUE)
        page.close()


def test_a_page_on_a_slow_link_is_sent_h264_that_begins_with_a_key_picture(tmp_path: Any) -> None:
    with running_studio(tmp_path) as studio:
        page = FakePage(studio.port).hello(codecs=["jpeg", "h264"])
        page.until("welcome")
        viewer = studio.runner._studio.seats.places[-1].viewer
        now_s = 0.0
        while not viewer._sink.ladder.step.bits_per_s:
            now_s += 1.0
            viewer._sink.ladder.observe(1.0, now_s)
        page.send_picture(1, plain(ORANGE))
        while True:
            message = page.socket.recv(timeout=600)
            if isinstance(message, bytes):
                kind, flags, extra, id_, _ = HEADER.unpack_from(message)
                break
        assert (kind, flags & KEY, id_) == (Kind.H264, KEY, 1)
        data = H264Decoder().decode(message[HEADER.size + extra :], key=True)
        assert data is not None and data.shape == (64, 128, 3)
        page.close()


def newest_seat(studio: RunningStudio) -> Any:
    return studio.runner._studio.seats.places[-1].seat
