"""Latency: how old a picture is when a sink gets it, beside a loop with a plain queue.

    python benchmarks/latency.py [--seconds 20] [--paint-ms 60] [--fps 24]

A synthetic camera paints a frame counter into its pixels, in blocks that survive H.264; a model of
known cost passes them on; each sink reads the counter back and looks up when that frame was
captured. Measured at the sink's own pixels, not by our time stamps: whatever queues, shows. Where
pictures are moved between paintings, a square that travels tells the time instead. The
plain loop is the peers' kind: capture puts every frame into an unbounded queue, the model takes
them one by one. Sinks: `null` (in this process), `tcp` (H.264 in MPEG-TS through the publishing
process to a decoder here, which takes each packet as a picture; `tcp, parsed` looks for the start
of the next one first, as most players do), `rtmp` (to FFmpeg's server in another process, which
decodes), `pipewire` (to a GStreamer program and back), `recording` and `window` (when the write has
returned), `ndi` (to our own source in this process; `sh tests/devices/ndi.sh` brings its name
service). What is not on this machine has a row that says so. Last line: one JSON object.
"""

import argparse
import json
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from machine import commit, machine, versions
from numpy.typing import NDArray
from readers import NdiReader, ProgramReader, Reader, StreamReader, display, rtmp_server
from stamps import draw_marker, marker_lag, read_stamp, stamp
from timed_painter import TimedPainter

from models import Style
from stream import Frame, Sink, Source, VideoInfo
from stream.clock import Clock
from stream.errors import SinkError
from stream.live.controls import Controls, Look
from stream.live.outputs import LiveOutputs, open_live_sink
from stream.live.session import TIME_BASE, LiveSession
from stream.sinks.ndi import NdiSink
from stream.sinks.network import NetworkSink
from stream.sinks.pipewire import LAUNCH, NODE, PipeWireSink
from stream.sinks.pipewire import NAME as PIPEWIRE
from stream.sinks.video import LIVE_BACKLOG
from stream.stats import Stats
from stream.times import percentiles_ms

SIZE = (640, 360)
WARM_UP_S = 2.0
READY_S = 60.0
"""How long is waited for publishing processes and far sides to be under way."""

CAMERA_S = 3.0
"""Until a PipeWire camera can be asked for its pictures."""

NDI_NAME = "allaprima latency"

RECEIVERS = {"tcp": "nobuffer+noparse", "tcp, parsed": "nobuffer"}
"""Flags of the reader's demuxer (ffmpeg-formats(1), fflags)."""


class StampingSource(Source):
    """A camera at a steady rate; remembers when each number was captured.

    Its seconds begin when `is_ready` says that all is under way, but are not waited for for ever.
    """

    def __init__(self, fps: float, seconds: float, clock: Clock) -> None:
        self.is_ready: Callable[[], bool] = lambda: True
        self.ready_at_s: float | None = None
        self.info = VideoInfo(SIZE, Fraction(1, 90_000), Fraction(fps).limit_denominator(1001))
        self.notes: list[str] = []
        self.captured_s: list[float] = []
        self._fps, self._seconds, self._clock = fps, seconds, clock
        self._stop = threading.Event()
        self._start_s = clock.now_s()

    def read(self) -> Frame | None:
        number = len(self.captured_s)
        due_s = self._start_s + number / self._fps
        if self._clock.wait(self._stop, due_s - self._clock.now_s()):
            return None
        now_s = self._clock.now_s()
        if self.ready_at_s is None and (self.is_ready() or now_s - self._start_s > READY_S):
            self.ready_at_s = now_s
        if self.ready_at_s is not None and now_s - self.ready_at_s > self._seconds:
            return None
        data = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        stamp(data, number)
        draw_marker(data, number)
        self.captured_s.append(self._clock.now_s())
        return Frame(data, number, self.info.time_base)

    def interrupt(self) -> None:
        self._stop.set()

    def close(self) -> None:
        return


class ReadingSink(Sink):
    """Reads the numbers back."""

    def __init__(self, source: StampingSource, clock: Clock, *, moved: bool = False) -> None:
        self.notes: list[str] = []
        self._moved = moved
        self.ages_s: list[tuple[float, float]] = []
        self.unreadable = 0
        self._source, self._clock = source, clock

    def write(self, frame: Frame) -> None:
        self.look_at(frame.data)

    def look_at(self, data: NDArray[np.uint8]) -> None:
        now_s = self._clock.now_s()
        if self._moved:
            self._look_at_marker(data, now_s)
            return
        number = read_stamp(data)
        if number is None or number >= len(self._source.captured_s):
            self.unreadable += 1
        else:
            self.ages_s.append((now_s, now_s - self._source.captured_s[number]))

    def _look_at_marker(self, data: NDArray[np.uint8], now_s: float) -> None:
        latest = len(self._source.captured_s) - 1
        lag = marker_lag(data, latest)
        if lag is None:
            self.unreadable += 1
        else:
            captured_s = self._source.captured_s[latest] - lag / float(self._source.info.rate or 1)
            self.ages_s.append((now_s, now_s - captured_s))

    def close(self) -> None:
        return


class WatchedSink(Sink):
    """A sink of the product; the number is read when it has taken the picture."""

    def __init__(self, inner: Sink, reading: ReadingSink) -> None:
        self.notes = inner.notes
        self._inner, self._reading = inner, reading

    def write(self, frame: Frame) -> None:
        self._inner.write(frame)
        self._reading.look_at(frame.data)

    def idle(self) -> None:
        self._inner.idle()

    def end_early(self) -> None:
        self._inner.end_early()

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()


class WatchedWindow(WatchedSink):
    """The same, of the main thread's."""

    main_thread: ClassVar[bool] = True


class WatchedRecording(WatchedSink):
    """The same, with a recording's backlog."""

    backlog: ClassVar[int] = LIVE_BACKLOG


def measured(sink: ReadingSink, start_s: float) -> dict[str, object]:
    """Percentiles of the ages once things run, the rate, and how age grew from half to half."""
    ages = [age_s for at_s, age_s in sink.ages_s if at_s - start_s > WARM_UP_S]
    half = len(ages) // 2
    growth = np.median(ages[half:]) - np.median(ages[:half]) if half else 0.0
    times = [at_s for at_s, _ in sink.ages_s if at_s > start_s]
    fps = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    return {
        "age_ms": {name: round(value, 1) for name, value in percentiles_ms(ages).items()},
        "growth_ms": round(float(growth) * 1e3, 1),
        "fps": round(fps, 2),
        "frames": len(sink.ages_s),
        "unreadable": sink.unreadable,
    }


def run_plain(fps: float, seconds: float, paint_s: float) -> dict[str, object]:
    """Capture into an unbounded queue, paint one by one."""
    clock = Clock()
    source = StampingSource(fps, seconds, clock)
    sink = ReadingSink(source, clock)
    frames: queue.Queue[Frame | None] = queue.Queue()

    def capture() -> None:
        while (frame := source.read()) is not None:
            frames.put(frame)
        frames.put(None)

    thread = threading.Thread(target=capture)
    start_s = clock.now_s()
    thread.start()
    never = threading.Event()
    while (frame := frames.get()) is not None and clock.now_s() - start_s < seconds:
        never.wait(paint_s)
        sink.write(frame)
    source.interrupt()
    thread.join()
    return measured(sink, start_s)


class Outputs:
    """All sinks of one session, each with who reads it; why those that are not here are not."""

    def __init__(self, source: StampingSource, clock: Clock, *, moved: bool) -> None:
        self.stats = Stats(clock=clock)
        self.controls = Controls(Look(Style()))
        self.readings: dict[str, ReadingSink] = {}
        self.sinks: list[tuple[str, Sink]] = []
        self.readers: list[Reader] = []
        self.missing: dict[str, str] = {}
        self._source, self._clock, self._moved = source, clock, moved
        self._rate = source.info.rate or Fraction(24)

    def open(self, folder: Path, only: Collection[str]) -> None:
        """Open each, or those that are named; a folder of its own for the recording."""
        steps: dict[str, Callable[[], None]] = {
            "null": lambda: self.sinks.append(("null", self._reading("null"))),
            **{name: partial(self._open_tcp, name) for name in RECEIVERS},
            "rtmp": self._open_rtmp,
            PIPEWIRE: self._open_pipewire,
            "ndi": self._open_ndi,
            "recording": lambda: self._watch(WatchedRecording, "recording", folder / "a.mp4"),
            "window": lambda: self._watch(WatchedWindow, "window", "window"),
        }
        for name in only or steps:
            self._try(name, steps[name])

    def _open_tcp(self, name: str) -> None:
        receiver = StreamReader(self._reading(name), RECEIVERS[name])
        self._publish(name, receiver.url, receiver)

    def _open_rtmp(self) -> None:
        url, command = rtmp_server()
        self._publish("rtmp", url, ProgramReader(command, SIZE, self._reading("rtmp")))

    def have_seen(self) -> bool:
        """Whether every reading has had a picture."""
        return all(one.ages_s or one.unreadable for one in self.readings.values())

    def rows(self, start_s: float) -> dict[str, dict[str, object]]:
        """What was measured, and what is not here."""
        rows = {name: measured(reading, start_s) for name, reading in self.readings.items()}
        return rows | {name: {"not here": reason} for name, reason in self.missing.items()}

    def _reading(self, name: str) -> ReadingSink:
        self.readings[name] = ReadingSink(self._source, self._clock, moved=self._moved)
        return self.readings[name]

    def _publish(self, name: str, url: str, reader: Reader) -> None:
        self.readers.append(reader)
        sink = NetworkSink(url, rate=self._rate, clock=self._clock, stats=self.stats)
        self.sinks.append((name, sink))

    def _try(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except SinkError as err:
            self.missing[name] = str(err)

    def _open_pipewire(self) -> None:
        sink = PipeWireSink(rate=self._rate, clock=self._clock, stats=self.stats)
        source = ["pipewiresrc", f"target-object={NODE}", "!", "videoconvert"]
        command = [LAUNCH, "-q", *source, "!", "video/x-raw,format=RGB"]
        command += ["!", "fdsink", "fd=1", "sync=false"]
        reading = self._reading(PIPEWIRE)
        self.readers.append(ProgramReader(command, SIZE, reading, after_s=CAMERA_S))
        self.sinks.append((PIPEWIRE, sink))

    def _open_ndi(self) -> None:
        sink = NdiSink(NDI_NAME, rate=self._rate)
        self.readers.append(NdiReader(NDI_NAME, self._reading("ndi")))
        self.sinks.append(("ndi", sink))

    def _watch(self, kind: type[WatchedSink], name: str, spec: str | Path) -> None:
        info = VideoInfo(SIZE, TIME_BASE, self._rate)
        shared = LiveOutputs(info, self.controls, self.stats, self._clock)
        inner = open_live_sink(str(spec), shared)
        self.sinks.append((name, kind(inner, self._reading(name))))


def run_live(
    fps: float, seconds: float, paint_s: float, every: int, only: Collection[str] = ()
) -> dict[str, dict[str, object]]:
    """The live session into all sinks at once."""
    clock = Clock()
    source = StampingSource(fps, seconds, clock)
    outputs = Outputs(source, clock, moved=every > 1)
    with tempfile.TemporaryDirectory() as folder:
        outputs.open(Path(folder), only)
        session = LiveSession(
            source,
            lambda: TimedPainter(paint_s, SIZE[1], every),
            outputs.sinks,
            controls=outputs.controls,
            clock=clock,
            stats=outputs.stats,
        )
        source.is_ready = outputs.have_seen
        start_s = clock.now_s()
        session.run()
    for reader in outputs.readers:
        reader.end()
    for sentence in outputs.stats.notes:
        print(sentence)
    return outputs.rows(source.ready_at_s or start_s)


def in_words(row: dict[str, object]) -> str:
    """One row of the table."""
    ages = row.get("age_ms")
    if not isinstance(ages, dict):
        return f"not here: {row['not here']}"
    told = "  ".join(f"{key} {value:8.1f}" for key, value in ages.items())
    return f"{told}  grew {row['growth_ms']:8.1f} ms  {row['fps']:6.2f} fps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--paint-ms", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=24.0)
    parser.add_argument("--only", nargs="+", help="these outputs alone, such as window ndi")
    asked = parser.parse_args()
    paint_s = asked.paint_ms / 1e3
    every = int(np.ceil(paint_s * asked.fps))
    with display():
        rows = {
            "plain queue": run_plain(asked.fps, asked.seconds, paint_s),
            **{
                f"live, {name}, {sink}": row
                for name, pace in (("newest only", 1), ("moved between", every))
                for sink, row in run_live(
                    asked.fps, asked.seconds, paint_s, pace, asked.only or ()
                ).items()
            },
        }
    goal_ms = asked.paint_ms + 1.5e3 / asked.fps
    print(
        f"{asked.fps:g} fps camera, {asked.paint_ms:g} ms a painting; goal p95 <= {goal_ms:.0f} ms"
    )
    for name, row in rows.items():
        print(f"{name:32} {in_words(row)}")
    told = {"paint_ms": asked.paint_ms, "goal_p95_ms": goal_ms, "rows": rows}
    told |= {"at": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    print(json.dumps(told | {"versions": versions()}))


if __name__ == "__main__":
    main()
