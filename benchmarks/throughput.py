"""Frames a second, time of each stage and memory on this machine, beside plain diffusers.

Three things are measured:

1. frame to frame: uint8 in, uint8 out at the model's size, ours (without and with stability) and
   diffusers' pipeline in turns on the same frames, so that a noisy machine is noisy for all;
   warm-up not counted; medians and p95 over all frames, the ratio as the median over the rounds.
2. file to file: `Session` with stability and look-ahead on, decoding and encoding included, on
   clips of three sizes in turns; each stage's time, and what all threads took of the processor.
3. memory: peak of the command on a clip of 10 s and one of 10 min (1 min with --quick).

With --profile something else in their place: the processor's time a frame by stage, of the whole
command on the shipped clip at 640x360 and enlarged to 1280x720, and on the shipped face at 400x300.
It adds up, and means something on a busy machine too.

Prints tables; the last line is one JSON object.

    python benchmarks/throughput.py [--quick] [--model FOLDER] [--device DEVICE] [--prompt TEXT]
                                    [--profile [--frames N]]
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
from material import CLIP, write_clip
from memory import peak_mb
from numpy.typing import NDArray
from plain_pipeline import PlainPipeline
from processor_profile import profile_table, profiled
from rich.console import Console
from rich.table import Table

from models import PRESETS, Engine, Style, load_engine
from stream import Frame, Session, Stylizer, open_sink, open_source
from stream.frame import Size
from stream.geometry import model_size, resize

CLIP_SIZES = {(256, 256): 40, (384, 384): 24, (448, 256): None}
"""(width, height) of what is read, painted and written, and the frames a second wished for on two
cores of the kind that docs/benchmarks.md names; ``None`` where there is no wish."""

PROFILED = (("bunny", (640, 360)), ("bunny", (1280, 720)), ("face", (400, 300)))
"""Name of a shipped clip, and (width, height) that it is profiled at."""

WARM_UP_FRAMES = 3
WIDTH = 110
"""Of a table, in columns: also where the output is a file."""

SAME_MEMORY = 0.05
"""Peaks of the short and the long clip may differ by this share."""

Paint = Callable[[Frame], NDArray[np.uint8]]


def main() -> None:
    args = parse_arguments()
    console = Console(width=WIDTH)
    if args.profile:
        show_profile(console, args)
        return
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
        "file_to_file": file_to_file(engine, style, args),
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
    parser.add_argument("--profile", action="store_true", help="processor time by stage instead")
    parser.add_argument("--frames", type=int, default=40, help="of each clip, with --profile")
    return parser.parse_args()


def show_profile(console: Console, args: argparse.Namespace) -> None:
    """Where the processor's time of the whole command goes."""
    options = {"model": args.model, "device": args.device or "auto", "prompt": args.prompt}
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, size in PROFILED:
            warm, clip = (Path(folder, f"{name}-{size[1]}-{part}.mp4") for part in ("warm", "all"))
            for path, count in ((warm, WARM_UP_FRAMES), (clip, args.frames)):
                write_clip(path, size, count, CLIP.with_name(f"{name}.mp4"))
            found.append(profiled(f"{name} {size[0]}x{size[1]}", clip, warm, options))
            console.print(f"{found[-1]['clip']}: {found[-1]['total_ms']:.1f} ms a frame")
    console.print(profile_table(found))
    facts = {"machine": machine(), "versions": versions(), "commit": commit()}
    print(json.dumps({**facts, "profile": found}))


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


def file_to_file(engine: Engine, style: Style, args: argparse.Namespace) -> list[dict]:
    """The whole way of a clip, decoder to encoder, stability on; a row for each size."""
    rounds, count = (1, 60) if args.quick else (5, 100)
    runs: dict[Size, list[dict]] = {size: [] for size in CLIP_SIZES}
    with tempfile.TemporaryDirectory() as folder:
        for size in CLIP_SIZES:
            write_clip(Path(folder, f"{size}.mp4"), size, count)
            run_file(Path(folder, f"{size}.mp4"), engine, style)  # compiles and warms up
        for _ in range(rounds):
            for size in CLIP_SIZES:
                runs[size].append(run_file(Path(folder, f"{size}.mp4"), engine, style))
    return [
        {
            "size": size,
            "fps_wished": CLIP_SIZES[size],
            "fps": median(run["fps"] for run in found),
            "processor_ms": median(run["processor_ms"] for run in found),
            "stages": median_stages([run["stages"] for run in found]),
            "runs": found,
        }
        for size, found in runs.items()
    ]


def run_file(clip: Path, engine: Engine, style: Style) -> dict:
    """One session's statistics, and the processor's time a frame of all threads."""
    source = open_source(clip)
    sink = open_sink(clip.with_name("out.mp4"), info=source.info, overwrite=True)
    short_side_px = min(source.info.size)
    stylizer = Stylizer(engine, style, short_side_px=short_side_px, look_ahead=True, overlap=True)
    start_s = time.process_time()
    stats = Session(source, stylizer, sink).run()
    spent_s = time.process_time() - start_s
    return {**stats.as_dict(), "processor_ms": spent_s * 1e3 / stats.frames_out}


def median_stages(runs: list[dict]) -> dict[str, dict[str, float]]:
    return {
        stage: {key: median(run[stage][key] for run in runs if stage in run) for key in row}
        for stage, row in runs[0].items()
    }


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
    console.print(file_table(files))
    if memory is not None:
        same = "equal within 5 %" if memory["equal_within_5_percent"] else "NOT equal within 5 %"
        console.print(
            f"peak memory {memory['short_peak_mb']:.0f} MB on {memory['short_s']} s, "
            f"{memory['long_peak_mb']:.0f} MB on {memory['long_s']} s: {same}"
        )
    console.print(result["machine"], result["versions"], "commit", result["commit"])


def file_table(files: list[dict]) -> Table:
    """A column each size; a stage's cell is p50 / p95 ms."""
    table = Table("file to file, stable", *("{}x{}".format(*row["size"]) for row in files))
    table.add_row("frames a second", *(f"{row['fps']:.1f}" for row in files))
    table.add_row("wished for", *(str(row["fps_wished"] or "-") for row in files))
    for stage in dict.fromkeys(stage for row in files for stage in row["stages"]):
        cells = [row["stages"].get(stage) for row in files]
        table.add_row(
            f"{stage}, ms", *(f"{c['p50']:.1f} / {c['p95']:.1f}" if c else "-" for c in cells)
        )
    table.add_row("processor, ms", *(f"{row['processor_ms']:.1f}" for row in files))
    return table


if __name__ == "__main__":
    main()
