"""What a stream's memory costs where the model runs, and whether the graph remembers.

    python benchmarks/gpu_stability.py [--dry-run]

Milliseconds of the device for a frame without and with a memory (`--blend latent`), in turns, for
the bundled architecture and for sd-turbo at 512 px; and the pictures of a moving clip by a graph
against those of the plain path. The last line is one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from contest import Data, likeness
from gpu_runtime import Gpu
from random_models import Architecture
from stability_sequences import canvases, glide, noisy, view

from models import Advance, Engine, Remembered, Style, memory_of

GOAL = 0.10
"""The most that a memory may cost, as a share of the frame without."""

ROUNDS, FRAMES = 12, 8
STYLE = Style("oil painting", 0.6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stream's memory on the device.")
    parser.add_argument("--dry-run", action="store_true", help="on a CPU, with the recorder")
    gpu = Gpu(parser.parse_args().dry_run)
    kinds: list[tuple[Architecture, int]] = (
        [("tiny", 64)] if gpu.is_dry else [("sd-turbo", 512), ("bundled", 256), ("sd-turbo", 1024)]
    )
    figures: dict[str, object] = {}
    failed = False
    for architecture, side in kinds:
        frames = pan(side)
        without_ms, with_ms = costs(gpu, architecture, frames)
        share = with_ms / without_ms - 1
        figures[f"{architecture} {side} px, without a memory, ms"] = without_ms
        figures[f"{architecture} {side} px, with one, ms"] = with_ms
        figures[f"{architecture} {side} px, share"] = f"{share:.1%} (goal {GOAL:.0%})"
        if side <= 256 or gpu.is_dry:
            told, same = remembers(gpu, architecture, frames)
            figures[f"{architecture} {side} px, graph against plain"] = told
            failed |= not same
    print(json.dumps({"figures": figures, "goal": GOAL}))
    raise SystemExit(1 if failed else 0)


def pan(side: int, count: int = FRAMES) -> list[Data]:
    """A view of 256 px that glides by 3.3 px a frame, with a sensor's noise, at that size."""
    import cv2

    canvas = canvases()[0]
    views = [noisy(view(canvas, glide(3.3 * index)), 2.0, index) for index in range(count)]
    return [np.asarray(cv2.resize(each, (side, side)), np.uint8) for each in views]


def costs(gpu: Gpu, architecture: Architecture, frames: list[Data]) -> tuple[float, float]:
    """Milliseconds of a frame without and with a memory, medians in turns."""
    engine = gpu.graphed(gpu.engine(architecture))
    ways = stream(engine, frames, remembers=False), stream(engine, frames, remembers=True)
    for way in ways:
        way()
    spent: list[list[float]] = [[], []]
    for _ in range(2 if gpu.is_dry else ROUNDS):
        for way, times in zip(ways, spent, strict=True):
            gpu.finish()
            start_s = time.perf_counter()
            way()
            gpu.finish()
            times.append((time.perf_counter() - start_s) * 1e3 / len(frames))
    engine.close()
    without, with_memory = (median(times) for times in spent)
    return without, with_memory


def remembers(gpu: Gpu, architecture: Architecture, frames: list[Data]) -> tuple[str, bool]:
    """How near the graph's stream is to the plain one, in words, and whether it is that stream."""
    plain, graph = gpu.engine(architecture), gpu.graphed(gpu.engine(architecture))
    shown = [stream(engine, frames, remembers=True)() for engine in (plain, graph)]
    found = [likeness(one, other)["psnr_db"] for one, other in zip(*shown, strict=True)]
    least = min((float(db) for db in found if isinstance(db, float)), default=None)
    return ("equal", True) if least is None else (f"{least:.1f} dB at least", least >= 35)


def stream(engine: Engine, frames: list[Data], *, remembers: bool) -> Callable[[], list[Data]]:
    """A run over all frames, two on their way."""
    size = frames[0].shape[1], frames[0].shape[0]
    noise, conditioning = engine.noise(STYLE, size), engine.encode_prompt(STYLE)
    schedule, memory = engine.schedule(STYLE), memory_of(engine, size)
    goes_on = Advance(kept=0.57, dt_s=1 / 30)

    def run() -> list[Data]:
        begun = []
        for index, data in enumerate(frames):
            told = goes_on if index else goes_on._replace(starts=1.0)
            more = Remembered(memory, [told]) if remembers else None
            begun.append(engine.begin(data, noise, conditioning, schedule, remembered=more))
        return [picture() for picture in begun]

    return run


if __name__ == "__main__":
    main()
