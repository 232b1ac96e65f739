"""LiveHost: turns of one engine, whose shares are measured; whole sessions that it paints for."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from fakes import LIMIT_S, FakeEngine, ListSink, ListSource, make_frames
from live_fakes import FakePainter, SteppedSource, make_controls, make_painter

from models import ModelError, Style
from stream.clock import Clock, ManualClock
from stream.errors import CapacityError
from stream.live.controls import Look
from stream.live.host import LiveHost
from stream.live.session import LiveSession
from stream.workers import Failures, Worker

COUNT = 10


class Stream:
    """A guest with so many frames left, each of which takes `cost_s`."""

    def __init__(
        self, clock: ManualClock, log: list[str], name: str, frames: int, cost_s: float = 0.03
    ) -> None:
        self.name, self.frames, self.cost_s, self.due_at_s = name, frames, cost_s, None
        self.clock, self._log = clock, log

    @property
    def has_frame(self) -> bool:
        return self.frames > 0

    def paint_frame(self, engine: object) -> None:
        self.frames -= 1
        self._log.append(self.name)
        self.clock.advance(self.cost_s)

    def paint_due(self, engine: object) -> None:
        self.due_at_s = None
        self._log.append(f"{self.name} due")


def make(*frames: int, cost_s: float = 0.03) -> tuple[LiveHost, list[Stream], list[str]]:
    clock, log = ManualClock(), []
    host = LiveHost(FakeEngine, clock=clock)
    streams = [
        Stream(clock, log, name, count, cost_s)
        for name, count in zip("abcdef", frames, strict=False)
    ]
    for one in streams:
        host.add(one)
    host.start()
    return host, streams, log


def turns(host: LiveHost, count: int) -> None:
    for _ in range(count):
        assert host.turn()


def test_each_has_as_many_turns_however_many_frames_it_sends() -> None:
    host, _, log = make(500, 100, 100)
    turns(host, 90)
    assert Counter(log) == {"a": 30, "b": 30, "c": 30}


def test_who_was_painted_least_recently_is_next() -> None:
    host, streams, log = make(1, 0, 0)
    host.turn()
    streams[1].frames = streams[0].frames = 1
    host.turn()
    assert log == ["a", "b"]


def test_pictures_come_before_what_is_due() -> None:
    host, streams, log = make(1, 0)
    streams[1].due_at_s = streams[0].clock.now_s()
    host.turn()
    host.turn()
    assert log == ["a", "b due"]
    assert not host.turn()


def test_what_is_due_later_waits() -> None:
    host, streams, log = make(0)
    streams[0].due_at_s = streams[0].clock.now_s() + 1
    assert not host.turn()
    streams[0].clock.advance(1)
    assert host.turn() and log == ["a due"]


def test_one_who_has_left_has_no_turn() -> None:
    host, streams, _ = make(5)
    host.remove(streams[0])
    assert not host.turn()


def test_shares_are_of_the_time_of_late() -> None:
    host, (one, other), _ = make(100, 100, cost_s=0.02)
    turns(host, 100)
    assert host.busy() == pytest.approx(1, abs=0.02)
    assert host.crowd(one) == pytest.approx(2, rel=0.05)
    host.remove(other)
    assert host.crowd(one) == pytest.approx(1)
    assert host.busy() == pytest.approx(0.5, abs=0.02)


def test_one_who_needs_little_slows_the_others_little() -> None:
    clock, log = ManualClock(), []
    host = LiveHost(FakeEngine, clock=clock)
    much, little = Stream(clock, log, "much", 1000, 0.04), Stream(clock, log, "little", 0, 0.02)
    host.add(much)
    host.add(little)
    host.start()
    for index in range(50):
        little.frames = int(index % 5 == 0)
        turns(host, 1 + little.frames)
    assert host.crowd(much) == pytest.approx(1.1, abs=0.03)
    assert host.crowd(little) == 2  # half of it is his, should he want it


def test_another_is_admitted_while_the_measured_need_leaves_room() -> None:
    host, (first,), _ = make(100, cost_s=0.01)
    turns(host, 20)
    clock, log = ManualClock(), []
    host.remove(first)
    host.admit(first, 24.0)
    turns(host, 20)
    for name in "bc":
        host.admit(Stream(clock, log, name, 0), 24.0)
    with pytest.raises(CapacityError, match="3 live streams leave this engine no room"):
        host.admit(Stream(clock, log, "d", 0), 24.0)
    host.admit(Stream(clock, log, "e", 0), 6.0)


def test_the_first_is_admitted_however_slow_the_engine_is() -> None:
    host, _, _ = make()
    host.admit(Stream(ManualClock(), [], "a", 0), 1000.0)


@pytest.mark.parametrize(("crowd", "gives_up"), [(1.0, False), (2.0, True)])
def test_a_governor_counts_the_others_as_slowness_of_its_own(crowd: float, gives_up: bool) -> None:
    clock = ManualClock()

    class Timed(FakeEngine):
        def denoise(self, *given: object, **named: object) -> object:
            clock.advance(0.03)
            return super().denoise(*given, **named)

    painter = make_painter(Timed(), clock, fps_target=24.0)
    painter.crowd = lambda: crowd
    for frame in make_frames(30):
        painter.paint(frame, Look(Style(), stability=0.0))
    assert painter.gives_up is gives_up


# Sessions


@pytest.fixture
def host() -> Iterator[LiveHost]:
    host, failures = LiveHost(FakeEngine, clock=Clock()), Failures()
    worker = Worker("engine", [host.run], failures, LIMIT_S)
    worker.start()
    yield host
    host.stop()
    worker.join()
    failures.raise_first()


class ThreadNoting(FakePainter):
    """Notes in which threads it paints."""

    threads: set[str]

    def paint(self, frame: object, look: object) -> object:
        self.threads.add(threading.current_thread().name)
        return super().paint(frame, look)


def hosted(host: LiveHost, source: ListSource, sink: ListSink, painter: FakePainter) -> LiveSession:
    return LiveSession(
        source,
        lambda: painter,
        [("list", sink)],
        controls=make_controls(),
        host=host,
        join_limit_s=LIMIT_S,
    )


def test_two_sessions_are_painted_by_one_thread_and_each_loses_nothing(host: LiveHost) -> None:
    ThreadNoting.threads = set()
    done: list[int] = []
    failures = Failures()

    def run() -> None:
        source = SteppedSource(COUNT)
        sink = ListSink(on_write=source.step)
        hosted(host, source, sink, ThreadNoting()).run()
        done.append(len(sink.frames))

    sessions = [Worker("session", [run], failures, LIMIT_S) for _ in range(2)]
    for one in sessions:
        one.start()
    for one in sessions:
        one.join()
    failures.raise_first()
    assert done == [COUNT, COUNT]
    assert ThreadNoting.threads == {"engine"}


def test_a_session_that_fails_in_its_turn_ends_and_the_host_goes_on(host: LiveHost) -> None:
    class Fails(FakePainter):
        def paint(self, frame: object, look: object) -> object:
            raise ModelError("the card fell out")

    with pytest.raises(ModelError, match="fell out"):
        hosted(host, SteppedSource(COUNT), ListSink(), Fails()).run()
    source = SteppedSource(COUNT)
    sink = ListSink(on_write=source.step)
    hosted(host, source, sink, FakePainter()).run()
    assert len(sink.frames) == COUNT


def test_the_last_frame_of_a_session_is_painted(host: LiveHost) -> None:
    source = SteppedSource(1)
    sink = ListSink(on_write=source.step)
    hosted(host, source, sink, FakePainter()).run()
    assert len(sink.frames) == 1
