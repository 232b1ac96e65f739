"""Seats: one for each, a place in line, and who has to make room."""

from types import SimpleNamespace
from typing import Any

from stream.clock import ManualClock
from stream.studio.protocol import Close, Hello
from stream.studio.seats import IDLE_S, LOST_IN_LINE_S, LOST_S, WARN_S, Place, Seats
from stream.studio.security import Role


class FakeSeat:
    """A seat that paints nothing."""

    def __init__(self, id_: str, hello: Hello) -> None:
        self.id, self.kind, self.options = id_, hello.kind, SimpleNamespace(size=hello.size)
        self.closed = self.started = False
        self.tell = self.post = None

    def start(self) -> None:
        self.started = True

    def close(self) -> None:
        self.closed = True

    def watch(self, post: object, codecs: object = ()) -> object:
        return object()

    def unwatch(self, viewer: object) -> None:
        pass


class Outputs:
    """No outputs."""

    def close(self) -> None:
        pass


class FakePage:
    """A page that remembers what it was told."""

    def __init__(
        self, resume: str = "", kind: str = "live", size: tuple[int, int] = (512, 288)
    ) -> None:
        self.hello = Hello("", kind, size, 24.0, resume, {})
        self.role = Role.OWNER
        self.told: list[dict[str, Any]] = []
        self.place: Place | None = None
        self.ended: Close | None = None

    def send(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def send_bytes(self, message: bytes) -> None:
        pass

    def sit(self, place: Place) -> None:
        self.place = place

    def end(self, close: Close) -> None:
        self.ended = close


def make(most: int = 1) -> tuple[Seats, ManualClock]:
    count = iter(range(1000))
    clock = ManualClock()

    def seat(hello: Hello, role: Role, id_: str) -> Any:
        return FakeSeat(id_ or f"seat {next(count)}", hello), Outputs()

    seats = Seats(seat, clock)
    seats.most = most
    return seats, clock


def enter(seats: Seats, *pages: FakePage) -> None:
    for page in pages:
        seats.enter(page)


def test_the_next_in_line_is_told_and_seated() -> None:
    seats, clock = make()
    first, second, third = FakePage(), FakePage(), FakePage()
    enter(seats, first, second, third)
    assert first.place is not None and second.place is None
    assert third.told[-1] == {"busy": {"place": 2, "seats": 1}}
    assert seats.figures() == {"most": 1, "taken": 1, "waiting": 2}
    seats.leave(first)
    clock.advance(LOST_IN_LINE_S + 1)
    seats.tick()
    assert second.place is not None and third.told[-1]["busy"]["place"] == 1


def test_a_lost_seat_waits_for_its_page_and_for_nobody_else() -> None:
    seats, clock = make(2)
    page = FakePage()
    enter(seats, page)
    assert page.place is not None
    id_ = page.place.seat.id
    seats.leave(page)
    clock.advance(LOST_S - 1)
    seats.tick()
    stranger, back = FakePage(resume="guessed"), FakePage(resume=id_)
    enter(seats, stranger, back)
    assert back.place is page.place and stranger.place is not page.place
    seats.leave(back)
    clock.advance(LOST_S + 1)
    seats.tick()
    assert page.place.seat.closed


def test_a_page_opened_again_takes_the_seat_over() -> None:
    seats, _ = make()
    page = FakePage()
    enter(seats, page)
    again = FakePage(resume=page.place.seat.id)
    enter(seats, again)
    assert page.ended is Close.ELSEWHERE and again.place is page.place
    seats.leave(page)  # its socket closes later, and takes nothing away
    assert again.place.page is again


def test_another_screen_keeps_the_place_but_not_the_history() -> None:
    seats, _ = make()
    page = FakePage()
    enter(seats, page)
    old = page.place.seat
    canvas = FakePage(resume=old.id, kind="canvas", size=(640, 640))
    enter(seats, canvas)
    new = canvas.place.seat
    assert old.closed and new is not old and new.id == old.id and new.started


def test_idle_people_make_room_only_for_somebody() -> None:
    seats, clock = make()
    page = FakePage()
    enter(seats, page)
    clock.advance(10 * IDLE_S)
    seats.tick()
    assert page.ended is None
    waiting = FakePage()
    seats.active(page.place)
    enter(seats, waiting)
    clock.advance(WARN_S + 1)
    seats.tick()
    assert "idle" in page.told[-1] and page.ended is None
    clock.advance(IDLE_S - WARN_S)
    seats.tick()
    assert page.ended is Close.IDLE and waiting.place is not None


def test_who_does_something_stays() -> None:
    seats, clock = make()
    page, waiting = FakePage(), FakePage()
    enter(seats, page, waiting)
    for _ in range(10):
        clock.advance(WARN_S)
        seats.active(page.place)
        seats.tick()
    assert page.ended is None and waiting.place is None


def test_the_line_is_bounded() -> None:
    seats, _ = make()
    pages = [FakePage() for _ in range(70)]
    enter(seats, *pages)
    assert pages[-1].ended is Close.BUSY


def test_the_end_is_said_to_everybody() -> None:
    seats, _ = make()
    page, waiting = FakePage(), FakePage()
    enter(seats, page, waiting)
    seats.close()
    assert page.ended is Close.RESTART and waiting.ended is Close.RESTART
    assert page.place.seat.closed
