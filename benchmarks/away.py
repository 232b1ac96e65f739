"""The rate of a live session's output while its source is away, and when that is noticed.

    python benchmarks/away.py [--seconds 9] [--fps 24] [udp http tcp rtsp silent-rtsp
                               rtmp silent-rtmp camera]

Each source sends for a while, is away for `--seconds`, and comes back: UDP, HTTP and TCP fall
silent (the peer's cable is pulled), the servers of RTSP and RTMP are killed and started again, or
stopped, the camera is one of OpenCV's that hangs for a second a read and then cannot be opened.
Written frames are counted at a sink; the row says their rate before, while and after, the longest
gap between two, how long the silence took to be noticed, and how long after the return the first
new frame came. RTSP needs GStreamer's server (see tests/devices/rtsp_server.py). Last line: one
JSON object.
"""

import argparse
import json
import logging
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from away_sources import SIZE, SOURCES
from machine import commit, machine, versions
from timed_painter import TimedPainter

from models import Style
from stream import Frame, Sink
from stream.clock import Clock
from stream.live.controls import Controls, Look
from stream.live.inputs import LiveInput, open_live_source
from stream.live.session import LiveSession
from stream.stats import Stats

BEFORE_S, AFTER_S = 4.0, 4.0


class CountingSink(Sink):
    """Remembers when it was given which frame."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frames: list[tuple[float, bool]] = []

    def write(self, frame: Frame) -> None:
        self.frames.append((time.monotonic(), frame.is_repeat))

    def close(self) -> None:
        return


class Noticed(logging.Handler):
    """When the session says that its source is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lost_at_s: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if "Trying again" in record.getMessage() and self.lost_at_s is None:
            self.lost_at_s = time.monotonic()


def measure(name: str, seconds: float, fps: float) -> dict[str, Any]:
    """One source: there, away, there again."""
    with tempfile.TemporaryDirectory() as folder:
        far = SOURCES[name](Path(folder), fps)
        far.start()
        try:
            return run(far, seconds, fps)
        finally:
            far.close()


def run(far: Any, seconds: float, fps: float) -> dict[str, Any]:
    clock, sink, noticed = Clock(), CountingSink(), Noticed()
    logging.getLogger("stream").addHandler(noticed)
    stats = Stats(clock=clock)
    source = open_live_source(LiveInput(far.spec), clock=clock, stats=stats)
    controls = Controls(Look(Style(), transition_s=0.0))
    session = LiveSession(
        source,
        lambda: TimedPainter(0.02, SIZE[1]),
        [("sink", sink)],
        controls=controls,
        clock=clock,
        stats=stats,
    )
    times: list[float] = []

    def play() -> None:
        while not sink.frames:
            time.sleep(0.01)
        for step, pause_s in ((None, BEFORE_S), (far.leave, seconds), (far.come_back, AFTER_S)):
            if step is not None:
                step()
            times.append(time.monotonic())
            time.sleep(pause_s)
        times.append(time.monotonic())
        session.stop()

    director = threading.Thread(target=play, daemon=True)
    director.start()
    session.run()
    director.join(10)
    logging.getLogger("stream").removeHandler(noticed)
    return figures(sink.frames, times, noticed.lost_at_s)


def figures(
    frames: list[tuple[float, bool]], times: list[float], lost_at_s: float | None
) -> dict[str, Any]:
    """Rates by phase; the longest gap; when the loss was noticed, and the return seen."""
    begin_s, left_s, back_s, end_s = times

    def rate(from_s: float, to_s: float) -> float:
        return round(sum(from_s <= at < to_s for at, _ in frames) / (to_s - from_s), 1)

    away = [at for at, _ in frames if left_s <= at < back_s]
    fresh = [at for at, repeated in frames if at >= back_s and not repeated]
    return {
        "before_fps": rate(begin_s, left_s),
        "away_fps": rate(left_s, back_s),
        "after_fps": rate(back_s, end_s),
        "longest_gap_s": round(float(max(np.diff([left_s, *away, back_s]))), 3),
        "noticed_after_s": None if lost_at_s is None else round(lost_at_s - left_s, 2),
        "seen_again_after_s": round(fresh[0] - back_s, 2) if fresh else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", choices=[*SOURCES, []], default=[])
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--fps", type=float, default=24.0)
    asked = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in asked.sources or SOURCES:
        try:
            rows[name] = measure(name, asked.seconds, asked.fps)
        except OSError as err:
            rows[name] = {"missing": str(err)}
        print(f"{name:11} {rows[name]}")
        sys.stdout.flush()
    told = {"machine": machine(), "versions": versions(), "commit": commit(), "away": rows}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
