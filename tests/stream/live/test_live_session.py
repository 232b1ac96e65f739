"""LiveSession: newest frames to every sink, none slowed by another; every end is a proper one."""

import os
import sys
import threading
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from fakes import LIMIT_S, Breaks, ListSink, ListSource, MainThreadSink, make_frames
from live_fakes import (
    FakePainter,
    InStep,
    PreviewSink,
    SteppedSource,
    StuckSink,
    make_controls,
    make_live,
)

from stream.clock import ManualClock
from stream.errors import SinkError, SourceError
from stream.frame import Frame
from stream.live.session import TIME_BASE

COUNT = 10
LONG = 4000


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_every_sink_is_given_every_frame_when_it_keeps_up() -> None:
    source = SteppedSource(COUNT)
    step = InStep(source.step, 2)
    one, other = ListSink(on_write=step.given), ListSink(on_write=step.given)

    stats = make_live(source, [("one", one), ("other", other)]).run()

    times = [frame.pts for frame in one.frames]
    assert len(times) == COUNT
    assert times == sorted(set(times))
    assert one.frames[0].time_base == TIME_BASE
    assert (stats.frames_in, stats.frames_out, stats.dropped) == (COUNT, COUNT, 0)
    assert [frame.pts for frame in other.frames] == times
    assert stats.sinks["one"]["frames"] == stats.sinks["other"]["frames"] == COUNT
    assert (one.ended, other.ended, source.closed) == (["close"], ["close"], 1)


def test_pictures_are_painted() -> None:
    source = SteppedSource(1)
    sink = ListSink(on_write=source.step)

    make_live(source, [("list", sink)]).run()

    assert np.array_equal(sink.frames[0].data, 255 - make_frames(1)[0].data)


def test_pts_are_the_times_of_capture() -> None:
    clock = ManualClock(100.0)
    source = SteppedSource(5)
    sink = ListSink(on_write=lambda: (clock.advance(0.25), source.step()))
    session = make_live(source, [("list", sink)], clock=clock)

    session.run()

    assert [float(frame.pts * frame.time_base) for frame in sink.frames] == [0, 0.25, 0.5, 0.75, 1]


def test_a_stuck_sink_slows_no_other() -> None:
    source, stuck = SteppedSource(COUNT), StuckSink()

    def written() -> None:
        source.step()
        if len(fast.frames) == COUNT - 1:
            stuck.let_go.set()

    fast = ListSink(on_write=written)

    stats = make_live(source, [("stuck", stuck), ("fast", fast)]).run()

    assert len(fast.frames) == COUNT
    assert len(stuck.frames) < COUNT
    assert stats.sinks["stuck"]["dropped"]["newer frame"] == COUNT - len(stuck.frames)


def one_of_two_breaks(source: SteppedSource, error: Exception) -> tuple[ListSink, ListSink]:
    """Sinks that are given the same frames; the first breaks at its third."""
    step, breaks = InStep(source.step, 2), Breaks("write", 3, error)

    def given() -> None:
        if breaks.counts.get("write", 0) == 2:
            step.leave()
        else:
            step.given()

    return ListSink(breaks, on_write=given), ListSink(on_write=step.given)


def test_a_sink_that_fails_is_left_out_and_the_others_go_on() -> None:
    source = SteppedSource(COUNT)
    broken, good = one_of_two_breaks(source, SinkError("the disk is full"))
    session = make_live(source, [("broken", broken), ("good", good)])

    stats = session.run()

    assert (len(broken.frames), len(good.frames)) == (2, COUNT)
    assert broken.ended == ["abort"]
    assert session.failed_sinks == ["broken"]
    assert "The output broken failed: the disk is full" in stats.notes


def test_what_no_sink_should_raise_leaves_it_out_and_is_raised_in_the_end() -> None:
    source = SteppedSource(COUNT)
    broken, good = one_of_two_breaks(source, TypeError("a fault of ours"))
    session = make_live(source, [("broken", broken), ("good", good)])

    with pytest.raises(TypeError, match="a fault of ours"):
        session.run()

    assert (len(broken.frames), len(good.frames)) == (2, COUNT)
    assert (broken.ended, good.ended) == (["abort"], ["close"])
    assert session.failed_sinks == ["broken"]


def test_a_last_sink_that_raises_what_none_should_ends_the_session() -> None:
    broken = ListSink(Breaks("write", 1, TypeError("a fault of ours")))

    with pytest.raises(TypeError, match="a fault of ours"):
        make_live(SteppedSource(COUNT), [("broken", broken)]).run()


def test_the_last_sink_to_fail_ends_the_session() -> None:
    source = SteppedSource(COUNT)
    broken = ListSink(Breaks("write", 1, SinkError("the disk is full")))

    with pytest.raises(SinkError, match="the disk is full"):
        make_live(source, [("broken", broken)]).run()

    assert (broken.ended, source.closed) == (["abort"], 1)


def test_a_lost_source_ends_the_session_and_keeps_the_recording() -> None:
    source = SteppedSource(COUNT, breaks=Breaks("read", 4, SourceError("the cable was pulled")))
    sink = ListSink(on_write=source.step)

    with pytest.raises(SourceError, match="the cable was pulled"):
        make_live(source, [("list", sink)]).run()

    assert len(sink.frames) == 3
    assert sink.ended == ["close"]


def test_a_model_that_cannot_be_loaded_ends_the_session() -> None:
    source, sink = SteppedSource(COUNT), ListSink()
    session = make_live(source, [("list", sink)])
    session._painting._make_painter = lambda: (_ for _ in ()).throw(RuntimeError("no model"))

    with pytest.raises(RuntimeError, match="no model"):
        session.run()

    assert (sink.ended, source.closed) == (["close"], 1)


def test_a_window_is_written_and_closed_by_the_caller() -> None:
    source, threads = SteppedSource(COUNT), set()

    def written() -> None:
        threads.add(threading.current_thread())
        source.step()

    window = MainThreadSink(on_write=written)

    make_live(source, [("window", window)]).run()

    assert threads == {threading.current_thread()}
    assert len(window.frames) >= COUNT - 1  # the last may come while the session ends
    assert window.ended == ["close"]


def test_a_preview_is_shown_until_the_model_is_ready() -> None:
    source, ready = SteppedSource(6), threading.Event()
    source.can_wait = False
    painter = FakePainter()
    painter.on_paint = lambda: ready.wait(LIMIT_S)

    def previewed() -> None:
        if len(preview.frames) == 3:
            ready.set()
        source.step()

    preview = PreviewSink(on_write=previewed)
    plain = ListSink()
    frames = make_frames(6)

    make_live(source, [("preview", preview), ("plain", plain)], painter).run()

    assert np.array_equal(preview.frames[0].data, frames[0].data)
    assert all(
        any(np.array_equal(shown.data, 255 - frame.data) for frame in frames)
        for shown in plain.frames
    )


def test_a_preview_is_shown_before_the_model_is_loaded() -> None:
    """The model is loaded only when three unpainted pictures have been seen."""
    source, seen = SteppedSource(6), threading.Event()
    source.can_wait = False

    def previewed() -> None:
        if len(preview.frames) == 3:
            seen.set()
        source.step()

    preview = PreviewSink(on_write=previewed)
    session = make_live(source, [("preview", preview)])
    was_seen: list[bool] = []

    def load() -> FakePainter:
        was_seen.append(seen.wait(LIMIT_S))
        return FakePainter()

    session._painting._make_painter = load
    session.run()

    assert was_seen == [True]
    assert "first preview" in session.stats.stages
    for shown, frame in zip(preview.frames[:3], make_frames(3), strict=True):
        assert np.array_equal(shown.data, frame.data)


def test_no_preview_is_told_of_where_none_is_taken() -> None:
    source = SteppedSource(1)
    session = make_live(source, [("list", ListSink(on_write=source.step))])

    assert "first preview" not in session.run().stages


def test_a_file_shows_its_first_frame_before_the_model_is_loaded() -> None:
    source, seen = SteppedSource(2), threading.Event()
    preview = PreviewSink(on_write=lambda: (seen.set(), source.step()))
    session = make_live(source, [("preview", preview)])
    was_seen: list[bool] = []

    def load() -> FakePainter:
        was_seen.append(seen.wait(LIMIT_S))
        return FakePainter()

    session._painting._make_painter = load
    session.run()

    assert was_seen == [True]
    assert np.array_equal(preview.frames[0].data, make_frames(1)[0].data)


def test_between_paintings_the_last_one_is_moved() -> None:
    """The model is stuck in its second frame; pictures go on all the same."""
    source, stuck = SteppedSource(COUNT), threading.Event()
    painter = FakePainter(every=8)

    def painting() -> None:
        source.step()  # this frame is not shown by being painted
        if painter.painted:
            stuck.wait(LIMIT_S)

    def written() -> None:
        source.step()
        if len(sink.frames) == COUNT - 3:
            stuck.set()

    sink = ListSink(on_write=written)
    painter.on_paint = painting

    stats = make_live(source, [("list", sink)], painter).run()

    assert stats.frames_out >= COUNT - 3
    assert len(painter.painted) < stats.frames_out


def test_stop_ends_a_session_whose_source_waits() -> None:
    source = SteppedSource(1000)
    sink = ListSink(on_write=lambda: session.stop())
    session = make_live(source, [("list", sink)])

    session.run()

    assert (sink.ended, source.closed) == (["close"], 1)


def test_duration_ends_it() -> None:
    source, sink = SteppedSource(1000), ListSink()

    make_live(source, [("list", sink)], duration_s=5, clock=ManualClock()).run()

    assert (sink.ended, source.closed) == (["close"], 1)


def test_quit_from_the_controls_ends_it() -> None:
    source, controls = SteppedSource(1000), make_controls()
    sink = ListSink(on_write=lambda: controls.quit())

    make_live(source, [("list", sink)], controls=controls).run()

    assert sink.ended == ["close"]


def test_services_run_beside_it_and_are_stopped() -> None:
    class Service:
        name = "service"

        def __init__(self) -> None:
            self.stopped = threading.Event()
            self.thread = ""

        def run(self) -> None:
            self.thread = threading.current_thread().name
            self.stopped.wait(LIMIT_S)

        def stop(self) -> None:
            self.stopped.set()

    service, source = Service(), SteppedSource(3)
    sink = ListSink(on_write=source.step)

    make_live(source, [("list", sink)], services=[service]).run()

    assert service.thread == "service"


def test_a_frame_that_a_sink_dropped_is_not_counted_as_shown() -> None:
    source = SteppedSource(4)
    sink = ListSink(on_write=source.step)
    sink.took_last = False

    stats = make_live(source, [("list", sink)]).run()

    assert len(sink.frames) == 4
    assert stats.sinks["list"]["frames"] == 0


def test_too_old_frames_are_skipped_where_a_newer_one_waits() -> None:
    from stream.live.fan_out import Outlet
    from stream.stats import Stats

    clock, stats, sink = ManualClock(), Stats(), ListSink()
    outlet = Outlet("list", sink, clock=clock, stats=stats, max_age_s=0.15)
    old, newer = make_frames(2)
    outlet.channel.put(newer)
    clock.advance(0.2)

    outlet.write(old)
    outlet.channel.poll()
    outlet.write(newer)

    assert [frame.pts for frame in sink.frames] == [newer.pts]
    assert stats.sinks["list"]["dropped"] == {"too old": 1}


def test_a_long_run_grows_neither_threads_nor_files_nor_frames() -> None:
    """Thousands of frames as fast as they go: what is held late is what is held early."""
    held: list[tuple[int, int, bool]] = []
    alive: list[weakref.ref[np.ndarray]] = []

    class Endless(SteppedSource):
        count = 0

        def read(self) -> Frame | None:
            self._turn.acquire(timeout=LIMIT_S)
            self.count += 1
            template = self._frames[0]
            return None if self.count > LONG else template.replace(template.data.copy())

    class Watching(ListSink):
        def write(self, frame: Frame) -> None:
            alive.append(weakref.ref(frame.data))
            if len(alive) == LONG // 10:
                files = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
                few = sum(one() is not None for one in alive) < 20
                held.append((threading.active_count(), files, few))
                alive.clear()
            source.step()

    source = Endless(1)
    stats = make_live(source, [("list", Watching())]).run()

    assert stats.frames_out == LONG
    assert len(held) >= 9
    assert set(held) == {(*held[0][:2], True)}


def test_only_one_window_is_taken() -> None:
    with pytest.raises(ValueError, match="at most one window"):
        make_live(ListSource([]), [("a", MainThreadSink()), ("b", MainThreadSink())], FakePainter())
