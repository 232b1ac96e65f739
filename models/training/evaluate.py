"""Stage `evaluate`: the table of the model card, on pictures held out by photograph and by clip.

Everything goes through the same engine that users call. The judge is `judge.py`'s.
"""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.engine import Engine
from models.loading import load_engine
from models.style import Style
from models.styles import STYLES
from models.training.batches import image
from models.training.judge import Judge
from models.training.material.pairs import Pairs
from models.training.measures import (
    band_correlation,
    gradient_correlation,
    paint,
    pan,
    psnr,
    ssim,
)
from models.training.teachers.renderers import Picture

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")
AREA = np.s_[8:264, 8:264]
"""The 256 px window of a stored crop."""

STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PANS = {
    "static, sensor noise 2": (0.0, 2.0, 0),
    "pan 0.4 px": (0.4, 0.0, 0),
    "pan 3.3 px": (3.3, 0.0, 0),
    "pan 12 px": (12.0, 0.0, 0),
    "pan 12 px, noise moved by a cell": (12.0, 0.0, 1),
}
"""Pixels a frame, sensor noise of 255, latent cells that the noise moves."""


def evaluate(model: Path | str, runs: Path, *, pictures: int = 24) -> dict[str, float]:
    """Measure the model on `pictures` held-out photographs in every look; returns the table."""
    engine = load_engine(str(model), device="cpu", dtype=torch.float32)
    pairs = Pairs.open(runs / "pairs" / "held_out")
    judge = Judge.load(runs / "judge" / "judge.safetensors")
    rows = pairs.rows[np.linspace(0, len(pairs.rows) - 1, pictures).round().astype(int)]
    photos = [np.ascontiguousarray(pairs.photos[r][AREA]) for r in rows]
    table = autoencoder_figures(
        engine, photos, [pairs.targets[r, k % 18][AREA] for k, r in enumerate(rows)]
    )
    table |= style_figures(engine, judge, pairs, rows)
    table |= strength_figures(engine, photos[::4])
    table |= temporal_figures(engine, [pairs.photos[r] for r in rows[:5]])
    for key, value in table.items():
        logger.info("%-44s %.3f", key, value)
    return table


def autoencoder_figures(
    engine: Engine, photos: list[Picture], paintings: list[Picture]
) -> dict[str, float]:
    """PSNR and SSIM of encode-decode alone."""
    figures = {}
    for name, group in (("photographs", photos), ("paintings", paintings)):
        images = [engine.to_image(np.ascontiguousarray(p)) for p in group]
        pairs = [(engine.decode(engine.encode(i)), i) for i in images]
        figures[f"autoencoder PSNR, {name} (dB)"] = float(np.mean([psnr(a, b) for a, b in pairs]))
        figures[f"autoencoder SSIM, {name}"] = float(np.mean([ssim(a, b) for a, b in pairs]))
    return figures


def style_figures(engine: Engine, judge: Judge, pairs: Pairs, rows: np.ndarray) -> dict[str, float]:
    """The judge's verdict, the distance to the teacher, and structure."""
    right: dict[int, list[bool]] = {1: [], 2: [], 4: []}
    distances, structures = [], []
    photos = [np.ascontiguousarray(pairs.photos[r][AREA]) for r in rows]
    frames = image(np.stack(photos), CPU)
    for look, style_entry in enumerate(STYLES):
        style = Style(style_entry.prompt, strength=0.6)
        slots = [int(np.flatnonzero(pairs.looks[r] == look)[0]) for r in rows]
        taught = image(
            np.stack([pairs.targets[r, s][AREA] for r, s in zip(rows, slots, strict=True)]), CPU
        )
        for steps, verdicts in right.items():
            painted = paint(engine, replace(style, num_inference_steps=steps), photos)
            verdicts += (judge(painted.clamp(-1, 1)).argmax(1) == look + 1).tolist()
            if steps == 1:
                distances.append(_relative_distance(painted, taught, frames))
        half = paint(engine, replace(style, strength=0.5), photos)
        structures.append(gradient_correlation(half, frames))
        logger.info("%s: distance %.2f structure %.2f judge %.2f", style.prompt, distances[-1],
                    structures[-1], np.mean(right[1][-len(rows) :]))  # fmt: skip
    figures = {f"judge, {n} step(s), strength 0.6": float(np.mean(v)) for n, v in right.items()}
    figures["distance to the teacher / photograph's"] = float(np.mean(distances))
    figures["gradient correlation, strength 0.5"] = float(np.mean(structures))
    figures["gradient correlation, worst look"] = float(np.min(structures))
    return figures


def _relative_distance(painted: Tensor, taught: Tensor, frames: Tensor) -> float:
    return float((painted.clamp(-1, 1) - taught).abs().mean() / (frames - taught).abs().mean())


def strength_figures(engine: Engine, photos: list[Picture]) -> dict[str, float]:
    """Mean distance from the frame at rising strength, over all looks (of 255)."""
    frames = image(np.stack(photos), CPU)
    figures = {}
    for strength in STRENGTHS:
        distances = [
            (paint(engine, Style(s.prompt, strength=strength), photos).clamp(-1, 1) - frames)
            .abs().mean().item() * 127.5
            for s in STYLES[::3]
        ]  # fmt: skip
        figures[f"distance from the frame, strength {strength}"] = float(np.mean(distances))
    return figures


def temporal_figures(engine: Engine, pictures: list[Picture]) -> dict[str, float]:
    """Stroke-band correlation between consecutive frames along known motion, five x four."""
    figures = {}
    looks = ("oil painting", "watercolor", "van gogh", "anime")
    for name, (dx, noise, cells) in PANS.items():
        values = [
            band_correlation(painted_pan(engine, Style(look), pan(picture, dx, noise), cells), dx)
            for picture in pictures
            for look in looks
        ]
        figures[f"stroke correlation, {name}"] = float(np.mean(values))
    return figures


def painted_pan(engine: Engine, style: Style, frames: list[Picture], cells: int = 0) -> Tensor:
    """Two frames at strength 0.6, the second's fixed noise moved by whole latent cells."""
    style = replace(style, strength=0.6)
    noise = engine.noise(style, (frames[0].shape[1], frames[0].shape[0]))
    return paint(engine, style, frames, [noise, torch.roll(noise, -cells, dims=-1)])


def save_table(table: dict[str, float], path: Path) -> None:
    path.write_text(json.dumps({k: round(v, 4) for k, v in table.items()}, indent=2) + "\n")
