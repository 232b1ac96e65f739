"""What stability costs: on the host by itself, and on and off beside the model, in ms a frame.

On the host: `decide`, `follow` (which runs while a GPU paints) and `mix` of `stream.temporal`, each
frame its own painting, at three sizes, on a pan, a scene that stands still and the shipped clips;
with the threads that OpenCV takes by itself and with one. `cpu` is processor time of one thread:
other programs change it least.

Beside the model: the whole of `Stylizer.process` without and with stability, in turns frame by
frame, and each stage of the run with it; `ratio` is the median over pairs of neighbouring times.

Prints one line a size; the last line is one JSON object.

    python benchmarks/stability_cost.py [--model FOLDER] [--device DEVICE] [--host-only]
"""

import argparse
import json
import time
from fractions import Fraction
from statistics import median

import cv2
import numpy as np
from machine import commit, machine, versions
from stability_sequences import NOISE, Picture, canvases, frames_of, noisy

from models import Engine, load_engine
from stream import Frame, Stylizer
from stream.temporal import Temporal

SIDES_PX = (256, 384, 512)
FRAMES, WARM_UP, ROUNDS = 36, 4, 2
CELL_PX = 8
RATE = 25
PAN_PX = 3.3
STABILITY = 0.5

Times = dict[str, list[float]]
Figures = dict[str, dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time that stability takes.")
    parser.add_argument("--model", default="bundled", help="bundled, or a local diffusers folder")
    parser.add_argument("--device", help="cpu, cuda, mps; the best there is if not given")
    parser.add_argument("--host-only", action="store_true", help="without the model")
    args = parser.parse_args()
    canvas = canvases()[0]
    result = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "host_cost_ms": host_cost(canvas),
    }
    if not args.host_only:
        engine = load_engine(args.model, device=args.device)
        result["beside_model_ms"] = {
            f"{side_px}": beside_model(engine, clips(canvas, side_px)["pan"])
            for side_px in SIDES_PX
        }
    print(json.dumps(result))


def clips(canvas: Picture, side_px: int) -> dict[str, list[Picture]]:
    """Square clips: known motion with sensor noise, and what was filmed or drawn."""
    wide = cv2.resize(canvas, None, fx=side_px / 256, fy=side_px / 256)
    views = {
        "pan": [_view(wide, PAN_PX * index, side_px, index) for index in range(FRAMES)],
        "still": [_view(wide, 0, side_px, index) for index in range(FRAMES)],
    }
    for name in ("bunny", "face"):
        frames = frames_of(f"{name}.mp4", FRAMES)
        views[name] = [cv2.resize(_square(frame), (side_px, side_px)) for frame in frames]
    return views


def _view(canvas: Picture, x_px: float, side_px: int, seed: int) -> Picture:
    affine = np.array([[1.0, 0, 20 + x_px], [0, 1, 20]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return noisy(cv2.warpAffine(canvas, affine, (side_px, side_px), flags=flags), NOISE, seed)


def _square(picture: Picture) -> Picture:
    side = min(picture.shape[:2])
    left = (picture.shape[1] - side) // 2
    return picture[:side, left : left + side]


def host_cost(canvas: Picture) -> dict[str, object]:
    """By OpenCV's threads, size and clip: figures of each part, of all, and processor time."""
    threads = cv2.getNumThreads()
    result: dict[str, object] = {"threads": threads}
    for side_px in SIDES_PX:
        pictures = clips(canvas, side_px)
        for count in dict.fromkeys((threads, 1)):
            cv2.setNumThreads(count)
            costs = {name: host_times(clip) for name, clip in pictures.items()}
            result[f"{side_px} px, {count} threads"] = costs
            print(f"{side_px} px, {count} threads:", _in_words(costs))
    cv2.setNumThreads(threads)
    return result


def host_times(pictures: list[Picture]) -> Figures:
    """What one frame's decision, motion and mixture take; the picture is its own painting."""
    times: Times = {name: [] for name in ("decide", "follow", "mix", "all", "cpu")}
    temporal, grid = Temporal(), (pictures[0].shape[1] // CELL_PX, pictures[0].shape[0] // CELL_PX)
    for index, data in enumerate(pictures):
        start_s, cpu_s = time.perf_counter(), time.thread_time()
        decision = temporal.decide(data, grid, index / RATE, STABILITY)
        decided_s = time.perf_counter()
        decision = temporal.follow(decision)
        followed_s = time.perf_counter()
        if not decision.is_still:
            temporal.mix(data, decision)
        end_s = time.perf_counter()
        times["decide"].append(decided_s - start_s)
        times["follow"].append(followed_s - decided_s)
        times["mix"].append(end_s - followed_s)
        times["all"].append(end_s - start_s)
        times["cpu"].append(time.thread_time() - cpu_s)
    return {name: figures(values[WARM_UP:]) for name, values in times.items()}


def beside_model(engine: Engine, pictures: list[Picture]) -> dict[str, object]:
    """Whole frames without and with stability, in turns, and the stages of the latter."""
    side_px = min(pictures[0].shape[:2])
    stylizers = [
        Stylizer(engine, short_side_px=side_px, output_size="model", stability=stability)
        for stability in (0, STABILITY)
    ]
    frames = [Frame(data, index, Fraction(1, RATE), 1) for index, data in enumerate(pictures)]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for index, frame in enumerate(frames):
            for stylizer, taken in zip(stylizers, times, strict=True):
                start_s = time.perf_counter()
                stylizer.process(frame)
                taken += [time.perf_counter() - start_s] * (index >= WARM_UP)
        for stylizer in stylizers:
            stylizer.process(None)
    off, on = times
    ratio = median(b / a for a, b in zip(off, on, strict=True))
    result = {"off": figures(off), "on": figures(on), "ratio": ratio}
    print(f"{side_px} px beside the model:", _in_words({"whole": result}))
    return {**result, "stages": stylizers[1].stats.stages}


def figures(times_s: list[float]) -> dict[str, float]:
    """Median, p95 and least, in ms."""
    p50, p95 = np.percentile(times_s, (50, 95)) * 1e3
    return {"p50": float(p50), "p95": float(p95), "least": min(times_s) * 1e3}


def _in_words(costs: dict[str, Figures]) -> str:
    return "; ".join(
        f"{clip}: " + ", ".join(f"{name} {_p50(value):.2f}" for name, value in parts.items())
        for clip, parts in costs.items()
    )


def _p50(value: dict[str, float] | float) -> float:
    return value["p50"] if isinstance(value, dict) else value


if __name__ == "__main__":
    main()
