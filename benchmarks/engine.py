"""One frame, bytes to bytes, by every engine that this machine can run; contestants in turns.

    python benchmarks/engine.py --cpu [--size N ...] [--rounds N] [--inductor] [--model FOLDER]
    python benchmarks/engine.py [--architecture NAME ...] [--size N] [--steps N ...]

With --cpu: the bundled model (the same architecture with random weights where it is not there).
Without: on a GPU, random weights of the true architectures; no network, no downloaded file. Its
figures have not been measured by this project yet; `--device cpu --architecture tiny` tries the
script without a GPU. Prints a table each; the last line is one JSON object. Imports neither av nor
cv2 nor typer.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from contest import contest, make_frame, rows, show
from cpu_contestants import cpu_contestants
from gpu_contestants import gpu_contestants
from machine import commit, machine
from random_models import UNETS, random_engine

from models import Engine, Style, is_present, load_engine

PACKAGES = ("torch", "diffusers", "transformers", "openvino", "numpy", "triton")


def main() -> None:
    args = parse_arguments()
    load = os.getloadavg()
    tables = on_cpu(args) if args.cpu else on_gpu(args)
    result = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "load_before": load,
        "load_after": os.getloadavg(),
        "tables": tables,
    }
    for table in tables:
        show(table["title"], table["rows"])
    print(f"\nload of the machine before {load[0]:.1f}, after {os.getloadavg()[0]:.1f}")
    print(json.dumps(result))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of one frame, bytes to bytes.")
    parser.add_argument("--cpu", action="store_true", help="the CPU's contestants")
    parser.add_argument("--device", default="cuda", help="for the GPU's contestants")
    parser.add_argument("--model", default="bundled", help="with --cpu: bundled, or a local folder")
    parser.add_argument("--architecture", nargs="+", choices=list(UNETS), default=["sd-turbo"])
    parser.add_argument("--size", nargs="+", type=int, help="sides in px of the square frame")
    parser.add_argument("--steps", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--frames", type=int, default=8, help="timed frames a round")
    parser.add_argument("--inductor", action="store_true", help="compile with torch too: minutes")
    return parser.parse_args()


def on_cpu(args: argparse.Namespace) -> list[dict[str, Any]]:
    tables = []
    for side in args.size or [256, 384]:
        size = (side, side)

        def make_engine() -> Engine:
            if args.model == "bundled" and not is_bundled_there():
                return random_engine("bundled", torch.device("cpu"), torch.float32)
            return load_engine(args.model, device="cpu", acceleration="off")

        first = make_engine()
        style = first.default_style
        contestants = cpu_contestants(make_engine, style, size, inductor=args.inductor)
        tables.append(run(f"{first.name} {side}x{side}", contestants, style, size, args))
    return tables


def on_gpu(args: argparse.Namespace) -> list[dict[str, Any]]:
    device = torch.device(args.device)
    tables = []
    for architecture in args.architecture:
        for side in args.size or [512]:
            for steps in args.steps:
                style = Style("oil painting", 0.5, steps)
                contestants = gpu_contestants(
                    architecture, style, (side, side), device, compiled=args.inductor
                )
                title = f"{architecture} (random weights) {side}x{side}, {steps} step(s)"
                tables.append(run(title, contestants, style, (side, side), args))
    return tables


def run(
    title: str, contestants: list[Any], style: Style, size: tuple[int, int], args: Any
) -> dict[str, Any]:
    data = make_frame(*size)
    contest(contestants, data, rounds=args.rounds, count=args.frames)
    return {
        "title": title,
        "size": size,
        "style": asdict(style),
        "rounds": args.rounds,
        "frames_a_round": args.frames,
        "rows": rows(contestants, data),
    }


def is_bundled_there() -> bool:
    from models import PRESETS

    return is_present(PRESETS["bundled"])


def versions() -> dict[str, str | None]:
    """Of what is installed; a GPU machine may have little."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


if __name__ == "__main__":
    main()
