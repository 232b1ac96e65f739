"""Frames, bytes to bytes, by every engine that this machine can run; contestants in turns.

    python benchmarks/engine.py [--quick | --matrix] [--compile] [--chart FILE.png] [--json FILE]
    python benchmarks/engine.py --architecture sdxl --size 512 1024 --steps 1 2 4 --batch 1 8
    python benchmarks/engine.py --cpu [--size N ...] [--model FOLDER] [--quick]

Without --cpu: on a GPU, random weights of the true architectures; no network, no downloaded file.
Its figures have not been measured by this project yet; `--device cpu --architecture tiny tiny-xl`
tries the script without a GPU. With --cpu: the bundled model (the same architecture with random
weights where it is not there); the roofline is that of bfloat16, which 8-bit integers may pass.
Prints a table each; the last line is one JSON object. Imports neither av nor cv2 nor typer.
"""

import argparse
import gc
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch
from contest import Contestant, EventStopwatch, Stopwatch, contest, make_frames, rows
from cpu_contestants import cpu_contestants
from diffusers.utils import logging
from gpu_contestants import gpu_contestants
from machine import commit, machine, versions
from random_models import UNETS, Architecture, Case, random_engine
from roofline import Peak, measure_peak, peak_of
from table import draw, show

from models import PRESETS, Engine, Style, is_present, load_engine

ARCHITECTURES: tuple[Architecture, ...] = ("sd15", "sd-turbo", "sdxl")
STRENGTH = 0.5
QUICK_ROUNDS = 3
FRAMES = {"cpu": 8, "cuda": 40}
"""Timed calls a round: on a GPU so many that the 99th percentile is not the one slowest call."""


def main() -> None:
    args = parse_arguments()
    logging.set_verbosity_error()  # a warning a frame, of layers that it keeps in float32 itself
    device = torch.device("cpu" if args.cpu else args.device)
    if device.index is not None:
        torch.cuda.set_device(device)  # whose memory and events are read
    load = os.getloadavg()
    measured = measure_peak(device)
    peak = peak_of(device, measured)
    result: dict[str, Any] = {
        "machine": machine(),
        "device": str(device),
        "versions": versions(),
        "commit": commit(),
        "load_before": load,
        "peak": asdict(peak),
        "measured_peak": asdict(measured),
        "tables": [],
    }
    for table in on_cpu(args, peak) if args.cpu else on_gpu(args, device, peak):
        result["tables"].append(table)
        show(table)
        result["load_after"] = os.getloadavg()
        if args.json is not None:  # after each table: a long run may be cut short
            args.json.write_text(json.dumps(result))
    print(f"\nroofline: {peak.tflops:.1f} TFLOP/s, {peak.gbs:.0f} GB/s ({peak.source})")
    print(f"load of the machine before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}")
    if args.chart is not None:
        try_to_draw(result, args.chart)
    print(json.dumps(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of frames, bytes to bytes.")
    parser.add_argument("--cpu", action="store_true", help="the CPU's contestants")
    parser.add_argument("--device", default="cuda", help="for the GPU's contestants")
    parser.add_argument("--model", default="bundled", help="with --cpu: bundled, or a local folder")
    parser.add_argument(
        "--architecture", nargs="+", choices=list(UNETS), default=list(ARCHITECTURES)
    )
    parser.add_argument("--size", nargs="+", type=int, help="sides in px of the square frame")
    parser.add_argument("--steps", nargs="+", type=int, default=[1])
    parser.add_argument("--batch", nargs="+", type=int, default=[1], help="frames a call, on a GPU")
    parser.add_argument("--matrix", action="store_true", help="the whole list of cases, on a GPU")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes a table")
    parser.add_argument("--quick", action="store_true", help="few rounds, no Inductor on the CPU")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--frames", type=int, help="timed calls a round; 8 on the CPU, else 40")
    parser.add_argument("--only", nargs="+", metavar="PART", help="rows whose name holds a part")
    parser.add_argument("--chart", type=Path, help="draw bars into this PNG")
    parser.add_argument("--json", type=Path, help="the last line's object into this file too")
    args = parser.parse_args()
    if args.frames is None:
        args.frames = FRAMES["cpu" if args.cpu else torch.device(args.device).type]
    if args.quick:
        args.rounds = min(args.rounds, QUICK_ROUNDS)
    return args


def on_cpu(args: argparse.Namespace, peak: Peak) -> Iterator[dict[str, Any]]:
    for side in args.size or [256, 384]:
        size = (side, side)

        def make_engine() -> Engine:
            if args.model == "bundled" and not is_present(PRESETS["bundled"]):
                return random_engine("bundled", torch.device("cpu"), torch.float32)
            return load_engine(args.model, device="cpu", acceleration="off")

        first = make_engine()
        style = first.default_style
        contestants = cpu_contestants(make_engine, style, size, inductor=not args.quick)
        yield run(f"{first.name} {side}x{side}", contestants, size, 1, args, peak)


def on_gpu(args: argparse.Namespace, device: torch.device, peak: Peak) -> Iterator[dict[str, Any]]:
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    for architecture, side, steps, batch in cases(args):
        style = Style("oil painting", STRENGTH, steps)
        case = Case(architecture, style, (side, side), batch, device, dtype)
        contestants = gpu_contestants(case, compiled=args.compile)
        title = f"{architecture} (random weights) {side}x{side}, {steps} step(s), batch {batch}"
        yield run(title, contestants, case.size, batch, args, peak)
        contestants.clear()
        free(device, compiled=args.compile)


def cases(args: argparse.Namespace) -> list[tuple[Architecture, int, int, int]]:
    """(architecture, side, steps, batch) of each table."""
    if not args.matrix:
        return list(product(args.architecture, args.size or [512], args.steps, args.batch))
    found = [
        (architecture, 512, steps, batch)
        for architecture in args.architecture
        for steps, batch in ((1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (1, 8))
    ]
    if "sdxl" in args.architecture:
        found += [("sdxl", 1024, steps, batch) for steps, batch in ((1, 1), (2, 1), (4, 1), (1, 8))]
    return found


def run(
    title: str,
    contestants: list[Contestant],
    size: tuple[int, int],
    batch: int,
    args: argparse.Namespace,
    peak: Peak,
) -> dict[str, Any]:
    """One contest; the first contestant, the reference, always takes part."""
    if args.only:
        first, *others = contestants
        contestants = [first, *(c for c in others if any(part in c.name for part in args.only))]
    data = make_frames(*size, batch)
    on_cuda = not args.cpu and torch.device(args.device).type == "cuda"
    stopwatch = EventStopwatch() if on_cuda else Stopwatch()
    contest(contestants, data, rounds=args.rounds, count=args.frames, stopwatch=stopwatch)
    return {
        "title": title,
        "size": size,
        "batch": batch,
        "rounds": args.rounds,
        "calls_a_round": args.frames,
        "rows": rows(contestants, data, peak),
    }


def free(device: torch.device, *, compiled: bool) -> None:
    """Let one table's models and graphs go before the next one's come."""
    if compiled:
        torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def try_to_draw(result: dict[str, Any], path: Path) -> None:
    place = result["machine"]["gpu" if result["device"].startswith("cuda") else "processor"]
    told = f"{place}, PyTorch {result['versions']['torch']}, commit {result['commit']}"
    try:
        draw(result["tables"], path, told)
    except (ImportError, ValueError) as err:
        print(err)
    else:
        print(f"chart: {path}")


if __name__ == "__main__":
    main()
