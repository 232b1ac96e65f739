"""Contestants in turns on one frame: times, set-up, picture against a reference."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

Data = NDArray[np.uint8]
Paint = Callable[[Data], Data]
WARM_UP_FRAMES = 2


@dataclass
class Contestant:
    """One way to paint a frame, bytes to bytes.

    Attributes:
        name: As in the table.
        make: Makes it, ready to paint; timed together with its first frame as set-up.
        paint: Paints one frame; there after `set_up`.
        threads: torch's own; OpenVINO has others.
        peak_mb: Most GPU memory that its set-up took, ``None`` without a GPU.
    """

    name: str
    make: Callable[[], Paint]
    paint: Paint | None = None
    setup_s: float = 0.0
    threads: int = 1
    peak_mb: float | None = None
    times_ms: list[float] = field(default_factory=list)
    note: str = ""

    def set_up(self, data: Data, threads: int) -> None:
        """Make it and paint once; torch's thread count, which it may set, is remembered."""
        torch.set_num_threads(threads)
        before_bytes = _reset_peak()
        start_s = time.perf_counter()
        self.paint = self.make()
        self.paint(data)
        self.setup_s = time.perf_counter() - start_s
        self.threads = torch.get_num_threads()
        if before_bytes is not None:
            self.peak_mb = (torch.cuda.max_memory_allocated() - before_bytes) / 1e6

    def round(self, data: Data, count: int) -> None:
        """Paint a few frames to warm up, then `count` that are timed."""
        assert self.paint is not None
        torch.set_num_threads(self.threads)
        for index in range(WARM_UP_FRAMES + count):
            start_s = time.perf_counter()
            self.paint(data)
            if index >= WARM_UP_FRAMES:
                self.times_ms.append((time.perf_counter() - start_s) * 1e3)


def _reset_peak() -> int | None:
    """Bytes in use on the GPU before a contestant comes; ``None`` without a GPU."""
    if not torch.cuda.is_available():
        return None
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def contest(contestants: list[Contestant], data: Data, *, rounds: int, count: int) -> None:
    """Set all up, then let them paint in turns."""
    threads = torch.get_num_threads()
    for contestant in contestants:
        contestant.set_up(data, threads)
    for _ in range(rounds):
        for contestant in contestants:
            contestant.round(data, count)
    torch.set_num_threads(threads)


def rows(contestants: list[Contestant], data: Data) -> list[dict[str, object]]:
    """A row each; the first one's picture is the reference."""
    pictures = [contestant.paint(data) for contestant in contestants if contestant.paint]
    return [
        {
            "name": contestant.name,
            "p50_ms": float(np.percentile(contestant.times_ms, 50)),
            "p95_ms": float(np.percentile(contestant.times_ms, 95)),
            "p99_ms": float(np.percentile(contestant.times_ms, 99)),
            "min_ms": min(contestant.times_ms),
            "fps": 1e3 / float(np.percentile(contestant.times_ms, 50)),
            "setup_s": contestant.setup_s,
            "threads_of_torch": contestant.threads,
            "psnr_db": psnr_db(picture, pictures[0]),
            "peak_mb": contestant.peak_mb,
            "note": contestant.note,
        }
        for contestant, picture in zip(contestants, pictures, strict=True)
    ]


def psnr_db(picture: Data, reference: Data) -> float | None:
    """``None`` for equal pictures."""
    error = ((picture.astype(float) - reference.astype(float)) ** 2).mean()
    return float(10 * np.log10(255**2 / error)) if error else None


def show(title: str, table: list[dict[str, object]]) -> None:
    head = (
        "",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "min ms",
        "fps",
        "set-up s",
        "PSNR dB",
        "GPU MB",
        "threads",
    )
    print(f"\n{title}")
    print(f"{head[0]:<44}" + "".join(f"{name:>9}" for name in head[1:]))
    keys = ("p50_ms", "p95_ms", "p99_ms", "min_ms", "fps", "setup_s", "psnr_db", "peak_mb")
    keys = (*keys, "threads_of_torch")
    for row in table:
        cells = "".join(f"{_cell(row[key]):>9}" for key in keys)
        print(f"{row['name']:<44}{cells}  {row['note']}")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def make_frame(width: int, height: int) -> Data:
    """A smooth picture with some grain, always the same."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    grain = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * x * y + 2), np.sin(12 * (x - y) + 1)]
    smooth = np.stack(waves, axis=2) * 90 + 127
    return (smooth + grain).clip(0, 255).astype(np.uint8)
