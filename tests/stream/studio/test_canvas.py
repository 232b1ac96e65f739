"""The canvas without a browser: every patch, the last stroke, rest, silence, a timelapse."""

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fakes import FakeEngine
from studios import plain, png

from models import ModelError, Style
from stream.clock import ManualClock
from stream.live.controls import Controls, Look
from stream.live.host import LiveHost
from stream.studio.canvas import PAPER_RGB, CanvasPicture, Timelapse, make_grain
from stream.studio.canvas_seat import REST_S, CanvasSeat
from stream.studio.protocol import AT_REST, Close, Kind, Packet, ProtocolError
from stream.studio.seat import SeatOptions

SIDE = 128


def patch(id_: int, colour: tuple[int, int, int], place: tuple[int, int] = (0, 0)) -> Packet:
    data = plain(colour, (32, 32))
    return Packet(Kind.PATCH, id_, png(data), 0, 0, place, (32, 32))


class ByHand:
    """A canvas seat whose threads are called by hand."""

    def __init__(self, engine: Any = None, prompts: tuple[str, ...] = ()) -> None:
        self.clock = ManualClock()
        self.engine = engine or FakeEngine()
        self.thread = LiveHost(lambda: self.engine, clock=self.clock)
        controls = Controls(Look(Style(), stability=0.0))
        options = SeatOptions((SIDE, SIDE), 24.0, prompts)
        self.seat = CanvasSeat("id", options, controls, self.thread, clock=self.clock)
        self.told: list[dict[str, Any]] = []
        self.posted: list[bytes] = []
        self.seat.tell, self.seat.post = self.told.append, self.posted.append
        self.shown: list[tuple[int, int]] = []
        self.thread.add(self.seat)
        self.thread.start()
        show = self.seat._show

        def note(frame: Any, painted: Any, size: Any) -> None:
            self.shown.append((frame.mark, self.seat._flags_of(frame)))
            show(frame, painted, size)

        self.seat._show = note  # type: ignore[method-assign]

    def draw(self, *packets: Packet) -> None:
        for packet in packets:
            self.seat.take(packet)
            self.seat._decode(self.seat._packets.get())

    def settle(self, seconds: float = 30.0) -> None:
        """Let time pass in small steps, with every turn that is wanted."""
        end_s = self.clock.now_s() + seconds
        while self.clock.now_s() < end_s:
            while self.thread.turn():
                pass
            self.clock.advance(0.05)


def test_patches_are_put_where_they_belong() -> None:
    picture = CanvasPicture((SIDE, 64))
    picture.apply(plain((1, 2, 3), (10, 20)), (100, 40))
    seen = picture.with_grain(0)
    assert (seen[40:60, 100:110] == (1, 2, 3)).all()
    assert (seen[:40] == PAPER_RGB).all() and (seen[40:60, 110:] == PAPER_RGB).all()
    for place in ((119, 0), (0, 45), (SIDE, 64)):
        with pytest.raises(ProtocolError):
            picture.apply(plain((1, 2, 3), (10, 20)), place)


def test_the_grain_is_fixed_and_as_strong_as_asked() -> None:
    field = make_grain((256, 256))
    assert abs(field.mean()) < 1e-3 and abs(field.std() - 1) < 1e-3
    picture = CanvasPicture((256, 256))
    picture.apply(plain((120, 120, 120), (256, 256)), (0, 0))
    grained = picture.with_grain(6.0)
    assert 5.5 < grained.std() < 6.5
    assert np.array_equal(grained, picture.with_grain(6.0))


def test_the_last_stroke_is_painted_once_more_at_rest_and_then_there_is_silence() -> None:
    easy = ByHand()
    for id_ in range(1, 6):
        easy.draw(patch(id_, (10 * id_, 0, 0)))
        easy.thread.turn()
    assert easy.shown == [(id_, 0) for id_ in range(1, 6)]
    easy.settle()
    assert easy.shown[5:] == [(5, AT_REST)]
    assert easy.told[-1] == {"ack": 5}


def test_patches_that_come_while_it_paints_are_painted_together_as_the_newest() -> None:
    easy = ByHand()
    easy.draw(patch(1, (0, 0, 0)), patch(2, (9, 0, 0), (40, 0)), patch(3, (0, 9, 0), (80, 0)))
    easy.settle(0.1)
    assert easy.shown == [(3, 0)]
    assert [message["ack"] for message in easy.told if "ack" in message] == [1, 2, 3]


def test_no_rest_while_somebody_draws() -> None:
    easy = ByHand()
    for id_ in range(1, 20):
        easy.draw(patch(id_, (id_, 0, 0)))
        easy.settle(REST_S / 2)
    assert AT_REST not in {flags for _, flags in easy.shown}
    assert easy.shown[-1][0] == 19


def test_another_look_is_painted_though_nothing_was_drawn() -> None:
    easy = ByHand()
    easy.draw(patch(1, (50, 90, 20)))
    easy.settle()
    before = len(easy.shown)
    easy.seat.change({"prompt": "neon"})
    easy.settle()
    assert easy.shown[before:] == [(1, 0), (1, AT_REST)]
    easy.seat.change({"grain": 0})
    assert easy.seat.look_as_dict()["grain"] == 0.0
    for wrong in ({"grain": 21}, {"grain": "much"}, {"grain": True}, {"colour": 1}):
        with pytest.raises(ValueError):
            easy.seat.change(wrong)


def test_at_rest_every_style_is_tried_once_on_the_drawing() -> None:
    easy = ByHand(prompts=("neon", "charcoal"))
    easy.draw(patch(1, (50, 90, 20)))
    easy.settle()
    assert [message[0] for message in easy.posted] == [Kind.THUMBNAIL] * 2
    easy.settle(100)
    assert len(easy.posted) == 2


def test_a_page_that_sends_before_it_was_acknowledged_is_cut_off() -> None:
    easy = ByHand()
    with pytest.raises(ProtocolError) as caught:
        for id_ in range(100):
            easy.seat.take(patch(id_, (0, 0, 0)))
    assert caught.value.close is Close.TOO_FAST
    with pytest.raises(ProtocolError):
        easy.seat.take(Packet(Kind.JPEG, 1, b""))


def test_a_model_that_fails_is_said_and_may_be_tried_again() -> None:
    class Failing(FakeEngine):
        fails = True

        def begin(self, *args: Any, **options: Any) -> Any:
            if self.fails:
                raise ModelError("The model ran out of memory.")
            return super().begin(*args, **options)

        def in_flight(self, ahead: bool = False) -> int:
            return 1

    engine = Failing()
    easy = ByHand(engine)
    easy.draw(patch(1, (0, 0, 0)))
    easy.settle(1)
    assert {"failed": "The model ran out of memory."} in easy.told and not easy.shown
    engine.fails = False
    easy.draw(patch(2, (0, 0, 0)))
    easy.settle(1)
    assert easy.shown[0] == (2, 0)


def test_a_timelapse_is_thinned_out_evenly_and_becomes_a_video(tmp_path: Path) -> None:
    film = Timelapse(most=8)
    assert film.write(tmp_path / "none.mp4") == 0
    for index in range(100):
        film.keep(plain((2 * index, 0, 0), (64, 64)))
        assert len(film) < 8
    count = film.write(tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == count
    reds = [float(frame[..., 0].mean()) for frame in frames]
    assert reds == sorted(reds) and reds[-1] > 140 and reds[0] < 80


def test_a_timelapse_begins_anew_where_the_size_changes() -> None:
    film = Timelapse()
    film.keep(plain((1, 1, 1), (64, 64)))
    film.keep(plain((1, 1, 1), (32, 32)))
    assert len(film) == 1


def test_the_painting_at_rest_has_full_effort() -> None:
    """The governor is made to give up everything; at rest the picture is as without it."""
    easy = ByHand()
    easy.seat.change({"steps": 4})
    easy.draw(patch(1, (200, 10, 10)))
    easy.thread.turn()
    stylizer = easy.seat._stylizer
    assert stylizer is not None
    governor = stylizer._governor
    while governor.observe(9.0, easy.clock.now_s()) is not None or governor.level == 0:
        pass
    assert stylizer.effort.every == 1 and stylizer.gives_up
    easy.draw(patch(2, (10, 200, 10), (64, 64)))
    easy.settle()
    at_rest = easy.seat._shown
    assert at_rest is not None and easy.shown[-1] == (2, AT_REST)
    fresh = ByHand()
    fresh.seat.change({"steps": 4})
    fresh.draw(patch(1, (200, 10, 10)), patch(2, (10, 200, 10), (64, 64)))
    fresh.thread.turn()
    assert fresh.seat._shown is not None
    assert np.array_equal(at_rest.data, fresh.seat._shown.data)


def test_a_photo_has_every_pixel() -> None:
    easy = ByHand()
    easy.draw(patch(1, (200, 10, 10)))
    easy.settle()
    frame = easy.seat._shown
    assert frame is not None
    easy.seat._send_photo(frame)
    coded = np.frombuffer(easy.posted[-1][16:], np.uint8)
    assert np.array_equal(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), frame.data)
