"""Painting one frame in N: what it costs in quality, and what it saves.

Quality on the moving sequences of `stability.py`: relative flicker F (1 is the per-frame run),
sharpness against the per-frame run, PSNR against painting every frame. Speed on the shipped clip,
look-ahead included, in rounds of all N in turns: time on the clock and of the processor.

Prints a table and ends with one line of JSON.

    python benchmarks/every.py [--quick] [--model FOLDER]
"""

import argparse
import json
import time
from statistics import median

import numpy as np
import stability_methods as methods
import stability_metrics as metrics
import torch
from machine import commit, machine, versions
from rich.console import Console
from rich.table import Table
from stability_methods import RememberingEngine
from stability_sequences import Clip, Picture, canvases, moving_clips, real_clips
from throughput import load_frames

from models import Engine, load_engine
from stream import Frame, Stylizer

EVERY = (1, 2, 3, 4)
STABILITY = 0.5
QUICK_FRAMES, FULL_FRAMES = 18, 40


def main() -> None:
    parser = argparse.ArgumentParser(description="Painting one frame in N.")
    parser.add_argument("--quick", action="store_true", help="shorter clips, fewer rounds")
    parser.add_argument("--model", default="bundled", help="bundled, or a local diffusers folder")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    engine = load_engine(args.model, device="cpu")
    count = QUICK_FRAMES if args.quick else FULL_FRAMES
    a, b = canvases()
    remembering = RememberingEngine(engine)
    qualities = [
        quality(remembering, clip) for clip in (*moving_clips(a, b, count), *real_clips(count))
    ]
    speeds = speed(engine, load_frames(engine, 2 * count), rounds=1 if args.quick else 5)
    rows = [{"every": every, **means(every, qualities), **speeds[every]} for every in EVERY]
    show(rows)
    print(
        json.dumps(
            {
                "machine": machine(),
                "versions": versions(),
                "commit": commit(),
                "model": args.model,
                "quick": args.quick,
                "rows": rows,
                "sequences": qualities,
            }
        )
    )


def quality(engine: RememberingEngine, clip: Clip) -> dict[str, object]:
    """Of one sequence, for each N: F, sharpness, PSNR against N = 1, share of frames painted."""
    style = engine.default_style
    base = methods.ours(engine, clip, style, 0)
    found: dict[str, object] = {"clip": clip.name}
    wanted: list[Picture] = []
    for every in EVERY:
        before = engine.frames_painted
        pictures = methods.ours(engine, clip, style, STABILITY, look_ahead=True, every=every)
        wanted = wanted or pictures
        found[str(every)] = {
            "flicker": metrics.relative_flicker(pictures, base, clip)[1],
            "sharpness": metrics.sharpness(pictures, base),
            "psnr_db": psnr_db(pictures, wanted) if every > 1 else None,
            "painted": (engine.frames_painted - before) / len(pictures),
        }
    return found


def psnr_db(pictures: list[Picture], wanted: list[Picture]) -> float:
    """Of all frames together; infinite where they are equal."""
    error = np.mean(
        [
            np.square(one.astype(np.float32) - other).mean()
            for one, other in zip(pictures, wanted, strict=True)
        ]
    )
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("inf")


def means(every: int, qualities: list[dict]) -> dict[str, float | None]:
    """Over the sequences; `None` where there is nothing to compare with."""
    rows = [row[str(every)] for row in qualities]
    return {
        key: None if rows[0][key] is None else float(np.nanmean([row[key] for row in rows]))
        for key in rows[0]
    }


def speed(engine: Engine, frames: list[Frame], rounds: int) -> dict[int, dict[str, float]]:
    """For each N: frames a second, and ms of the processor a frame, medians over the rounds."""
    clock: dict[int, list[float]] = {every: [] for every in EVERY}
    processor: dict[int, list[float]] = {every: [] for every in EVERY}
    for _ in range(rounds):
        for every in EVERY:
            stylizer = Stylizer(
                engine, output_size="model", stability=STABILITY, look_ahead=True, every=every
            )
            stylizer.process(frames[0])  # compiles and warms up
            stylizer.reset()
            start_s, start_processor_s = time.perf_counter(), time.process_time()
            out = [painted for frame in frames for painted in stylizer.process(frame)]
            out += stylizer.process(None)
            clock[every].append((time.perf_counter() - start_s) / len(out))
            processor[every].append((time.process_time() - start_processor_s) / len(out))
    return {
        every: {
            "fps": 1 / median(clock[every]),
            "processor_ms": 1e3 * median(processor[every]),
            "processor_over_every_1": median(
                mine / all_painted
                for mine, all_painted in zip(processor[every], processor[1], strict=True)
            ),
        }
        for every in EVERY
    }


def show(rows: list[dict]) -> None:
    table = Table("every", "painted", "F", "sharpness", "PSNR, dB", "fps", "processor, ms", "ratio")
    for row in rows:
        table.add_row(
            str(row["every"]),
            f"{row['painted']:.2f}",
            f"{row['flicker']:.3f}",
            f"{row['sharpness']:.2f}",
            "" if row["psnr_db"] is None else f"{row['psnr_db']:.1f}",
            f"{row['fps']:.1f}",
            f"{row['processor_ms']:.1f}",
            f"{row['processor_over_every_1']:.2f}",
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
