"""A live session into a real file by a clock that stands still until it is moved: each frame is
read when every output has the one before, so that none is dropped and every time is known.
"""

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fakes import LIMIT_S
from light_live import NegativePainter
from live_fakes import InStep

from models import Style
from stream.clock import Clock, ManualClock
from stream.frame import Frame
from stream.live.controls import Controls, Look
from stream.live.fan_out import Outlet
from stream.live.session import TIME_BASE, LiveSession
from stream.sinks.video import VideoSink
from stream.sources import open_source
from stream.sources.base import Source
from stream.sources.paced import PacedSource
from stream.stats import Stats
from stream.video_info import VideoInfo

RATE = 24


class SteppedFile(PacedSource):
    """A file by the clock that reads on when the frame before has arrived."""

    def __init__(self, path: Path, clock: Clock, **options: bool) -> None:
        self.turn = threading.Semaphore(1)
        super().__init__(lambda: open_source(path), clock=clock, sound=True, **options)

    def read(self) -> Frame | None:
        self.turn.acquire(timeout=LIMIT_S)
        return super().read()

    def interrupt(self) -> None:
        super().interrupt()
        self.turn.release()

    def step(self) -> None:
        self.turn.release()


class ReadersClock(ManualClock):
    """Moved by whoever reads a source: the main thread waits until that has come so far.

    Args:
        start_s: What it shows at first, in seconds.
        main_ends: The main thread is to end the session in time: from the second frame on, the
            time is moved only while that thread waits for a later one.
    """

    def __init__(self, start_s: float, *, main_ends: bool) -> None:
        super().__init__(start_s)
        self._main_ends = main_ends
        self._main_until_s = start_s
        self._is_first = True

    def wait(self, stop: threading.Event, delay_s: float) -> bool:
        if threading.current_thread() is not threading.main_thread():
            if self._main_ends and not self._is_first:
                self._wait_for_main(stop)
            self._is_first = False
            return super().wait(stop, delay_s)
        self._main_until_s = self.now_s() + delay_s
        while self.now_s() < self._main_until_s and not stop.wait(0.005):
            pass
        return stop.is_set()

    def _wait_for_main(self, stop: threading.Event) -> None:
        """Until the main thread waits for a later time, or has ended the session."""
        for _ in range(LIMIT_S * 200):
            if self._main_until_s > self.now_s() or stop.wait(0.005):
                return
        raise AssertionError("the main thread neither waits nor ends the session")


def put_in_step(patch: pytest.MonkeyPatch, *, main_ends: bool = False) -> ManualClock:
    """Let `allaprima live` run by a clock of its own: a file's next frame is read when every
    output, the recording of the source too, has been given the one before, and then it is due. To
    be used with ``--governor off``; what the outputs get does not depend on the machine then.
    """
    clock, turn = ReadersClock(1000.0, main_ends=main_ends), threading.Semaphore(1)
    read, interrupt = PacedSource.read, PacedSource.interrupt
    open_outlet, write = Outlet.__init__, Outlet.write
    in_step = InStep(turn.release)

    def stepped_read(source: PacedSource) -> Frame | None:
        turn.acquire(timeout=LIMIT_S)
        return read(source)

    def counted(outlet: Outlet, *args: object, **options: object) -> None:
        open_outlet(outlet, *args, **options)
        in_step.join()

    def stepped_write(outlet: Outlet, frame: Frame) -> None:
        write(outlet, frame)
        in_step.given()

    def stepped_interrupt(source: PacedSource) -> None:
        interrupt(source)
        turn.release()

    patch.setattr("stream.live.runner.Clock", lambda: clock)
    patch.setattr(PacedSource, "read", stepped_read)
    patch.setattr(PacedSource, "interrupt", stepped_interrupt)
    patch.setattr(Outlet, "__init__", counted)
    patch.setattr(Outlet, "write", stepped_write)
    return clock


class SlowPainter(NegativePainter):
    """Takes its time, now more and now less."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.times_s = np.random.default_rng(3)

    def paint(self, frame: Frame, look: Look) -> Frame:
        self.clock.advance(float(self.times_s.uniform(0.005, 0.035)))
        return super().paint(frame, look)


class Recording(VideoSink):
    """A file that tells how many frames it has, whenever it has one more."""

    on_write: Callable[[int], None]
    count = 0

    def write(self, frame: Frame) -> None:
        super().write(frame)
        self.count += 1
        self.on_write(self.count)


def record(source: Source, take: Path, clock: ManualClock, frames: int) -> Stats:
    """A live session of so many frames into a file."""
    info = VideoInfo(source.info.size, TIME_BASE, Fraction(RATE), sound=source.has_sound)
    sink = Recording(take, info=info)
    session = LiveSession(
        source,
        lambda: SlowPainter(clock),
        [("take", sink)],
        controls=Controls(Look(Style(), transition_s=0.0)),
        clock=clock,
        join_limit_s=LIMIT_S,
    )
    sink.on_write = lambda count: source.turn.release() if count < frames else session.stop()
    return session.run()
