"""Clock and Pacer: when a frame is due. Nothing in here sleeps."""

import signal
import sys
import threading

import pytest
from fakes import LIMIT_S

from stream.clock import SLICE_S, Clock, ManualClock, Pacer, ReentrantEvent, wait_for

FRAME_S = 1 / 25


def test_clock_never_goes_back() -> None:
    clock = Clock()
    readings = [clock.now_s() for _ in range(100)]

    assert readings == sorted(readings)


def test_clock_does_not_wait_once_stopped() -> None:
    stop = threading.Event()
    stop.set()

    assert Clock().wait(stop, 3600)


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(5.0)
    clock.advance(0.25)

    assert clock.now_s() == clock.now_s() == 5.25


def test_manual_clock_moves_on_when_it_waits() -> None:
    clock = ManualClock()

    assert not clock.wait(threading.Event(), 2.0)
    assert clock.now_s() == 2.0


def test_manual_clock_does_not_move_once_stopped() -> None:
    clock, stop = ManualClock(), threading.Event()
    stop.set()

    assert clock.wait(stop, 2.0)
    assert clock.now_s() == 0.0


def test_manual_clock_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="expected 0 or more"):
        ManualClock().advance(-1)


def test_first_frame_is_due_at_once_whatever_its_pts() -> None:
    assert Pacer().delay_s(1234.5, 99.0) == 0.0


def test_frames_are_due_at_their_own_distance() -> None:
    pacer = Pacer()
    pacer.delay_s(10.0, 100.0)

    assert pacer.delay_s(10.0 + FRAME_S, 100.01) == pytest.approx(FRAME_S - 0.01)


def test_uneven_frames_are_paced_by_their_pts() -> None:
    pacer, now_s, shown_s = Pacer(), 100.0, []
    for time_s in (0.0, 0.04, 0.30, 0.31):
        now_s += pacer.delay_s(time_s, now_s)
        shown_s.append(now_s - 100.0)

    assert shown_s == pytest.approx([0.0, 0.04, 0.30, 0.31])


def test_small_delay_is_caught_up() -> None:
    pacer = Pacer()
    pacer.delay_s(0.0, 0.0)

    assert pacer.delay_s(0.04, 0.10) == 0.0
    assert pacer.delay_s(0.20, 0.11) == pytest.approx(0.09)


def test_long_stall_starts_anew() -> None:
    pacer = Pacer()
    pacer.delay_s(0.0, 0.0)

    assert pacer.delay_s(0.04, 30.0) == 0.0
    assert pacer.delay_s(0.08, 30.0) == pytest.approx(0.04)


@pytest.mark.parametrize("jump_s", [-5.0, 1000.0])
def test_jump_in_pts_starts_anew(jump_s: float) -> None:
    pacer = Pacer()
    pacer.delay_s(10.0, 0.0)

    assert pacer.delay_s(10.0 + jump_s, 0.04) == 0.0
    assert pacer.delay_s(10.0 + jump_s + 0.04, 0.04) == pytest.approx(0.04)


def test_small_step_back_in_pts_starts_anew() -> None:
    pacer = Pacer()
    pacer.delay_s(10.0, 0.0)

    assert pacer.delay_s(9.99, 0.0) == 0.0
    assert pacer.delay_s(10.03, 0.0) == pytest.approx(0.04)


def test_no_drift_over_a_long_run() -> None:
    pacer, now_s = Pacer(), 0.0
    for index in range(100_000):
        now_s += pacer.delay_s(index / 25, now_s) + 1e-4

    assert now_s == pytest.approx(99_999 / 25, abs=1e-3)


def test_reset_makes_the_next_frame_due_at_once() -> None:
    pacer = Pacer()
    pacer.delay_s(0.0, 0.0)
    pacer.reset()

    assert pacer.delay_s(1.0, 0.0) == 0.0


def test_an_event_is_waited_for_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a Ctrl-C is heard where a wait does not hear it."""
    event, waits = threading.Event(), []

    def wait(limit_s: float) -> bool:
        waits.append(limit_s)
        if len(waits) == 3:
            event.set()
        return event.is_set()

    monkeypatch.setattr(event, "wait", wait)
    assert wait_for(event)
    assert waits == [SLICE_S] * 3
    assert not wait_for(threading.Event(), 0)


def test_an_event_is_set_where_the_same_thread_holds_its_lock() -> None:
    """As a signal handler does that comes in the middle of a wait."""
    event = ReentrantEvent()

    def wait() -> None:
        with event._cond:  # what `wait` does first
            event.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert wait_for(event, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timer")
def test_a_signal_ends_a_wait_whenever_it_comes() -> None:
    for index in range(200):
        event = ReentrantEvent()
        before = signal.signal(signal.SIGALRM, lambda number, frame, event=event: event.set())
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + index % 20))
            assert wait_for(event, LIMIT_S)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
