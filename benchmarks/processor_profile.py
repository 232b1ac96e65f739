"""Processor time of a file job by stage, such that the stages add up to what the process took.

Threads of Python are measured from inside: each named call by its thread's own clock, less the
calls that are named within it; what is left of a thread is its row "rest of". Others are read
from the system: those that OpenCV started before the model was loaded, and OpenVINO's, which hold
the model's networks. The last row is what threads took that have ended by then: x264's.

Called by `throughput.py --profile`.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache, wraps
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from models.acceleration.cpu.side_by_side import Lane
from stream import geometry
from stream.offline.jobs import plan_jobs
from stream.offline.options import RestyleOptions
from stream.offline.parts import PartFinder
from stream.offline.restyler import Restyler
from stream.offline.session import Session
from stream.sinks.muxing import Muxer
from stream.sources.rgb_conversion import RgbConverter
from stream.sources.video import VideoSource
from stream.stylizer.output_frames import OutputFrames
from stream.stylizer.prepared_style import PreparedStyle
from stream.stylizer.stylizer import Stylizer
from stream.temporal import gate
from stream.temporal.lookahead import LookAhead
from stream.temporal.state import Temporal

TASKS = Path("/proc/self/task")

CALLS: tuple[tuple[object, str, str], ...] = (
    (VideoSource, "read", "read and decode"),
    (RgbConverter, "convert_both", "YUV to RGB"),
    (PartFinder, "starts_part", "cuts between parts"),
    (Stylizer, "paint", "rest of painting"),
    (gate, "see", "reduce for the gate"),
    (Temporal, "decide", "gate"),
    (Temporal, "follow", "flow"),
    (Temporal, "noise_places", "carry the noise"),
    (PreparedStyle, "begin", "hand over to the model"),
    (Temporal, "mix", "blend"),
    (Stylizer, "finish", "rest of finishing"),
    (LookAhead, "push", "look ahead"),
    (LookAhead, "flush", "look ahead"),
    (OutputFrames, "_brought", "to the output's size"),
    (Muxer, "_to_picture", "RGB to YUV"),
    (Muxer, "write", "encode"),
    (Muxer, "finish", "encode"),
    (Session, "_finish_sink", "encode"),
)
"""Owner, name and row of each call that is measured."""

RESIZE_TO_MODEL = "to the model's size"
BETWEEN = "model: between its requests"
NETWORKS = "model: its networks"
OPENCV = "threads of OpenCV"
ENDED = "threads that have ended"


@dataclass
class Spent:
    """What one thread of Python spent, in seconds.

    Attributes:
        rows: By row, exclusive.
        calls: Every call's time by row.
        open: Seconds within the named calls of each call that is open.
        total_s: By the thread's own clock when it last left a named call.
        name: The thread's.
    """

    name: str
    since_s: float
    rows: dict[str, float] = field(default_factory=dict)
    calls: dict[str, list[float]] = field(default_factory=dict)
    open: list[float] = field(default_factory=list)
    total_s: float = 0.0

    def add(self, row: str, spent_s: float) -> None:
        self.rows[row] = self.rows.get(row, 0.0) + spent_s
        self.calls.setdefault(row, []).append(spent_s)


class Profile:
    """Measures what runs inside `measured`. One at a time.

    Args:
        opencv: Threads of OpenCV, from `opencv_threads`.

    Attributes:
        total_s: What the process took.
        rows: Seconds by row; they add up to `total_s`.
    """

    def __init__(self, opencv: Set[int] = frozenset()) -> None:
        self._opencv = opencv
        self._threads: dict[int, Spent] = {}
        self._lock = threading.Lock()
        self._native: dict[int, float] = {}
        self.total_s = 0.0
        self.rows: dict[str, float] = {}

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the block, and work out `rows` and `total_s` at its end."""
        with ExitStack() as stack:
            for owner, name, row in CALLS:
                self._patch(stack, owner, name, lambda plain, row=row: self._timed(plain, row))
            self._patch(stack, geometry, "resize", self._timed_resize)
            self._patch(stack, Lane, "_start", self._timed_start)
            self._native = _tasks()
            self._spent()  # the caller's thread begins here
            start_s = time.process_time()
            yield
            self.total_s = time.process_time() - start_s
            mine = self._spent()
            mine.total_s = time.thread_time()
        self._sum_up()

    def _patch(
        self, stack: ExitStack, owner: Any, name: str, made: Callable[[Any], Callable[..., Any]]
    ) -> None:
        plain = getattr(owner, name)
        setattr(owner, name, made(plain))
        stack.callback(setattr, owner, name, plain)

    def _spent(self, *, is_new: bool = True) -> Spent:
        number = threading.get_native_id()
        with self._lock:
            if number not in self._threads:
                thread = threading.current_thread()
                since_s = time.thread_time() if is_new else 0.0
                self._threads[number] = Spent(thread.name, since_s)
            return self._threads[number]

    @contextmanager
    def _span(self, row: str) -> Iterator[None]:
        mine = self._spent(is_new=False)
        mine.open.append(0.0)
        start_s = time.thread_time()
        try:
            yield
        finally:
            now_s = time.thread_time()
            within_s = mine.open.pop()
            mine.add(row, now_s - start_s - within_s)
            if mine.open:
                mine.open[-1] += now_s - start_s
            mine.total_s = now_s

    def _timed(self, plain: Callable[..., Any], row: str) -> Callable[..., Any]:
        @wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._span(row):
                return plain(*args, **kwargs)

        return timed

    def _timed_resize(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(plain)
        def timed(*args: Any, **kwargs: Any) -> Any:
            inside = self._spent(is_new=False)
            if inside.name == "MainThread":
                with self._span(RESIZE_TO_MODEL):
                    return plain(*args, **kwargs)
            return plain(*args, **kwargs)

        return timed

    def _timed_start(self, plain: Callable[..., Any]) -> Callable[..., Any]:
        """Of `Lane._start`: what it has the request do is measured in the thread that does it."""

        def timed(lane: Lane, request: Any, inputs: Any, then: Callable[..., Any]) -> None:
            def measured(output: Any) -> None:
                mine = self._spent()  # a thread of OpenVINO, from its first request's end on
                before_s = mine.total_s or mine.since_s
                then(output)
                mine.total_s = time.thread_time()
                mine.add(BETWEEN, mine.total_s - before_s)

            plain(lane, request, inputs, measured)

        return timed

    def _sum_up(self) -> None:
        rows: dict[str, float] = {}
        for mine in self._threads.values():
            named_s = sum(mine.rows.values())
            for row, spent_s in mine.rows.items():
                rows[row] = rows.get(row, 0.0) + spent_s
            if mine.name.startswith("Dummy"):
                continue  # of OpenVINO: nothing but requests
            rest = f"rest of thread {mine.name}"
            rows[rest] = rows.get(rest, 0.0) + mine.total_s - mine.since_s - named_s
        for number, spent_s in _tasks().items():
            if number not in self._threads:
                row = OPENCV if number in self._opencv else NETWORKS
                rows[row] = rows.get(row, 0.0) + spent_s - self._native.get(number, 0.0)
        rows[ENDED] = self.total_s - sum(rows.values())
        self.rows = rows

    def calls_ms(self, row: str) -> tuple[float, float]:
        """p50 and p95 of one call, in ms."""
        times = [s for mine in self._threads.values() for s in mine.calls.get(row, ())] or [0.0]
        half, most = np.percentile(times, (50, 95))
        return 1e3 * float(half), 1e3 * float(most)


@cache
def opencv_threads() -> frozenset[int]:
    """Threads that OpenCV works with, made to start; to be called before a model is loaded."""
    before = set(_tasks())
    cv2.resize(np.zeros((4096, 4096, 3), np.uint8), (2048, 2000), interpolation=cv2.INTER_CUBIC)
    return frozenset(set(_tasks()) - before)


def _tasks() -> dict[int, float]:
    """Seconds that each thread of this process has run, by its number."""
    found = {}
    for task in TASKS.iterdir():
        try:
            found[int(task.name)] = int((task / "schedstat").read_text().split()[0]) * 1e-9
        except OSError:  # it has ended
            continue
    return found


def profiled(name: str, clip: Path, warm: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the command takes of the processor for a clip, in ms a frame, by stage.

    Args:
        name: In the table.
        warm: A short clip of that size, painted before: it loads and compiles.
        options: Further fields of `RestyleOptions`.
    """
    opencv = opencv_threads()
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder, "painted.mp4"))
        asked = RestyleOptions(inputs=[str(clip)], output=target, overwrite=True,
                               **{"workers": 1, **options})  # fmt: skip
        first, job = (plan_jobs([str(one)], target, overwrite=True)[0] for one in (warm, clip))
        restyler = Restyler(asked, watch=lambda *_: nullcontext(lambda _: None))
        with closing(restyler):
            restyler.restyle(first)
            profile = Profile(opencv)
            with profile.measured():
                stats = restyler.restyle(job).stats
    frames = stats.frames_out
    rows = {
        row: {"ms": 1e3 * spent_s / frames, **_calls(profile, row)}
        for row, spent_s in sorted(profile.rows.items(), key=lambda item: -item[1])
    }
    total_ms = 1e3 * profile.total_s / frames
    return {"clip": name, "frames": frames, "total_ms": total_ms, "rows": rows}


def _calls(profile: Profile, row: str) -> dict[str, float]:
    half_ms, most_ms = profile.calls_ms(row)
    return {"p50_ms": half_ms, "p95_ms": most_ms}


def profile_table(found: list[dict[str, Any]]) -> Table:
    """A column each clip: ms of processor time a frame, and in brackets p50 and p95 of one call.

    The rows below the first add up to it.
    """
    table = Table("processor, ms a frame", *(one["clip"] for one in found))
    table.add_row("all", *(f"{one['total_ms']:.1f}" for one in found))
    for row in dict.fromkeys(row for one in found for row in one["rows"]):
        table.add_row(row, *(_cell(one["rows"].get(row)) for one in found))
    return table


def _cell(row: dict[str, float] | None) -> str:
    if row is None:
        return "-"
    calls = f" ({row['p50_ms']:.1f} / {row['p95_ms']:.1f})" if row["p95_ms"] else ""
    return f"{row['ms']:.2f}{calls}"
