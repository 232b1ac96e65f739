"""A camera's seat without a page: what it holds, and what it lets go."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from fakes import FakeEngine
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
