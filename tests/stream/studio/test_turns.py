"""Turns of the engine: whoever waits longest is next, and nobody starves."""

from collections import Counter

from fakes import FakeEngine

from stream.clock import ManualClock
from stream.studio.engine_thread import EngineThread, camera_size, seats_for


class Person:
    """Somebody with pictures to paint."""

    def __init__(self, clock: ManualClock, log: list[str], name: str, frames: int) -> None:
        self.name, self.frames, self.due_at_s = name, frames, None
        self._clock, self._log = clock, log

    @property
    def has_frame(self) -> bool:
        return self.frames > 0

    def paint_frame(self, engine: object) -> None:
        self.frames -= 1
        self._log.append(self.name)
        self._clock.advance(0.03)

    def paint_due(self, engine: object) -> None:
        self.due_at_s = None
        self._log.append(f"{self.name} due")


def make(*frames: int) -> tuple[EngineThread, list[Person], list[str], ManualClock]:
    clock, log = ManualClock(), []
    thread = EngineThread(FakeEngine, clock=clock)
    people = [
        Person(clock, log, name, count) for name, count in zip("abcdef", frames, strict=False)
    ]
    for person in people:
        thread.add(person)
    thread.start()
    return thread, people, log, clock


def test_one_who_sends_five_times_as_much_gets_no_more() -> None:
    thread, _, log, _ = make(500, 100, 100)
    for _ in range(90):
        assert thread.turn()
    assert Counter(log) == {"a": 30, "b": 30, "c": 30}


def test_who_was_painted_least_recently_is_next() -> None:
    thread, people, log, _ = make(1, 0, 0)
    thread.turn()
    people[1].frames = people[0].frames = 1
    thread.turn()
    assert log == ["a", "b"]


def test_pictures_come_before_what_is_due() -> None:
    thread, people, log, clock = make(1, 0)
    people[1].due_at_s = clock.now_s()
    thread.turn()
    thread.turn()
    assert log == ["a", "b due"]
    assert not thread.turn()


def test_what_is_due_later_waits() -> None:
    thread, people, log, clock = make(0)
    people[0].due_at_s = clock.now_s() + 1
    assert not thread.turn()
    clock.advance(1)
    assert thread.turn() and log == ["a due"]


def test_one_who_has_left_has_no_turn() -> None:
    thread, people, _, _ = make(5)
    thread.remove(people[0])
    assert not thread.turn()


def test_how_many_people_an_engine_serves() -> None:
    assert [seats_for(rate) for rate in (0.5, 9, 30, 1000)] == [1, 1, 4, 16]
    assert camera_size(256) == (512, 288)
