"""Contestants in turns on the same frames: times, set-up, memory, picture against a reference.

A frame is uint8 RGB; a contestant takes a batch of them (B, H, W, 3) and gives as many, on the
host. One that cannot be set up, or fails later, keeps its row, which says why.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from roofline import Peak, Work

Data = NDArray[np.uint8]
Paint = Callable[[Data], Data]
WARM_UP_CALLS = 2
LONGEST_REASON = 160


class Unavailable(Exception):
    """A contestant that this machine has not, with the reason."""


@dataclass
class Contestant:
    """One way to paint frames, bytes to bytes.

    Attributes:
        name: As in the table.
        load: Brings the weights into memory; not timed.
        prepare: Makes of them what paints; timed together with its first frames as set-up.
        note: Beside its row.
        compare: Paints for the comparison of pictures where `prepare`'s cannot be compared (it
            draws other noise); ``None`` compares what is timed.
        reference: Makes what paints its reference, where the first row's picture is none: that of
            another autoencoder, or of other noise.
        is_comparable: Whether its pictures can be those of the reference at all.
        work: What it does a call, for its share of the roofline.
        failure: Why there is nothing to see.
        threads: torch's own; OpenVINO has others.
        peak_mb: Most GPU memory that it took, its weights included; ``None`` without a GPU.
        resident_mb: What of it was still taken after the set-up.
        times_ms: Of each timed call, on the host's clock.
        device_ms: The same on the GPU's: from the first work that is queued to the end of the last.
    """

    name: str
    load: Callable[[], Any]
    prepare: Callable[[Any], Paint]
    note: str = ""
    compare: Callable[[Paint], Paint] | None = None
    reference: Callable[[], Paint] | None = None
    is_comparable: bool = True
    work: Work | None = None
    paint: Paint | None = None
    failure: str = ""
    setup_s: float = 0.0
    threads: int = 1
    peak_mb: float | None = None
    resident_mb: float = 0.0
    times_ms: list[float] = field(default_factory=list)
    device_ms: list[float] = field(default_factory=list)

    def set_up(self, data: Data, threads: int) -> None:
        """Load it and paint once; torch's thread count, which it may set, is remembered."""
        torch.set_num_threads(threads)
        memory = Memory()
        loaded = self.load()
        _free()
        memory.forget_peak()  # random weights are made in float32
        start_s = time.perf_counter()
        self.paint = self.prepare(loaded)
        self.paint(data)
        self.setup_s = time.perf_counter() - start_s
        self.threads = torch.get_num_threads()
        self.peak_mb, self.resident_mb = memory.peak_mb(), memory.grown_mb()

    def round(self, data: Data, count: int, stopwatch: "Stopwatch") -> None:
        """Paint a few times to warm up, then `count` times that are timed."""
        assert self.paint is not None
        torch.set_num_threads(self.threads)
        for _ in range(WARM_UP_CALLS):
            self.paint(data)
        memory = Memory()
        for _ in range(count):
            start_s = time.perf_counter()
            stopwatch.start()
            self.paint(data)
            stopwatch.stop()
            self.times_ms.append((time.perf_counter() - start_s) * 1e3)
        self.device_ms += stopwatch.laps_ms()
        if self.peak_mb is not None:
            self.peak_mb = max(self.peak_mb, self.resident_mb + (memory.peak_mb() or 0.0))

    def attempt(self, step: Callable[[], object]) -> None:
        """Take a step; what it raises becomes the reason of the row, and its memory is freed."""
        try:
            step()
        except Unavailable as err:
            self.failure = str(err)
        except Exception as err:  # one that fails must not cost the others their figures
            self.failure = f"failed: {type(err).__name__}: {' '.join(str(err).split())}"
        if self.failure:
            self.failure = self.failure[:LONGEST_REASON]
            self.paint = None
            _free()


class Memory:
    """Memory that torch takes on the GPU from now on, beside what it has already."""

    def __init__(self) -> None:
        self._before_bytes: int | None = None
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._before_bytes = torch.cuda.memory_allocated()

    def forget_peak(self) -> None:
        """Count the peak from now on, above the same ground."""
        if self._before_bytes is not None:
            torch.cuda.reset_peak_memory_stats()

    def peak_mb(self) -> float | None:
        """The most so far; ``None`` without a GPU."""
        if self._before_bytes is None:
            return None
        return (torch.cuda.max_memory_allocated() - self._before_bytes) / 1e6

    def grown_mb(self) -> float:
        """What is still taken now."""
        if self._before_bytes is None:
            return 0.0
        return (torch.cuda.memory_allocated() - self._before_bytes) / 1e6


class Stopwatch:
    """Times calls on the device's own clock; on a CPU there is none.

    It is read after the last of a round's calls: waiting in between would give a frame that is on
    its way time that nobody counts.
    """

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def laps_ms(self) -> list[float]:
        """Of each call since it was read last; none where there is no such clock."""
        return []


class EventStopwatch(Stopwatch):
    """By CUDA events: one before the first work of a call, one after the last."""

    def __init__(self) -> None:
        self._laps: list[tuple[Any, Any]] = []

    def start(self) -> None:
        events: Any = torch.cuda.Event
        self._laps.append((events(enable_timing=True), events(enable_timing=True)))
        self._laps[-1][0].record()

    def stop(self) -> None:
        self._laps[-1][1].record()

    def laps_ms(self) -> list[float]:
        laps, self._laps = self._laps, []
        if laps:
            laps[-1][1].synchronize()
        return [float(first.elapsed_time(last)) for first, last in laps]


def contest(
    contestants: list[Contestant],
    data: Data,
    *,
    rounds: int,
    count: int,
    stopwatch: Stopwatch | None = None,
) -> None:
    """Set all up, then let those that stand paint in turns."""
    threads, stopwatch = torch.get_num_threads(), stopwatch or Stopwatch()
    for contestant in contestants:
        contestant.attempt(lambda c=contestant: c.set_up(data, threads))
    for _ in range(rounds):
        for contestant in contestants:
            if contestant.paint is not None:
                contestant.attempt(lambda c=contestant: c.round(data, count, stopwatch))
    torch.set_num_threads(threads)


def rows(contestants: list[Contestant], data: Data, peak: Peak | None) -> list[dict[str, object]]:
    """A row each; the first one's picture is the reference of those without their own."""
    first = _picture(contestants[0], data)
    return [_row(each, data, _reference(each, data, first), peak) for each in contestants]


def _reference(contestant: Contestant, data: Data, first: Data | None) -> Data | None:
    """What its picture is held against; its own is made for this alone, and freed."""
    if contestant.reference is None or contestant.paint is None:
        return first
    try:
        return contestant.reference()(data)
    except Exception as err:  # what was timed stands without
        contestant.note = f"{contestant.note}; no reference: {type(err).__name__}".lstrip("; ")
        return None
    finally:
        _free()


def _row(
    contestant: Contestant, data: Data, reference: Data | None, peak: Peak | None
) -> dict[str, object]:
    picture = _picture(contestant, data)  # which may fail too
    row: dict[str, object] = {"name": contestant.name, "note": contestant.note}
    if contestant.paint is None or not contestant.times_ms:
        return {**row, "failure": contestant.failure}
    p50_ms, p95_ms, p99_ms = (float(p) for p in np.percentile(contestant.times_ms, (50, 95, 99)))
    device_ms = float(np.median(contestant.device_ms)) if contestant.device_ms else None
    floor_ms = peak.floor_ms(contestant.work) if peak and contestant.work else None
    return {
        **row,
        "device_ms": device_ms,
        "p50_ms": p50_ms,
        "p95_ms": p95_ms,
        "p99_ms": p99_ms,
        "min_ms": min(contestant.times_ms),
        "fps": len(data) * 1e3 / p50_ms,
        "setup_s": contestant.setup_s,
        "peak_mb": contestant.peak_mb,
        **likeness(picture, reference),
        "floor_ms": floor_ms,
        "share_of_roofline": None if floor_ms is None else floor_ms / (device_ms or p50_ms),
        "threads_of_torch": contestant.threads,
    }


def _picture(contestant: Contestant, data: Data) -> Data | None:
    """What it paints, where that can be compared."""
    paint = contestant.paint
    if paint is None or not contestant.is_comparable:
        return None
    pictures: list[Data] = []
    compared = contestant.compare(paint) if contestant.compare else paint
    contestant.attempt(lambda: pictures.append(compared(data)))
    return pictures[0] if pictures else None


def in_full_float32(paint: Paint) -> Paint:
    """The same without TF32, which torch takes for float32 convolutions unless told otherwise."""

    def painted(data: Data) -> Data:
        settings = torch.backends.cudnn
        before, settings.allow_tf32 = settings.allow_tf32, False
        try:
            return paint(data)
        finally:
            settings.allow_tf32 = before

    return painted


def likeness(picture: Data | None, reference: Data | None) -> dict[str, object]:
    """PSNR in dB, which equal pictures have not, and whether they are equal."""
    if picture is None or reference is None:
        return {"psnr_db": None, "is_equal": None}
    error = ((picture.astype(float) - reference.astype(float)) ** 2).mean()
    psnr_db = float(10 * np.log10(255**2 / error)) if error else None
    return {"psnr_db": psnr_db, "is_equal": not error}


def make_frames(width: int, height: int, batch: int = 1) -> Data:
    """Smooth pictures with some grain (B, H, W, 3), always the same; no two of a batch alike."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    grain = np.random.default_rng(0).normal(0, 6, (batch, height, width, 3))
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * x * y + 2), np.sin(12 * (x - y) + 1)]
    smooth = np.stack(waves, axis=2) * 90 + 127
    return (smooth + grain).clip(0, 255).astype(np.uint8)


def _free() -> None:
    """Give back what nothing holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
