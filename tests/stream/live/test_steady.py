"""SteadySource: outputs get their frames at a steady rate, whatever the source waits for."""

import threading

import numpy as np
import pytest
from fakes import LIMIT_S, Breaks, ListSource, make_frames

from stream.clock import Clock, ManualClock
from stream.errors import SourceError
from stream.frame import Frame
from stream.sources.base import Source
from stream.sources.steady import SteadySource

LOST = SourceError("the cable was pulled")


def steady(inner: Source) -> tuple[SteadySource, ManualClock]:
    """One whose reading aside is done by the test."""
    clock = ManualClock(10.0)
    return SteadySource(inner, clock=clock, aside=lambda run: None), clock


def test_frames_come_as_they_are_read() -> None:
    source, _ = steady(ListSource(make_frames(3)))
    for frame in make_frames(3):
        assert source.feed.step()
        given = source.read()
        assert np.array_equal(given.data, frame.data)
        assert (given.pts, given.is_repeat) == (frame.pts, False)


def test_the_last_picture_goes_out_at_the_full_rate_while_there_is_none() -> None:
    source, clock = steady(ListSource(make_frames(2)))
    source.feed.step()
    first, begin_s = source.read(), clock.now_s()
    repeats = 0
    while clock.now_s() < begin_s + 9:
        frame = source.read()
        assert frame.is_repeat and np.array_equal(frame.data, first.data)
        repeats += 1
    assert repeats == pytest.approx(9 * 30, rel=0.02)
    source.feed.step()
    assert not source.read().is_repeat


def test_jitter_repeats_nothing() -> None:
    source, clock = steady(ListSource(make_frames(20)))
    for number in range(20):
        source.feed.step()
        assert not source.read().is_repeat
        clock.advance(0.14 if number % 3 == 0 else 0.02)


def test_an_error_aside_is_raised_where_frames_are_taken() -> None:
    inner = ListSource(make_frames(2), Breaks("read", 2, LOST))
    source, _ = steady(inner)
    source.feed.run()
    assert source.read().pts == 0
    with pytest.raises(SourceError, match="cable"):
        source.read()
    assert source.read() is None
    assert inner.closed == 1


def test_of_a_burst_the_newest_are_given() -> None:
    source, _ = steady(ListSource(make_frames(12)))
    source.feed.run()
    assert [frame.pts for frame in source] == [8, 9, 10, 11]


class Hanging(ListSource):
    """Gives one frame, then hangs in its driver until it is let go."""

    def __init__(self) -> None:
        super().__init__(make_frames(2))
        self.hangs, self.let_go, self.was_closed = (threading.Event() for _ in range(3))

    def read(self) -> Frame | None:
        if self._next == 1:
            self.hangs.set()
            self.let_go.wait(LIMIT_S)
        return super().read()

    def close(self) -> None:
        super().close()
        self.was_closed.set()


def test_a_source_that_hangs_stops_nobody_and_is_closed_when_it_lets_go() -> None:
    inner = Hanging()
    source = SteadySource(inner, clock=Clock())
    frames = [source.read() for _ in range(5)]
    assert inner.hangs.wait(LIMIT_S)
    assert [frame.is_repeat for frame in frames] == [False, True, True, True, True]
    source.interrupt()
    assert source.read() is None
    source.close()
    assert not inner.closed
    inner.let_go.set()
    assert inner.was_closed.wait(LIMIT_S)


def test_what_was_never_read_is_closed() -> None:
    inner = ListSource(make_frames(1))
    SteadySource(inner, clock=ManualClock()).close()
    assert inner.closed == 1


def test_what_can_wait_is_read_on_when_it_is_wanted() -> None:
    """A file on a server, while the model is loaded."""
    inner = ListSource(make_frames(4))
    inner.can_wait = True
    source = SteadySource(inner, clock=Clock())
    first = source.read()
    assert not source.feed.ended.wait(0.05)
    given = [first, *source]
    assert [frame.pts for frame in given if not frame.is_repeat] == [0, 1, 2, 3]
    source.close()


def test_what_can_wait_is_closed_though_nothing_more_was_wanted() -> None:
    inner = ListSource(make_frames(4))
    inner.can_wait = True
    source = SteadySource(inner, clock=Clock())
    source.read()
    source.close()
    assert source.feed.ended.wait(LIMIT_S)
    assert inner.closed == 1
