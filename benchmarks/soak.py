"""Soak: a live session for a long time; does it grow, does it age?

    python benchmarks/soak.py [--minutes 20] [--speed 1] [--light] [--size PX]

The real live path in this process: a source played by the clock, round and round, the model, and
several outputs at once: `null`, a recording, a stream to a reader here, and metrics that are asked
for. The look changes every few seconds. Each second memory, threads, file handles and the age of
the newest frames are noted; the first minute (a quarter of a short run) is warm-up. Growth is the
median of the last quarter less that of the first.

`--speed 10` lets the camera run ten times as fast and ends when as many frames have been shown as
the minutes hold at 24 a second, however long that takes. `--light` passes frames on without a
model: then all that grows is the session's. Last line: one JSON object.
"""

import argparse
import ctypes
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from machine import commit, machine, versions
from timed_painter import TimedPainter

from models import Style
from stream.clock import Clock
from stream.live.controls import Controls, Look
from stream.live.inputs import LiveInput, open_live_source
from stream.live.live_stylizer import LiveStylizer, LiveStylizerOptions
from stream.live.metrics import MetricsServer
from stream.live.outputs import LiveOutputs, open_live_sink
from stream.live.session import LiveSession
from stream.stats import Stats
from stream.times import percentiles_ms
from stream.video_info import VideoInfo

SOURCE = "testsrc=size={size}:rate={rate:g}:duration=20"
SIZE = "640x360"
SIDE_PX = 360
WARM_UP_S = 60.0
PERIOD_S = 1.0
COURSE = 24
"""Points of memory's course that are told."""

LOOK_EVERY = 7
"""Samples between changes of the look."""

RATE = 24.0
PAGE = os.sysconf("SC_PAGE_SIZE")
PROCESS = Path("/proc/self")


MakePainter = Callable[[Controls, Clock, Stats], LiveStylizer]


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment: MiB resident, threads, open handles, ages of new frames in ms, and
    MiB that were asked of the C library and not given back (0 where it does not tell).

    What is resident and not in use are pages that the C library keeps for later, and oneTBB's own
    memory, which grows where OpenVINO has several threads on cores that others hold.
    """

    at_s: float
    rss_mib: float
    threads: int
    handles: int
    ages_ms: tuple[float, ...]
    in_use_mib: float = 0.0


class MallInfo(ctypes.Structure):
    """What glibc tells of its memory (mallinfo2(3)), in bytes."""

    _fields_: ClassVar = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd")),
        *((name, ctypes.c_size_t) for name in ("usmblks", "fsmblks", "uordblks", "fordblks")),
        ("keepcost", ctypes.c_size_t),
    ]


def in_use_mib() -> float:
    """MiB that were asked of the C library and not given back; 0 where it is not glibc."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallinfo2"):
        return 0.0
    library.mallinfo2.restype = MallInfo
    told = library.mallinfo2()
    return float(told.uordblks + told.hblkhd) / 2**20


def sample(at_s: float, ages_ms: tuple[float, ...]) -> Sample:
    pages = int((PROCESS / "statm").read_text().split()[1])
    handles = len(list((PROCESS / "fd").iterdir()))
    return Sample(
        at_s, pages * PAGE / 2**20, threading.active_count(), handles, ages_ms, in_use_mib()
    )


class FarSide:
    """Takes a stream, asks for the metrics now and then, and forgets both."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.taken = 0
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    while data := connection.recv(65536):
                        self.taken += len(data)

    def close(self) -> None:
        self._listener.close()


class Watch:
    """A service of the session: notes a sample each second, changes the look, asks for metrics,
    and ends it when so many frames have been shown.
    """

    name = "watch"

    def __init__(
        self, stats: Stats, controls: Controls, port: int, clock: Clock, frames: int | None
    ) -> None:
        self.samples: list[Sample] = []
        self._frames = frames
        self._stats, self._controls, self._port, self._clock = stats, controls, port, clock
        self._over = threading.Event()
        self._seen = 0

    def run(self) -> None:
        looks = ("oil painting", "watercolor", "charcoal", "neon")
        start_s = self._clock.now_s()
        while not self._clock.wait(self._over, PERIOD_S):
            self.samples.append(sample(self._clock.now_s() - start_s, self._new_ages_ms()))
            if len(self.samples) % LOOK_EVERY == 0:
                look = looks[len(self.samples) // LOOK_EVERY % len(looks)]
                self._controls.change({"prompt": look})
                self._ask()
            if self._frames is not None and self._stats.frames_out >= self._frames:
                self._controls.quit()

    def stop(self) -> None:
        self._over.set()

    def _new_ages_ms(self) -> tuple[float, ...]:
        ages_s, count = self._stats.newest_latency_s(), self._stats.frames_out
        new = ages_s[-(count - self._seen) :] if count > self._seen else ()
        self._seen = count
        return tuple(age_s * 1e3 for age_s in new)

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), 5) as connection:
            connection.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            while connection.recv(65536):
                pass


def painter_loader(short_side_px: int | None) -> MakePainter:
    """What loads the bundled model, held at the rate."""

    def load(controls: Controls, clock: Clock, stats: Stats) -> LiveStylizer:
        from models import load_engine

        options = LiveStylizerOptions(short_side_px=short_side_px, fps_target=RATE)
        return LiveStylizer(
            load_engine("bundled"), controls.look, options, clock=clock, stats=stats
        )

    return load


def light_painter(controls: Controls, clock: Clock, stats: Stats) -> LiveStylizer:
    """Passes frames on."""
    return TimedPainter(0.0, SIDE_PX)


def soak(
    seconds: float | None, source: str, make_painter: MakePainter, frames: int | None = None
) -> dict[str, object]:
    """Run for so long after the first picture, or until so many frames were shown; what grew."""
    clock = Clock()
    stats = Stats(fps_target=RATE, clock=clock)
    controls = Controls(Look(Style(prompt="oil painting")))
    camera = open_live_source(LiveInput(source, loop=True), clock=clock, stats=stats)
    far, metrics = FarSide(), MetricsServer(0, stats)
    watch = Watch(stats, controls, metrics.port, clock, frames)

    with tempfile.TemporaryDirectory() as folder:
        info = VideoInfo(camera.info.size, camera.info.time_base, camera.info.rate)
        shared = LiveOutputs(info=info, controls=controls, stats=stats, clock=clock)
        specs = ["null", far.url, str(Path(folder) / "take.mp4")]
        session = LiveSession(
            camera,
            lambda: make_painter(controls, clock, stats),
            [(spec, open_live_sink(spec, shared)) for spec in specs],
            controls=controls,
            clock=clock,
            stats=stats,
            services=[metrics, watch],
            duration_s=seconds,
        )
        session.run()
    far.close()
    ran_s = watch.samples[-1].at_s if watch.samples else 0.0
    told = growth(watch.samples, min(WARM_UP_S, ran_s / 4))
    told |= {"far_side_bytes": far.taken, "failed": session.failed_sinks}
    return told | {"fps": stats.output_fps, "events": stats.events, "frames": stats.frames_out}


def growth(samples: list[Sample], warm_up_s: float) -> dict[str, object]:
    """Medians and ages of the first and last quarter, and what grew; `warm_up_s` from the first
    picture on is left out.
    """
    painted = [one.at_s for one in samples if one.ages_ms]
    kept = [one for one in samples if painted and one.at_s >= painted[0] + warm_up_s]
    quarter, step = max(1, len(kept) // 4), -(-len(kept) // COURSE)
    first, last = kept[:quarter], kept[-quarter:]

    def median(part: list[Sample], name: str) -> float:
        return statistics.median(asdict(one)[name] for one in part)

    def ages(part: list[Sample]) -> dict[str, float]:
        return percentiles_ms(age / 1e3 for one in part for age in one.ages_ms)

    if not kept:
        return {"seconds": 0.0}
    names = ("rss_mib", "in_use_mib", "threads", "handles")
    return {
        "seconds": kept[-1].at_s - kept[0].at_s,
        "grew": {name: median(last, name) - median(first, name) for name in names},
        "last": {name: median(last, name) for name in names},
        "rss_mib_course": [
            round(median(kept[at : at + step], "rss_mib"), 1) for at in range(0, len(kept), step)
        ],
        "age_ms": {"first quarter": ages(first), "last quarter": ages(last)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--size", type=int, help="short side that the model works at")
    asked = parser.parse_args()
    source = SOURCE.format(size=SIZE, rate=RATE * asked.speed)
    make: MakePainter = light_painter if asked.light else painter_loader(asked.size)
    if asked.speed == 1:
        told = soak(asked.minutes * 60, source, make)
    else:
        told = soak(None, source, make, round(asked.minutes * 60 * RATE))
    for name, value in told.items():
        print(f"{name:16} {value}")
    at = {"at": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    print(json.dumps(told | at | {"asked": vars(asked), "versions": versions()}))


if __name__ == "__main__":
    main()
