"""Which preset of x264 a painted film is worth: processor time, size, PSNR and SSIM of each.

    allaprima restyle CLIP painted.mkv --codec ffv1
    python benchmarks/encoders.py painted.mkv [--frames N] [--crf 18] PRESET...

The film is read into memory and encoded at one quality by each preset in turn, in as many rounds
as asked, with the threads and options of a file. A second table is at one size: x264 is given the
bit rate that the first preset took, which shows what a preset's speed costs.
"""

import argparse
import io
import json
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np
from machine import commit, machine, versions
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from stream.sinks.encoding import encoder_threads

PRESETS = ("medium", "fast", "faster", "veryfast", "superfast", "ultrafast")
RATE = 25
SSIM_SIGMA, SSIM_C1, SSIM_C2 = 1.5, (0.01 * 255) ** 2, (0.03 * 255) ** 2
"""Wang et al. 2004, section III."""

Luma = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path, help="a painted film, without loss")
    parser.add_argument("presets", nargs="*", default=PRESETS)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--crf", type=int, default=18)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    frames = read(args.film, args.frames)
    rows: dict[str, list[dict[str, float]]] = {preset: [] for preset in args.presets}
    for _ in range(args.rounds):
        for preset in args.presets:
            rows[preset].append(encoded(frames, {"preset": preset, "crf": str(args.crf)}))
    by_quality = {name: {key: median(r[key] for r in runs) for key in runs[0]}
                  for name, runs in rows.items()}  # fmt: skip
    rate = by_quality[args.presets[0]]["kbit_s"]
    at_rate = {p: encoded(frames, {"preset": p, "b": f"{rate:.0f}k"}) for p in args.presets}
    size = f"{frames[0].width}x{frames[0].height}"
    console = Console()
    console.print(table(f"{size}, crf {args.crf}", by_quality))
    console.print(table(f"{size}, {rate:.0f} kbit/s asked", at_rate))
    facts = {"machine": machine(), "versions": versions(), "commit": commit(), "size": size}
    print(json.dumps({**facts, "at_crf": by_quality, "at_rate": at_rate}))


def read(film: Path, count: int) -> list[av.VideoFrame]:
    """The first frames of a film, as x264 takes them."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        decoded = islice(container.decode(stream), count)
        return [frame.reformat(format="yuv420p") for frame in decoded]


def encoded(frames: Sequence[av.VideoFrame], options: dict[str, str]) -> dict[str, float]:
    """What encoding takes and leaves."""
    size, memory = (frames[0].width, frames[0].height), io.BytesIO()
    start_s = time.process_time()
    with av.open(memory, "w", format="matroska") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = encoder_threads(size)
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    spent_s = time.process_time() - start_s
    data = memory.getvalue()
    with av.open(io.BytesIO(data)) as container:
        back = [luma(frame) for frame in container.decode(video=0)]
    pairs = [(luma(frame), other) for frame, other in zip(frames, back, strict=True)]
    return {
        "processor_ms": 1e3 * spent_s / len(frames),
        "kbit_s": 8e-3 * len(data) * RATE / len(frames),
        "psnr_db": float(np.mean([psnr_db(*pair) for pair in pairs])),
        "ssim": float(np.mean([ssim(*pair) for pair in pairs])),
    }


def luma(frame: av.VideoFrame) -> Luma:
    """Y as it is stored: conversions would heed what each frame says of its range."""
    return np.asarray(frame.to_ndarray()[: frame.height], dtype=np.uint8)


def psnr_db(a: Luma, b: Luma) -> float:
    error = np.square(a.astype(np.float32) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def ssim(a: Luma, b: Luma) -> float:
    x, y = a.astype(np.float32), b.astype(np.float32)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), SSIM_SIGMA), dtype=np.float32)

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    both = mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    return float((luminance * (2 * both + SSIM_C2) / (var_x + var_y + SSIM_C2)).mean())


def table(title: str, rows: dict[str, dict[str, float]]) -> Table:
    made = Table(title, "processor, ms a frame", "kbit/s", "PSNR, dB", "SSIM")
    for name, row in rows.items():
        cells = f"{row['processor_ms']:.1f}", f"{row['kbit_s']:.0f}", f"{row['psnr_db']:.2f}"
        made.add_row(name, *cells, f"{row['ssim']:.4f}")
    return made


if __name__ == "__main__":
    main()
