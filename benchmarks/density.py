"""How many live streams one engine carries, what a further one costs, and whether turns are fair.

    python benchmarks/density.py --sessions 4 --size 256 --frames 50

One `LiveHost`, and one session after the other that joins those that run. Each decodes a clip,
gives the next frame when the one before has been painted and shown, and gives nothing up (no
governor): so all frames cost the same, and the processor's time of one holds on a busy machine too.
How many sessions fit follows from it, for a machine that has nothing else to do. Memory is the
process's own (USS), with all sessions at work.
"""

import argparse
import math
import os
import threading
import time
from pathlib import Path

import psutil

from models import load_engine
from stream import open_source
from stream.clock import Clock
from stream.frame import Frame
from stream.live.controls import Controls, Look
from stream.live.host import LiveHost
from stream.live.live_stylizer import LiveStylizer, LiveStylizerOptions
from stream.live.session import LiveSession
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.stats import Stats

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "examples" / "clips" / "bunny.mp4"
SETTLED = 10
"""Frames of a session before it counts."""

FULL = 0.8
"""Share of a machine that is planned with."""


class InStep(Sink):
    """Throws frames away, and lets its source give the next when one has come."""

    def __init__(self, source: "Stepped") -> None:
        self.notes: list[str] = []
        self._source = source

    def write(self, frame: Frame) -> None:
        self._source.turn.release()

    def close(self) -> None:
        """Nothing to finish."""


class Stepped(Source):
    """A clip, decoded over and over, a frame for each that has been painted and shown."""

    can_wait = True

    def __init__(self) -> None:
        self.turn = threading.Semaphore(1)
        self.frames = 0
        self.notes: list[str] = []
        self._clip = open_source(CLIP)
        self.info = self._clip.info

    def read(self) -> Frame | None:
        self.turn.acquire()
        frame = self._clip.read()
        if frame is None:
            self._clip.close()
            self._clip = open_source(CLIP)
            frame = self._clip.read()
        self.frames += 1
        return frame

    def interrupt(self) -> None:
        self.turn.release()

    def close(self) -> None:
        self._clip.close()


def make_session(host: LiveHost, source: Stepped, rate: float, size: int) -> LiveSession:
    """A session on the host, not yet run."""
    clock = Clock()
    stats = Stats(fps_target=rate, clock=clock)
    controls = Controls(Look(host.engine.default_style))

    def make_painter() -> LiveStylizer:
        asked = LiveStylizerOptions(short_side_px=size, fps_target=rate, governor="off")
        return LiveStylizer(host.engine, controls.look, asked, clock=clock, stats=stats)

    sinks = [("null", InStep(source))]
    return LiveSession(
        source, make_painter, sinks, controls=controls, host=host, clock=clock, stats=stats
    )


def own_mib() -> float:
    return float(psutil.Process().memory_full_info().uss) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=50)
    asked = parser.parse_args()
    engine = load_engine("bundled", device="cpu", compile="off")
    engine.warm_up((asked.size, asked.size))
    host = LiveHost(lambda: engine, clock=Clock(), full=math.inf)
    sources: list[Stepped] = []
    sessions: list[LiveSession] = []
    threads = [threading.Thread(target=host.run)]
    threads[0].start()
    while not host.is_ready:
        time.sleep(0.1)
    print(f"{asked.size} px, {CLIP.name}, {os.cpu_count()} cores")
    print("| sessions | frames painted | CPU a frame | fewest to most | memory of the process |")
    print("|---|---|---|---|---|")
    try:
        for count in range(1, asked.sessions + 1):
            sources.append(Stepped())
            sessions.append(make_session(host, sources[-1], 24.0, asked.size))
            threads.append(threading.Thread(target=sessions[-1].run))
            threads[-1].start()
            tell(count, *measure(sources, asked.frames))
    finally:
        for session in sessions:
            session.stop()
        host.stop()
        for thread in reversed(threads):
            thread.join()


def measure(sources: list[Stepped], frames: int) -> tuple[list[int], float]:
    """So many frames of each; how many it were, and the processor's time that they took."""
    wait_for(sources, [SETTLED] * len(sources))
    before = [source.frames for source in sources]
    spent_s = time.process_time()
    wait_for(sources, [count + frames for count in before])
    spent_s = time.process_time() - spent_s
    return [source.frames - count for source, count in zip(sources, before, strict=True)], spent_s


def wait_for(sources: list[Stepped], counts: list[int]) -> None:
    while any(source.frames < n for source, n in zip(sources, counts, strict=True)):
        time.sleep(0.1)


def tell(count: int, painted: list[int], spent_s: float) -> None:
    frame_s = spent_s / sum(painted)
    fair = min(painted) / max(painted)
    row = (
        f"| {count} | {sum(painted)} | {1e3 * frame_s:.1f} ms | {fair:.2f} | {own_mib():.0f} MiB |"
    )
    fits = [FULL * (os.cpu_count() or 1) / (frame_s * rate) for rate in (12, 24)]
    print(f"{row}  fits at 12 and 24 a second: {fits[0]:.1f}, {fits[1]:.1f}", flush=True)


if __name__ == "__main__":
    main()
