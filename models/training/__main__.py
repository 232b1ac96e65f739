"""`python -m models.training STAGE --runs FOLDER`: how models/bundled was made, stage by stage.

    fetch -> paintings -> text -> autoencoder -> student -> judge -> export -> calibrate -> evaluate

`sheets` shows what a student paints beside its teachers, at any time of its training.
`adopt` puts the parts of a finished model (--model) where the stages look for them, to go on from.
`average` makes one model (--model) of several (--part).
`lcm-lora` stands apart: it distils a LoRA from a full-size teacher by the same loop.

Every stage is seeded, goes on where it was broken off, and logs to <runs>/<stage>/log.jsonl.
"""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.training.loop import Plan

STAGES = (
    "lcm-lora",
    "fetch",
    "paintings",
    "adopt",
    "text",
    "autoencoder",
    "student",
    "judge",
    "export",
    "average",
    "calibrate",
    "evaluate",
    "sheets",
)


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m models.training", description=__doc__)
    arguments.add_argument("stage", choices=STAGES)
    arguments.add_argument("--runs", type=Path, default=Path("runs"), help="working folder")
    arguments.add_argument("--steps", type=int, help="optimiser steps (each stage has a default)")
    arguments.add_argument("--batch", type=int, help="samples a step")
    arguments.add_argument("--learning-rate", type=float)
    arguments.add_argument("--window", type=int, help="side of a training picture in pixels")
    arguments.add_argument(
        "--minutes", type=float, help="of training, in place of --steps (`autoencoder`, `student`)"
    )
    arguments.add_argument("--crops", type=int, default=400, help="training crops to paint")
    arguments.add_argument("--look", action="append", help="`paintings` or `sheets` in this look")
    arguments.add_argument("--compile", action="store_true", help="`student` on compiled kernels")
    arguments.add_argument(
        "--start", type=Path, help="model folder that `autoencoder` or `student` starts from"
    )
    arguments.add_argument("--model", type=Path, default=Path("models/bundled"))
    arguments.add_argument("--count", type=int, default=24, help="held-out crops to measure")
    arguments.add_argument("--teacher", help="lcm-lora: diffusers folder or hub id to distil")
    arguments.add_argument("--pictures", type=Path, help="lcm-lora: folder of captioned pictures")
    arguments.add_argument(
        "--part", action="append", default=[], metavar="FOLDER=WEIGHT",
        help="average: a model that goes into --model (repeat it)",
    )  # fmt: skip
    arguments.add_argument("--threads", type=int, help="CPU threads")
    arguments.add_argument("--seed", type=int, default=0)
    return arguments


def main() -> None:
    arguments = parser()
    options = arguments.parse_args()
    if options.stage == "lcm-lora" and not (options.teacher and options.pictures):
        arguments.error("lcm-lora needs --teacher and --pictures")
    folder = options.runs / options.stage
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(folder / "messages.log")],
    )
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    run(options)


def run(options: argparse.Namespace) -> None:
    """Dispatch one stage; heavy modules are imported by the stage that needs them."""
    runs: Path = options.runs
    if options.stage == "fetch":
        from models.training.material.packages import PACKAGES, SENTENCE_ENCODER, fetch_all

        fetch_all(runs / "packages", (*PACKAGES, SENTENCE_ENCODER))
    elif options.stage == "paintings":
        _paintings(options)
    elif options.stage == "adopt":
        from models.training.export import adopt

        adopt(options.model, runs)
    elif options.stage == "average":
        from models.training.average import average, parse

        average([parse(part) for part in options.part], options.model)
    elif options.stage == "calibrate":
        from models.training.calibrate import calibrate

        calibrate(options.model, runs)
    elif options.stage in ("export", "evaluate", "sheets"):
        _finish(options)
    else:
        _train(options)


def _paintings(options: argparse.Namespace) -> None:
    from models.training.material.paintings import make_paintings
    from models.training.material.pictures import collect
    from models.training.teachers import PAINTERS

    pictures, folder = collect(options.runs / "packages"), options.runs / "paintings"
    looks = options.look or tuple(PAINTERS)
    make_paintings(pictures, folder / "held_out", count=40, held_out=True, looks=looks)
    make_paintings(pictures, folder / "train", count=options.crops, held_out=False, looks=looks)


def _train(options: argparse.Namespace) -> None:
    from models.training import autoencoder, judge, student, text

    runs: Path = options.runs
    if options.stage == "lcm-lora":
        _distil(options)
    elif options.stage == "text":
        text.train(runs / "text", plan(options, 2200, 64, 2e-3), text.sentence_encoder(runs))
    elif options.stage == "autoencoder":
        autoencoder.train(
            runs / "paintings" / "train", runs / "autoencoder", plan(options, 1000, 12, 1.2e-3),
            start=options.start and options.start / "vae",
        )  # fmt: skip
    elif options.stage == "student":
        student.train(
            runs, plan(options, 10_000, 8, 1.5e-3), window=options.window or 160,
            start=options.start, compiled=options.compile,
        )  # fmt: skip
    else:
        judge.train(runs, plan(options, 2000, 24, 1.5e-3))


def _distil(options: argparse.Namespace) -> None:
    from models.training import lcm_lora

    try:
        path = lcm_lora.train(
            str(options.teacher), lcm_lora.find_pictures(options.pictures),
            options.runs / "lcm-lora",
            plan(options, 1000, 8, 1e-4), window=options.window or 512,
        )  # fmt: skip
    except ValueError as err:
        raise SystemExit(f"Error: {err}") from err
    logging.getLogger(__name__).info("%s", path)


def _finish(options: argparse.Namespace) -> None:
    from models.styles import STYLES
    from models.training.evaluate import evaluate, save_table
    from models.training.export import export
    from models.training.sheets import make_sheet

    runs: Path = options.runs
    if options.stage == "export":
        size = export(runs, options.model)
        logging.getLogger(__name__).info("%s: %.2f MB", options.model, size / 1e6)
    elif options.stage == "evaluate":
        table = evaluate(options.model, runs, pictures=options.count)
        save_table(table, runs / "evaluate" / "table.json")
    else:
        looks = options.look or [style.prompt for style in STYLES]
        make_sheet(runs / "student", runs, runs / "sheets" / "held_out.jpg", looks,
                   text=runs / "text")  # fmt: skip


def plan(options: argparse.Namespace, steps: int, batch: int, learning_rate: float) -> "Plan":
    """The stage's defaults with what was given on the command line."""
    from models.training.loop import Plan

    return Plan(
        steps=options.steps or steps,
        batch=options.batch or batch,
        learning_rate=options.learning_rate or learning_rate,
        minutes=options.minutes,
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
