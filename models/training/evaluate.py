"""Stage `evaluate`: the table of the model card, on pictures held out by photograph and by clip.

Three kinds of figures. Beside the teacher, under the same noise: how far strokes lie where the
teacher's lie (band correlation), how strong they are (energy), whether the judge names the look.
Of the model by itself: what it does to structure, how the empty prompt keeps the photograph. And
the swap tests, which show that it is the UNet that paints: its latents taken from elsewhere, its
fields withheld.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.styles import STYLES
from models.training.batches import SCALE, halved, to_image
from models.training.judge import Judge
from models.training.material.paintings import Paintings
from models.training.measures import (
    band_correlation_of,
    gradient_correlation,
    psnr,
    ssim,
    stroke_energy,
)
from models.training.painter import Painter
from models.training.teachers import latent_noise

logger = logging.getLogger(__name__)

STRENGTH = 0.6
STRENGTHS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
STEPS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Held:
    """A held-out crop: `frame` (1, 3, H, W), `photo` (1, 3, 2 H, 2 W), what was carried."""

    index: int
    frame: Tensor
    photo: Tensor
    carried: Tensor
    looks: tuple[str, ...]


def held_out(pairs: Paintings, count: int) -> list[Held]:
    """`count` crops spread over all that there are."""
    pairs.refresh()
    rows = [row for row in pairs.rows if row.looks]
    places = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)
    crops = []
    for row in (rows[place] for place in places):
        photo = pairs.photo(row.index)
        frame = to_image(halved(photo)[None])
        noise = latent_noise(row.seed)
        crops.append(Held(row.index, frame, to_image(photo[None]), noise, row.looks))
    return crops


def evaluate(
    model: Path,
    runs: Path,
    *,
    text: Path | None = None,
    pictures: int = 24,
    looks: Iterable[str] | None = None,
    steps: tuple[int, ...] = STEPS,
) -> dict[str, float]:
    """Measure the model on `pictures` held-out crops in every look; returns the table.

    Args:
        model: Its folder.
        text: Folder of text encoder and tokenizer, where they are not in `model`.
        looks: Some of them; all by default.
        steps: Numbers of steps that the judge sees.
    """
    painter = Painter.load(model, text)
    pairs = Paintings(runs / "paintings" / "held_out")
    crops = held_out(pairs, pictures)
    path = runs / "judge" / "judge.safetensors"
    judge = Judge.load(path) if path.is_file() else None
    table = swap_figures(painter, crops)
    rows = {}
    for prompt in looks or [style.prompt for style in STYLES]:
        own = [crop for crop in crops if prompt in crop.looks]
        if own:
            rows[prompt] = look_figures(painter, pairs, own, prompt, judge, steps)
            logger.info("%-16s %s", prompt, {k: round(v, 3) for k, v in rows[prompt].items()})
    for name in next(iter(rows.values()), {}):
        table[name] = float(np.mean([row[name] for row in rows.values()]))
        table |= {f"{name}, {prompt}": row[name] for prompt, row in rows.items()}
    table |= strength_figures(painter, crops[:4])
    return table


@torch.no_grad()
def look_figures(
    painter: Painter,
    pairs: Paintings,
    crops: list[Held],
    prompt: str,
    judge: Judge | None,
    steps: tuple[int, ...],
) -> dict[str, float]:
    """One look beside its teacher, under the same noise."""
    look = painter.look(prompt)
    figures: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    for crop in crops:
        taught = to_image(pairs.painting(crop.index, prompt)[None])
        noise = painter.carrying(crop.carried, steps=max(steps))
        for count in steps:
            latents = painter.latents(crop.frame, look, noise[:count], strength=STRENGTH)
            painted = painter.decode(latents)
            if judge is not None:
                add(f"judge, {count} step(s)", named(judge, painted, prompt))
            if count == 1:
                add("band correlation", band_correlation_of(painted, taught))
                add("stroke energy", stroke_energy(painted, taught))
                add("PSNR to the teacher", psnr(painted, taught))
                distance = (painted - taught).abs().mean() / (crop.photo - taught).abs().mean()
                add("distance / photograph's", distance.item())
        withheld = painter.latents(
            crop.frame, look, noise[:1], strength=STRENGTH, planes=painter.no_planes(crop.frame)
        )
        add("band correlation, no fields", band_correlation_of(painter.decode(withheld), taught))
        add("band correlation, photograph", band_correlation_of(crop.photo, taught))
        half = painter.decode(painter.latents(crop.frame, look, noise[:1], strength=0.5))
        add("structure at 0.5", gradient_correlation(half, crop.photo, 4.0))
    return {name: float(np.mean(values)) for name, values in figures.items()}


def named(judge: Judge, painted: Tensor, prompt: str) -> float:
    """1 where the judge names the look, else 0."""
    index = [style.prompt for style in STYLES].index(prompt)
    return float(int(judge(painted).argmax(1)) == 1 + index)


@torch.no_grad()
def swap_figures(painter: Painter, crops: list[Held]) -> dict[str, float]:
    """What the decoder makes of latents that the UNet did not paint, and of mixtures."""
    figures: dict[str, list[float]] = {}
    prompts = [style.prompt for style in STYLES]
    for index, crop in enumerate(crops):
        own = painter.decode(painter.encode(crop.frame))
        small = F.avg_pool2d(own, SCALE)
        noise = painter.carrying(crop.carried)
        first, second = (
            painter.latents(crop.frame, painter.look(prompts[k % len(prompts)]), noise)
            for k in (index, index + 7)
        )
        blend = (painter.decode(first) + painter.decode(second)) / 2
        plain = painter.decode(painter.latents(crop.frame, painter.look(""), noise))
        values = {
            "photograph's latents, PSNR at the frame's size": psnr(small, crop.frame),
            "photograph's latents, SSIM at the frame's size": ssim(small, crop.frame),
            "photograph's latents, PSNR": psnr(own, crop.photo),
            "empty prompt, PSNR at the frame's size": psnr(F.avg_pool2d(plain, SCALE), crop.frame),
            "half and half of two looks' latents, PSNR": psnr(
                painter.decode((first + second) / 2), blend
            ),
        }
        for name, value in values.items():
            figures.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in figures.items()}


@torch.no_grad()
def strength_figures(painter: Painter, crops: list[Held]) -> dict[str, float]:
    """Mean distance from the photograph at rising strength, over some looks (of 255)."""
    figures = {}
    for strength in STRENGTHS:
        distances = [
            (painter.paint(crop.frame, s.prompt, painter.carrying(crop.carried), strength=strength)
             - crop.photo).abs().mean().item() * 127.5
            for crop in crops
            for s in STYLES[::5]
        ]  # fmt: skip
        figures[f"distance from the photograph, strength {strength}"] = float(np.mean(distances))
    return figures


def save_table(table: dict[str, float], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({k: round(v, 4) for k, v in table.items()}, indent=2) + "\n")
