"""A live session into a real file by a clock that stands still until it is moved: each frame is
read when the one before has been written, so that none is dropped and every time is known.
"""

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fakes import LIMIT_S
from light_live import NegativePainter

from models import Style
from stream.clock import Clock, ManualClock
from stream.frame import Frame
from stream.live.controls import Controls, Look
from stream.live.session import TIME_BASE, LiveSession
from stream.sinks.video import VideoSink
from stream.sources import open_source
from stream.sources.base import Source
from stream.sources.paced import PacedSource
from stream.stats import Stats
from stream.video_info import VideoInfo

RATE = 24
MAIN_WITHIN_S = 1.0
"""Real seconds that a reader waits for the main thread at most."""


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


class ReadersClock(ManualClock):
    """Moved by whoever reads a source: the main thread waits until that has come so far.

    Args:
        start_s: What it shows at first, in seconds.
        main_ends: The main thread is to end the session in time: readers wait for it.
    """

    def __init__(self, start_s: float, *, main_ends: bool) -> None:
        super().__init__(start_s)
        self._main_ends = main_ends
        self._main_waits = threading.Event()

    def wait(self, stop: threading.Event, delay_s: float) -> bool:
        if threading.current_thread() is not threading.main_thread():
            if self._main_ends and not stop.is_set():
                self._main_waits.wait(MAIN_WITHIN_S)
            return super().wait(stop, delay_s)
        end_s = self.now_s() + delay_s
        self._main_waits.set()
        while self.now_s() < end_s and not stop.wait(0.005):
            pass
        self._main_waits.clear()
        return stop.is_set()


def put_in_step(patch: pytest.MonkeyPatch, *, main_ends: bool = False) -> ManualClock:
    """Let `allaprima live` run by a clock of its own: a file's next frame is read when the one
    before has been recorded, and then it is due. To be used with one recording and
    ``--governor off``; what the recording is given does not depend on the machine then.
    """
    clock, turn = ReadersClock(1000.0, main_ends=main_ends), threading.Semaphore(1)
    read, write, interrupt = PacedSource.read, VideoSink.write, PacedSource.interrupt

    def stepped_read(source: PacedSource) -> Frame | None:
        turn.acquire(timeout=LIMIT_S)
        return read(source)

    def stepped_write(sink: VideoSink, frame: Frame) -> None:
        write(sink, frame)
        turn.release()

    def stepped_interrupt(source: PacedSource) -> None:
        interrupt(source)
        turn.release()

    patch.setattr("stream.live.runner.Clock", lambda: clock)
    patch.setattr(PacedSource, "read", stepped_read)
    patch.setattr(PacedSource, "interrupt", stepped_interrupt)
    patch.setattr(VideoSink, "write", stepped_write)
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
    """A file that asks for the next frame when it has one."""

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
