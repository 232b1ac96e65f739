"""A camera's seat without a page: what it holds, and what it lets go."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from fakes import LIMIT_S, FakeEngine, SizesEngine
from studios import plain

from models import Style
from stream.clock import ManualClock
from stream.live.controls import Controls, Look
from stream.live.host import LiveHost
from stream.studio.seat import Seat, SeatOptions

SIZE = 128, 96


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Python looks for what only holds itself: not now."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_seat_that_was_left_holds_no_painting_and_no_stylizer() -> None:
    clock = ManualClock()
    thread = LiveHost(FakeEngine, clock=clock)
    controls = Controls(Look(Style(), stability=0.0))
    seat = Seat("id", SeatOptions(SIZE, 24.0), controls, thread, clock=clock)
    thread.add(seat)
    thread.start()
    seat._take_in(seat._stamped(plain((9, 9, 9), SIZE), 1, clock.now_s()))
    assert thread.turn()
    stylizer = weakref.ref(seat._stylizer)
    assert stylizer() is not None
    seat.close()
    assert stylizer() is None
    assert seat.figures() == {"fps": 0.0}


def make_seat(thread: LiveHost, id_: str, size: tuple[int, int]) -> Seat:
    controls = Controls(Look(Style(), stability=0.0))
    seat = Seat(id_, SeatOptions(size, 24.0), controls, thread, clock=thread._clock)
    thread.add(seat)
    return seat


def give(seat: Seat, id_: int) -> None:
    picture = plain((id_, 9, 9), seat.options.size)
    seat._take_in(seat._stamped(picture, id_, seat.clock.now_s()))


def test_a_seat_of_a_new_size_holds_up_nobody() -> None:
    clock = ManualClock()
    engine = SizesEngine((80, 64))
    thread = LiveHost(lambda: engine, clock=clock)
    thread.start()
    here, late = make_seat(thread, "here", (128, 96)), make_seat(thread, "late", (96, 96))
    woken = threading.Event()
    wake, thread.wake = thread.wake, lambda: (wake(), woken.set())  # type: ignore[method-assign]
    give(late, 1)
    assert thread.turn()  # of the one that has to wait for its size
    assert engine.asked.wait(LIMIT_S)
    for id_ in range(2, 6):
        give(here, id_)
        assert thread.turn()
    assert engine.painted == [(80, 64)] * 4
    assert not late.has_frame and not thread.turn()
    woken.clear()
    engine.made.set()
    assert woken.wait(LIMIT_S)
    assert thread.turn()
    assert engine.painted[-1] == (64, 64) and late._shown is not None
