"""Frames a second, time of each stage and memory on this machine, beside plain diffusers.

Three things are measured:

1. frame to frame: uint8 in, uint8 out at the model's size, ours (without and with stability) and
   diffusers' pipeline in turns on the same frames, so that a noisy machine is noisy for all;
   warm-up not counted; medians and p95 over all frames, the ratio as the median over the rounds.
2. file to file: `Session` on the shipped clip, decoding and encoding included.
3. memory: peak of the command on a clip of 10 s and one of 10 min (1 min with --quick).

Prints tables; the last line is one JSON object.

    python benchmarks/throughput.py [--quick] [--model FOLDER] [--device DEVICE] [--prompt TEXT]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from machine import commit, machine, versions
from memory import peak_mb
from numpy.typing import NDArray
from plain_pipeline import PlainPipeline
from rich.console import Console
from rich.table import Table

from models import PRESETS, Engine, Style, load_engine
from stream import Frame, Session, Stylizer, open_sink, open_source
from stream.geometry import model_size, resize

CLIP = Path(__file__).resolve().parent.parent / "examples" / "clips" / "bunny.mp4"
WARM_UP_FRAMES = 3
SAME_MEMORY = 0.05
"""Peaks of the short and the long clip may differ by this share."""

Paint = Callable[[Frame], NDArray[np.uint8]]


def main() -> None:
    args = parse_arguments()
    console = Console()
    engine = load_engine(args.model, device=args.device)
    style = engine.default_style
    if args.prompt is not None:
        style = replace(style, prompt=args.prompt)
    result = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "model": args.model,
        "device": str(engine.device),
        "dtype": str(engine.dtype),
        "style": asdict(style),
        "frame_to_frame": frame_to_frame(engine, style, args),
        "file_to_file": file_to_file(engine, style),
        "memory": None if args.no_memory else memory(args),
    }
    show(console, result)
    print(json.dumps(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed and memory on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a long clip of 1 min")
    parser.add_argument("--model", default="bundled", help="bundled, or a local diffusers folder")
    parser.add_argument("--device", help="cpu, cuda, mps; the best there is if not given")
    parser.add_argument("--prompt", help="the model's own default if not given")
    parser.add_argument("--no-memory", action="store_true", help="leave the memory part out")
    return parser.parse_args()


def frame_to_frame(engine: Engine, style: Style, args: argparse.Namespace) -> dict[str, object]:
    """Ours and diffusers in turns; times in ms per frame."""
    rounds, count = (3, 8) if args.quick else (9, 16)
    frames = load_frames(engine, WARM_UP_FRAMES + count)
    folder = Path(PRESETS[args.model].source if args.model in PRESETS else args.model)
    plain = PlainPipeline(folder, engine, style)
    painters: dict[str, Paint] = {
        "alla prima": ours(engine, style, stability=0),
        "alla prima, stable": ours(engine, style, stability=0.5),
        f"diffusers {plain.name}": lambda frame: plain(frame.data),
    }
    times: dict[str, list[list[float]]] = {name: [] for name in painters}
    for _ in range(rounds):
        for name, paint in painters.items():
            times[name].append(time_frames(paint, frames))
    first, *_, last = painters
    pictures = [painters[name](frames[-1]).astype(int) for name in (first, last)]
    return {
        "size": frames[0].size,
        "rounds": rounds,
        "frames_a_round": count,
        "painters": {name: summary(rows) for name, rows in times.items()},
        "diffusers_over_ours": median(
            median(theirs) / median(mine)
            for mine, theirs in zip(times[first], times[last], strict=True)
        ),
        "mean_difference_of_pictures": float(np.abs(pictures[0] - pictures[1]).mean())
        if plain.is_comparable
        else None,
    }


def load_frames(engine: Engine, count: int) -> list[Frame]:
    """The shipped clip's first frames, at the size that the model paints."""
    with open_source(CLIP) as source:
        size = model_size(source.info.size, engine.native_size, engine.size_multiple)
        return [frame.replace(resize(frame.data, size)) for frame in islice(source, count)]


def ours(engine: Engine, style: Style, *, stability: float) -> Paint:
    stylizer = Stylizer(engine, style, output_size="model", stability=stability)
    return lambda frame: stylizer.process(frame)[0].data


def time_frames(paint: Paint, frames: list[Frame]) -> list[float]:
    """ms of each frame but the first few; a frame is done when its bytes are on the host."""
    times_ms = []
    for frame in frames:
        start_s = time.perf_counter()
        paint(frame)
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    return times_ms[WARM_UP_FRAMES:]


def summary(rows: list[list[float]]) -> dict[str, float]:
    times_ms = [time_ms for row in rows for time_ms in row]
    middle = median(times_ms)
    return {
        "p50_ms": middle,
        "p95_ms": float(np.percentile(times_ms, 95)),
        "fps": 1e3 / middle,
    }


def file_to_file(engine: Engine, style: Style) -> dict[str, object]:
    """The whole way of the shipped clip, decoder to encoder, at the model's size."""
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(CLIP)
        sink = open_sink(Path(folder, "out.mp4"), info=source.info)
        stylizer = Stylizer(engine, style, output_size="model")
        engine.warm_up(stylizer.sizes(source.info.size).model)
        return Session(source, stylizer, sink).run().as_dict()


def memory(args: argparse.Namespace) -> dict[str, object]:
    """Peak of the command in MB, short and long."""
    short_s, long_s = 10, 60 if args.quick else 600
    options = ["--model", args.model, *(["--device", args.device] if args.device else [])]
    short, long = peak_mb(short_s, options), peak_mb(long_s, options)
    return {
        "short_s": short_s,
        "long_s": long_s,
        "short_peak_mb": short,
        "long_peak_mb": long,
        "equal_within_5_percent": abs(long - short) <= SAME_MEMORY * short,
    }


def show(console: Console, result: dict) -> None:
    frames, files, memory = (result[k] for k in ("frame_to_frame", "file_to_file", "memory"))
    table = Table("frame to frame {}x{}".format(*frames["size"]), "p50 ms", "p95 ms", "fps")
    for name, row in frames["painters"].items():
        table.add_row(name, *(f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "fps")))
    console.print(table)
    console.print(f"diffusers takes {frames['diffusers_over_ours']:.2f} times as long")
    if frames["mean_difference_of_pictures"] is not None:
        difference = frames["mean_difference_of_pictures"]
        console.print(f"pictures differ by {difference:.3f} of 255 levels")
    table = Table(f"file to file, {files['fps']:.1f} fps", "p50 ms", "p95 ms", "p99 ms")
    for name, row in files["stages"].items():
        table.add_row(name, *(f"{row[key]:.1f}" for key in ("p50", "p95", "p99")))
    console.print(table)
    if memory is not None:
        same = "equal within 5 %" if memory["equal_within_5_percent"] else "NOT equal within 5 %"
        console.print(
            f"peak memory {memory['short_peak_mb']:.0f} MB on {memory['short_s']} s, "
            f"{memory['long_peak_mb']:.0f} MB on {memory['long_s']} s: {same}"
        )
    console.print(result["machine"], result["versions"], "commit", result["commit"])


if __name__ == "__main__":
    main()
