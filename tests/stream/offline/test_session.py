"""Session: order, ends and failures. It must end, leave no thread, and raise what broke first."""

import signal
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fakes import (
    COUNT,
    LIMIT_S,
    Breaks,
    FakeEngine,
    ListSink,
    ListSource,
    MainThreadSink,
    make_frames,
    make_session,
)
from torch import Tensor

from stream.errors import SinkError
from stream.frame import Frame
from stream.offline.session import Session
from stream.stylizer.output_frames import Painted
from stream.stylizer.stylizer import Stylizer


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_every_frame_comes_out_once_and_in_order() -> None:
    frames = make_frames(50)
    session, source, sink = make_session(ListSource(frames))

    stats = session.run()

    assert [frame.pts for frame in sink.frames] == list(range(50))
    assert [frame.duration for frame in sink.frames] == [1] * 50
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (50, 50, 0)
    assert sink.ended == ["close"]
    assert source.closed == 1


def test_uneven_time_stamps_pass_unchanged() -> None:
    times = [0, 7, 8, 90_000, 90_001]
    frames = [
        Frame(frame.data, pts, Fraction(1, 90_000), None)
        for frame, pts in zip(make_frames(5), times, strict=True)
    ]
    session, _, sink = make_session(ListSource(frames))

    session.run()

    assert [frame.pts for frame in sink.frames] == times
    assert {frame.time_base for frame in sink.frames} == {Fraction(1, 90_000)}


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
def test_two_runs_are_equal_byte_for_byte(sink_class: type[ListSink]) -> None:
    runs = []
    for _ in range(2):
        stylizer, sink = Stylizer(FakeEngine(), stability=0.5), sink_class()
        Session(ListSource(make_frames(20)), stylizer, sink).run()
        runs.append([frame.data.tobytes() for frame in sink.frames])

    assert runs[0] == runs[1]


def test_each_thing_is_touched_by_its_own_thread() -> None:
    names: dict[str, set[str]] = {"source": set(), "sink": set(), "engine": set()}

    class Named(Breaks):
        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

        def __call__(self, name: str) -> None:
            names[self.what].add(threading.current_thread().name)

    session, _, _ = make_session(
        ListSource(make_frames(5), Named("source")),
        FakeEngine(Named("engine")),
        ListSink(Named("sink")),
    )
    session.run()

    caller = threading.current_thread().name
    assert names == {"source": {"capture"}, "sink": {"writer"}, "engine": {caller}}


def test_the_next_frames_are_painted_while_one_is_finished() -> None:
    painted_more = threading.Event()

    class Slow(Stylizer):
        count = 0

        def paint(self, frame: Frame | None) -> Painted:
            self.count += 1
            if self.count == 3:
                painted_more.set()
            return super().paint(frame)

        def finish(self, painted: Painted) -> Iterable[Frame]:
            assert painted_more.wait(LIMIT_S)  # set by nobody, were it this thread that paints
            return super().finish(painted)

    sink = ListSink()
    Session(ListSource(make_frames(5)), Slow(FakeEngine()), sink).run()

    assert [frame.pts for frame in sink.frames] == list(range(5))


@pytest.mark.parametrize("settings", [{"look_ahead": True}, {"every": 3}, {"batch": 4}])
def test_finishing_aside_changes_no_picture(settings: dict[str, Any]) -> None:
    frames, sink = make_frames(70), ListSink()
    by_hand = Stylizer(FakeEngine(), **settings)
    expected = [out for frame in [*frames, None] for out in by_hand.process(frame)]

    Session(ListSource(frames), Stylizer(FakeEngine(), **settings), sink).run()

    assert [frame.pts for frame in sink.frames] == [frame.pts for frame in frames]
    for frame, other in zip(sink.frames, expected, strict=True):
        assert np.array_equal(frame.data, other.data)


def test_main_thread_sink_is_written_and_closed_by_the_caller() -> None:
    threads = set()
    sink = MainThreadSink(on_write=lambda: threads.add(threading.current_thread()))
    session, _, _ = make_session(sink=sink)

    session.run()

    assert threads == {threading.current_thread()}
    assert [frame.pts for frame in sink.frames] == list(range(COUNT))
    assert sink.ended == ["close"]


def test_empty_source_ends_with_a_closed_sink() -> None:
    session, _, sink = make_session(ListSource([]))

    stats = session.run()

    assert (stats.frames_in, stats.frames_out, sink.ended) == (0, 0, ["close"])


def test_stats_hold_stages_latency_and_notes_of_both_ends() -> None:
    session, _, _ = make_session()

    stats = session.run()

    assert list(stats.stages) == [
        *("read", "prepare", "decide", "encode", "denoise", "decode", "blend", "finish", "write")
    ]
    assert stats.latency_ms["p50"] > 0
    assert stats.notes == ["read from a list", "kept in a list"]


def test_on_frame_is_told_of_every_written_frame() -> None:
    told: list[int] = []
    session, _, _ = make_session(on_frame=lambda frame: told.append(frame.pts))

    session.run()

    assert told == list(range(COUNT))


def test_session_runs_once() -> None:
    session, _, _ = make_session()
    session.run()

    with pytest.raises(RuntimeError, match="make a new one"):
        session.run()


# Stop and Ctrl-C


def ctrl_c() -> None:
    """Send the main thread the real signal: it leaves whatever it waits in."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def test_stop_finishes_what_was_read() -> None:
    """The frames that come out are the first ones, without a hole, and the sink is closed."""
    session, source, sink = make_session(
        ListSource(make_frames(500)), on_frame=lambda frame: frame.pts == 5 and session.stop()
    )

    stats = session.run()

    assert 6 <= len(sink.frames) < 500
    assert [frame.pts for frame in sink.frames] == list(range(len(sink.frames)))
    assert stats.frames_in == stats.frames_out
    assert (sink.ended, source.closed) == (["close"], 1)


def test_stop_from_the_painting_thread_finishes_what_was_read() -> None:
    """As a signal handler does, which runs in the main thread wherever that is."""

    class Stops(FakeEngine):
        def encode(self, image: Tensor) -> Tensor:
            if self.calls.counts.get("encode") == 3:
                session.stop()
            return super().encode(image)

    session, _, sink = make_session(ListSource(make_frames(500)), Stops())

    stats = session.run()

    assert [frame.pts for frame in sink.frames] == list(range(len(sink.frames)))
    assert 4 <= stats.frames_in == stats.frames_out < 500
    assert sink.ended == ["close"]


def test_ctrl_c_while_the_threads_start_ends_properly() -> None:
    """The first read is in the capture thread, before the writer has started."""
    once = iter([ctrl_c])
    source = ListSource(make_frames(500), before_read=lambda: next(once, lambda: None)())
    session, _, sink = make_session(source)

    with pytest.raises(KeyboardInterrupt):
        session.run()

    assert (sink.ended, source.closed) == (["close"], 1)


@pytest.mark.parametrize("delay_s", [0.0, 0.0003, 0.001, 0.003, 0.01, 0.03])
def test_ctrl_c_at_any_moment_leaves_a_closed_sink_without_holes(delay_s: float) -> None:
    source = ListSource(make_frames(COUNT))
    session, _, sink = make_session(source)
    kicker = threading.Thread(target=lambda: (threading.Event().wait(delay_s), ctrl_c()))

    with suppress(KeyboardInterrupt):
        kicker.start()
        session.run()
        kicker.join()

    kicker.join()
    if source.calls.counts:
        assert sink.ended == ["close"]
    assert [frame.pts for frame in sink.frames] == list(range(len(sink.frames)))


def test_stop_before_run_writes_nothing() -> None:
    session, source, sink = make_session()
    session.stop()

    stats = session.run()

    assert (stats.frames_in, sink.frames, sink.ended, source.closed) == (0, [], ["close"], 1)


def test_stop_may_come_after_the_end() -> None:
    session, _, sink = make_session()
    session.run()

    session.stop()

    assert sink.ended == ["close"]


@pytest.mark.parametrize("sink_class", [ListSink, MainThreadSink])
def test_ctrl_c_closes_the_sink_and_is_passed_on(sink_class: type[ListSink]) -> None:
    engine = FakeEngine(Breaks("denoise", 6, KeyboardInterrupt()))
    session, source, sink = make_session(engine=engine, sink=sink_class())

    with pytest.raises(KeyboardInterrupt):
        session.run()

    assert [frame.pts for frame in sink.frames] == list(range(5))
    assert (sink.ended, source.closed) == (["close"], 1)
    assert session.stats.frames_out == 5


def test_ctrl_c_while_the_loop_waits_for_a_frame_ends_it() -> None:
    """A real signal, in the main thread, which waits inside the channel."""
    release, reads = threading.Event(), []

    def third_read_hangs() -> None:
        reads.append(None)
        if len(reads) == 3:
            ctrl_c()
            release.wait(LIMIT_S)

    class LetsGo(ListSink):
        def close(self) -> None:
            super().close()
            release.set()

    source = ListSource(make_frames(COUNT), before_read=third_read_hangs)
    session, _, sink = make_session(source, sink=LetsGo())

    with pytest.raises(KeyboardInterrupt):
        session.run()

    assert sink.ended == ["close"]
    assert [frame.pts for frame in sink.frames] == list(range(len(sink.frames)))


def test_ctrl_c_while_the_writer_finishes_lets_it_finish() -> None:
    class Interrupts(ListSink):
        def close(self) -> None:
            ctrl_c()
            super().close()

    session, _, sink = make_session(sink=Interrupts())

    with pytest.raises(KeyboardInterrupt):
        session.run()

    assert len(sink.frames) == COUNT
    assert sink.ended == ["close"]


def test_output_that_cannot_be_closed_outranks_ctrl_c() -> None:
    session, _, _ = make_session(
        engine=FakeEngine(Breaks("denoise", 4, KeyboardInterrupt())),
        sink=ListSink(Breaks("close", 1, SinkError("the disk is full"))),
    )

    with pytest.raises(SinkError, match="the disk is full"):
        session.run()


# Memory


def test_frames_in_memory_are_bounded() -> None:
    """A sink that is slower than the source holds the source back."""
    alive: list[weakref.ref[Frame]] = []
    most = 0

    class Fresh(ListSource):
        def read(self) -> Frame | None:
            frame = super().read()
            if frame is None:
                return None
            # Frame has slots and takes no weak reference; its array does
            data = frame.data.copy()
            alive.append(weakref.ref(data))
            return frame.replace(data)

    class Forgets(ListSink):
        def write(self, frame: Frame) -> None:
            nonlocal most
            most = max(most, sum(ref() is not None for ref in alive))

    session, _, _ = make_session(Fresh(make_frames(200)), sink=Forgets(), capacity=2)

    session.run()

    assert most <= 2 + 3  # the inbox, and one in each thread's hands
