"""Latency: how old a picture is when a sink gets it, beside a loop with a plain queue.

    python benchmarks/latency.py [--seconds 20] [--paint-ms 60] [--fps 24]

A synthetic camera paints a frame counter into its pixels, in blocks that survive H.264; a model of
known cost passes them on; each sink reads the counter back and looks up when that frame was
captured. Measured at the sink's own pixels, not by our time stamps: whatever queues, shows. Where
pictures are moved between paintings, a square that travels tells the time instead. The
plain loop is the peers' kind: capture puts every frame into an unbounded queue, the model takes
them one by one. Sinks: `null` (in this process), `tcp` (H.264 in MPEG-TS through the publishing
process to a decoder here, which takes each packet as a picture; `tcp, parsed` looks for the start
of the next one first, as most players do) and, where PipeWire runs, `pipewire` (to a GStreamer
program and back). A window's, a recording's and a virtual camera's age is that of `null` and the
time of one write, which `allaprima live --json` tells. Last line: one JSON object.
"""

import argparse
import json
import queue
import socket
import subprocess
import threading
import time
from fractions import Fraction

import numpy as np
from machine import commit, machine, versions
from numpy.typing import NDArray

from models import Style
from stream import Frame, Sink, Source, VideoInfo
from stream.clock import Clock
from stream.controls import Controls, Look
from stream.governor import Effort
from stream.live import LiveSession
from stream.painter import Painter
from stream.sinks.network import NetworkSink
from stream.sinks.pipewire import LAUNCH, NODE, PipeWireSink, has_gstreamer, pipewire_runs
from stream.sinks.pipewire import NAME as PIPEWIRE
from stream.stats import Stats, percentiles_ms
from stream.tween import Key, make_key

SIZE = (640, 360)
BITS = 16
BLOCK_PX = 32
WARM_UP_S = 2.0
CAMERA_S = 3.0
RECEIVERS = {"tcp": "nobuffer+noparse", "tcp, parsed": "nobuffer"}
"""Flags of the reader's demuxer (ffmpeg-formats(1), fflags)."""

BLACK, WHITE = 16, 235
THRESHOLD = 160
MARKER_PX = 64
MARKER_TOP_PX = 200
STEP_PX = 4
LEAST_X_PX = 40
RANGE_PX = 480
"""The square's journey: four pixels a frame, begun anew every five seconds."""


def stamp(data: NDArray[np.uint8], number: int) -> None:
    """Write a number as a row of black and white blocks along the top, and its parity."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    for index, bit in enumerate([*bits, sum(bits) % 2]):
        data[:BLOCK_PX, index * BLOCK_PX : (index + 1) * BLOCK_PX] = WHITE if bit else BLACK


def draw_marker(data: NDArray[np.uint8], number: int) -> None:
    """A checkered square that moves on with every frame, for pictures that are moved."""
    x = LEAST_X_PX + number * STEP_PX % RANGE_PX
    rows = slice(MARKER_TOP_PX, MARKER_TOP_PX + MARKER_PX)
    data[rows, x : x + MARKER_PX] = WHITE
    quarter = MARKER_PX // 4
    data[MARKER_TOP_PX + quarter : MARKER_TOP_PX + 2 * quarter, x + quarter : x + 2 * quarter] = (
        BLACK
    )


def marker_lag(data: NDArray[np.uint8], latest: int) -> float | None:
    """How many frames the square is behind where frame `latest` has it; ``None`` if it is torn."""
    band = data[MARKER_TOP_PX : MARKER_TOP_PX + MARKER_PX // 8, :, 0]
    columns = np.flatnonzero(band.mean(axis=0) > THRESHOLD)
    if columns.size < MARKER_PX // 2 or columns[-1] - columns[0] > MARKER_PX * 1.2:
        return None
    x = columns.mean() - (MARKER_PX - 1) / 2 - LEAST_X_PX
    return float((latest * STEP_PX % RANGE_PX - x + STEP_PX) % RANGE_PX - STEP_PX) / STEP_PX


def read_stamp(data: NDArray[np.uint8]) -> int | None:
    """The number, or ``None`` where the blocks do not add up (a picture between two frames)."""
    middle = BLOCK_PX // 2
    bits = [int(data[middle, index * BLOCK_PX + middle].mean() > 128) for index in range(BITS + 1)]
    if sum(bits[:-1]) % 2 != bits[-1]:
        return None
    return sum(bit << index for index, bit in enumerate(bits[:-1]))


class StampingSource(Source):
    """A camera at a steady rate; remembers when each number was captured."""

    is_live = True

    def __init__(self, fps: float, seconds: float, clock: Clock) -> None:
        self.info = VideoInfo(SIZE, Fraction(1, 90_000), Fraction(fps).limit_denominator(1001))
        self.notes: list[str] = []
        self.captured_s: list[float] = []
        self._fps, self._count, self._clock = fps, round(fps * seconds), clock
        self._stop = threading.Event()
        self._start_s = clock.now_s()

    def read(self) -> Frame | None:
        number = len(self.captured_s)
        due_s = self._start_s + number / self._fps
        if number == self._count or self._clock.wait(self._stop, due_s - self._clock.now_s()):
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


class TimedPainter(Painter):
    """Passes frames on after a fixed time, as a model on a device does: waiting, not computing."""

    def __init__(self, paint_s: float, every: int) -> None:
        self._paint_s, self._every, self._key = paint_s, every, None
        self._never = threading.Event()

    @property
    def effort(self) -> Effort:
        return Effort(1, SIZE[1], self._every)

    @property
    def key(self) -> Key | None:
        return self._key

    def warm_up(self, source_size: tuple[int, int], look: Look) -> None:
        return

    def output_size(self, source_size: tuple[int, int]) -> tuple[int, int]:
        return source_size

    def is_due(self, frame: Frame) -> bool:
        return True

    def paint(self, frame: Frame, look: Look) -> Frame:
        self._never.wait(self._paint_s)
        self._key = make_key(frame, frame)
        return frame

    def close(self) -> None:
        return


def measured(sink: ReadingSink, start_s: float) -> dict[str, object]:
    """Percentiles of the ages once things run, the rate, and how age grew from half to half."""
    ages = [age_s for at_s, age_s in sink.ages_s if at_s - start_s > WARM_UP_S]
    half = len(ages) // 2
    growth = np.median(ages[half:]) - np.median(ages[:half]) if half else 0.0
    times = [at_s for at_s, _ in sink.ages_s]
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


class Receiver:
    """The far side of a stream: decodes it and reads the numbers."""

    def __init__(self, sink: ReadingSink, flags: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sink, self._flags = sink, flags
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        import av

        connection, _ = self._listener.accept()
        options = {"fflags": self._flags, "probesize": "20000", "analyzeduration": "0"}
        with (
            connection,
            connection.makefile("rb", buffering=0) as data,
            av.open(data, format="mpegts", options=options, buffer_size=1504) as container,
        ):
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            for picture in container.decode(stream):
                self._sink.look_at(picture.to_ndarray(format="rgb24"))

    def end(self) -> None:
        self._thread.join(10)
        self._listener.close()


class PipeWireReader:
    """A program that reads the PipeWire camera and hands its pixels back."""

    def __init__(self, sink: ReadingSink) -> None:
        self._sink = sink
        self._over = threading.Event()
        self._program: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self._over.wait(CAMERA_S)  # the camera must be there
        width, height = SIZE
        caps = "video/x-raw,format=RGB"
        source = ["pipewiresrc", f"target-object={NODE}", "!", "videoconvert", "!", caps]
        command = [LAUNCH, "-q", *source, "!", "fdsink", "fd=1", "sync=false"]
        self._program = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._program.stdout is not None
        while len(raw := self._program.stdout.read(width * height * 3)) == width * height * 3:
            self._sink.look_at(np.frombuffer(raw, np.uint8).reshape(height, width, 3))

    def end(self) -> None:
        self._over.set()
        if self._program is not None:
            self._program.kill()
            self._program.wait()
        self._thread.join(10)


def run_live(fps: float, seconds: float, paint_s: float, every: int) -> dict[str, object]:
    """The live session into all sinks at once."""
    clock = Clock()
    source = StampingSource(fps, seconds, clock)
    rate = Fraction(round(fps))
    stats = Stats(clock=clock)
    sinks: list[tuple[str, Sink]] = []
    readings = {"null": ReadingSink(source, clock, moved=every > 1)}
    sinks.append(("null", readings["null"]))
    readers: list[Receiver | PipeWireReader] = []
    for name, flags in RECEIVERS.items():
        readings[name] = ReadingSink(source, clock, moved=every > 1)
        receiver = Receiver(readings[name], flags)
        readers.append(receiver)
        sinks.append((name, NetworkSink(receiver.url, rate=rate, clock=clock, stats=stats)))
    if pipewire_runs() and has_gstreamer():
        readings[PIPEWIRE] = ReadingSink(source, clock, moved=every > 1)
        readers.append(PipeWireReader(readings[PIPEWIRE]))
        sinks.append((PIPEWIRE, PipeWireSink(rate=rate, clock=clock, stats=stats)))
    session = LiveSession(
        source,
        lambda: TimedPainter(paint_s, every),
        sinks,
        controls=Controls(Look(Style())),
        clock=clock,
        stats=stats,
    )
    start_s = clock.now_s()
    session.run()
    for reader in readers:
        reader.end()
    return {name: measured(reading, start_s) for name, reading in readings.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--paint-ms", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=24.0)
    asked = parser.parse_args()
    paint_s = asked.paint_ms / 1e3
    every = int(np.ceil(paint_s * asked.fps))
    rows = {
        "plain queue": run_plain(asked.fps, asked.seconds, paint_s),
        **{
            f"live, {name}, {sink}": row
            for name, pace in (("newest only", 1), ("moved between", every))
            for sink, row in run_live(asked.fps, asked.seconds, paint_s, pace).items()
        },
    }
    goal_ms = asked.paint_ms + 1.5e3 / asked.fps
    print(
        f"{asked.fps:g} fps camera, {asked.paint_ms:g} ms a painting; goal p95 <= {goal_ms:.0f} ms"
    )
    for name, row in rows.items():
        ages = row["age_ms"]
        assert isinstance(ages, dict)
        told = "  ".join(f"{key} {value:8.1f}" for key, value in ages.items())
        print(f"{name:28} {told}  grew {row['growth_ms']:8.1f} ms  {row['fps']:6.2f} fps")
    told = {"paint_ms": asked.paint_ms, "goal_p95_ms": goal_ms, "rows": rows}
    told |= {"at": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    print(json.dumps(told | {"versions": versions()}))


if __name__ == "__main__":
    main()
