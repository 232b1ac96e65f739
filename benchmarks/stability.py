"""How much restyled video flickers, beside what a single number would hide.

Every way to stabilise paints the same sequences (`stability_sequences`) through the same model.
A way is *admitted* only if it neither lags, blurs, ghosts, sticks to the screen nor changes the
style; only then does its relative flicker F count: 1 is the per-frame run with fixed noise, 0 is
no more flicker than the input's. The cheats (freeze, blur, average) show what the gates are for.

Prints tables, writes picture strips and plots, and ends with one line of JSON.

    python benchmarks/stability.py [--quick] [--model FOLDER] [--prompt TEXT] [--steps N]
                                    [--ways WAY ...] [--only PART ...] [--frames N] [--out FOLDER]
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import stability_methods as methods
import stability_metrics as metrics
import stability_report as report
import torch
from machine import commit, machine, versions
from stability_bank import FeatureBank
from stability_cost import host_cost
from stability_gates import LOOK_AHEAD, PER_FRAME, admit, summarise
from stability_methods import RememberingEngine
from stability_sequences import (
    Clip,
    Picture,
    canvases,
    event_clips,
    light_clips,
    moving_clips,
    real_clips,
    still_clips,
)
from stability_statistics import statistics_lock

from models import Style, load_engine

QUICK_FRAMES, FULL_FRAMES = 18, 40
STABILITIES = (0.25, 0.5, 0.75, 1.0)
LIVE = "ours 0.5"


def main() -> None:
    args = parse_arguments()
    torch.set_grad_enabled(False)
    engine = RememberingEngine(load_engine(args.model, device=args.device))
    style = engine.default_style
    if args.prompt is not None:
        style = replace(style, prompt=args.prompt)
    if args.strength is not None:
        style = replace(style, strength=args.strength)
    if args.steps is not None:
        style = replace(style, num_inference_steps=args.steps)
    start_s = time.monotonic()
    rows = []
    bank = None
    if is_wanted(args.ways, "feature bank"):
        bank = FeatureBank.of(load_engine(args.model, device=args.device, acceleration="off"))
    run = partial(run_all, engine, bank, style, quick=args.quick, ways=args.ways)
    twin, twins = None, {}
    for clip in chosen_clips(args):
        outputs, painted = run(clip)
        if clip.twin is not twin:  # clips may share it
            twin = clip.twin
            twins = {} if twin is None else run(twin)[0]
        rows += admit(
            [
                measure(name, clip, outputs, twins, painted.get(name, len(pictures)))
                for name, pictures in outputs.items()
            ]
        )
        report.draw_strip(args.out, clip, outputs)
    result = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "model": args.model,
        "style": asdict(style),
        "quick": args.quick,
        "duration_s": time.monotonic() - start_s,
        **summarise(rows, LIVE),
        "host_cost_ms": None if args.quick else host_cost(canvases()[0]),
        "rows": rows,
    }
    report.draw_plots(args.out, result)
    report.show(result)
    whole = report.without_nan(result)
    (args.out / "stability.json").write_text(json.dumps(whole, indent=1, allow_nan=False))
    print(json.dumps({k: v for k, v in whole.items() if k != "rows"}, allow_nan=False))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Flicker, and what it was bought with.")
    parser.add_argument("--quick", action="store_true", help="shorter clips, no times")
    parser.add_argument("--model", default="bundled", help="bundled, or a local diffusers folder")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps")
    parser.add_argument("--prompt", help="the model's own default if not given")
    parser.add_argument("--strength", type=float, help="the model's own default if not given")
    parser.add_argument("--steps", type=int, help="the model's own default if not given")
    parser.add_argument("--ways", nargs="+", default=[], help="only ways that begin with these")
    parser.add_argument("--frames", type=int, help="of each sequence")
    parser.add_argument(
        "--only", nargs="+", help="only sequences whose name has one of these in it"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/stability"), help="for pictures")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def chosen_clips(args: argparse.Namespace) -> list[Clip]:
    a, b = canvases()
    count = args.frames or (QUICK_FRAMES if args.quick else FULL_FRAMES)
    makers: list[list[Clip]] = [
        moving_clips(a, b, count),
        real_clips(count),
        still_clips(a, count),
        light_clips(a, count),
        event_clips(a, b, count),
    ]
    clips = [clip for made in makers for clip in made]
    return [c for c in clips if args.only is None or any(part in c.name for part in args.only)]


def run_all(
    engine: RememberingEngine,
    bank: FeatureBank | None,
    style: Style,
    clip: Clip,
    *,
    quick: bool,
    ways: Sequence[str] = (),
) -> tuple[dict[str, list[Picture]], dict[str, int]]:
    """Every way's pictures, and how many frames the model painted for ours.

    Args:
        ways: Only those whose name begins with one of these, and the per-frame run.
    """
    base = methods.ours(engine, clip, style, 0)
    outputs = {PER_FRAME: base}
    painted: dict[str, int] = {}
    wanted = partial(is_wanted, ways)
    for stability in (0.5, 1.0) if quick else STABILITIES:
        name, before = f"ours {stability:g}", engine.frames_painted
        if not wanted(name):
            continue
        outputs[name] = methods.ours(engine, clip, style, stability)
        painted[name] = engine.frames_painted - before
    others: dict[str, Callable[[], list[Picture]]] = {
        LOOK_AHEAD: lambda: methods.ours(engine, clip, style, 0.5, look_ahead=True),
        **on_device(engine, clip, style),
        "latent average": lambda: methods.latent_average(engine, clip, style),
        "latent flow": lambda: methods.latent_flow(engine, clip, style),
        "statistics lock": lambda: statistics_lock(engine, clip, style),
        "similarity filter": lambda: methods.similarity_filter(base, clip),
        "flow blend": lambda: methods.flow_blend(base, clip),
        "cheat: freeze": lambda: methods.freeze(base),
        "cheat: blur": lambda: methods.blur(base),
        "cheat: average": lambda: methods.average(base),
    }
    if bank is not None:
        others["feature bank"] = lambda: bank.run(clip, style)
    outputs.update({name: make() for name, make in others.items() if wanted(name)})
    return outputs, painted


def is_wanted(ways: Sequence[str], name: str) -> bool:
    return not ways or any(name.startswith(way) for way in ways)


def on_device(
    engine: RememberingEngine, clip: Clip, style: Style
) -> dict[str, Callable[[], list[Picture]]]:
    """The ways whose history lies where the model runs."""

    def way(blend: str, look_ahead: bool) -> list[Picture]:
        return methods.ours(engine, clip, style, 0.5, blend=blend, look_ahead=look_ahead)

    return {
        f"{blend}{', look-ahead' * look_ahead}": partial(way, blend, look_ahead)
        for blend in ("latent", "both")
        for look_ahead in (False, True)
    }


def measure(
    name: str,
    clip: Clip,
    outputs: dict[str, list[Picture]],
    twins: dict[str, list[Picture]],
    painted: int,
) -> dict[str, object]:
    """One row: all metrics of one way on one sequence."""
    pictures, base = outputs[name], outputs[PER_FRAME]
    error, flicker = metrics.relative_flicker(pictures, base, clip)
    row: dict[str, object] = {
        "clip": clip.name,
        "method": name,
        "moving": clip.is_moving,
        "warp_error": error,
        "floor": metrics.warp_error(clip.clean, clip),
        "bit_equal": metrics.bit_equal(pictures, clip),
        "t90": metrics.response(pictures, base, clip),
        "ghost": ghosting(name, clip, outputs, twins),
        "sharpness": metrics.sharpness(pictures, base),
        "structure": metrics.structure(pictures, clip),
        "style": metrics.style_strength(pictures, clip),
        "returned": metrics.returned(pictures, clip),
        "distance": metrics.distance(pictures, base),
        "painted": painted,
        "frames": len(pictures),
    }
    if clip.is_moving:
        row["flicker"] = flicker
        row["gain"] = metrics.motion_gain(pictures, clip)
        row["lag"] = metrics.lag(pictures, clip)
    return row


def ghosting(
    name: str, clip: Clip, outputs: dict[str, list[Picture]], twins: dict[str, list[Picture]]
) -> float:
    """Levels of ghost beyond what the per-frame run has (its model looks around)."""
    if not twins:
        return float("nan")
    mine, base = (
        metrics.ghost(outputs[way], twins[way], clip.sprites) for way in (name, PER_FRAME)
    )
    return mine - base


if __name__ == "__main__":
    main()
