"""Stage `judge`: a small classifier of looks, trained on the teachers' pictures alone.

It never sees what the model paints while it learns, and the model never sees it: it is frozen
before the first evaluation. Class 0 is the photograph.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.styles import STYLES
from models.training.batches import ORDER, Batches, to_image
from models.training.loop import Plan, autocast, fit, generator
from models.training.material.paintings import Paintings
from models.training.measures import gaussian

WINDOW = 192
"""Side of a window in pixels of the painting."""

PLAIN_EVERY = 8
"""For so many paintings there is one photograph."""

CLASSES = 1 + len(STYLES)
WIDTHS = (48, 64, 96, 128)


class Judge(nn.Module):
    """Image (B, 3, H, W) in [-1, 1] -> logits (B, 1 + looks). H and W: multiples of 32.

    No normalisation inside, which would hide the palette; mean and spread of the features of
    every scale, and of the colours themselves, go to the head.
    """

    def __init__(self) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        channels = 12
        for width in WIDTHS:
            stages.append(
                nn.Sequential(
                    nn.Conv2d(channels, width, 3, stride=2, padding=1),
                    nn.SiLU(),
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.SiLU(),
                )
            )
            channels = width
        self.stages = nn.ModuleList(stages)
        statistics = 2 * (3 + sum(WIDTHS))
        self.head = nn.Sequential(
            nn.LayerNorm(statistics), nn.Linear(statistics, 128), nn.SiLU(), nn.Linear(128, CLASSES)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = F.pixel_unshuffle(images, 2)
        planes = [images]
        for stage in self.stages:
            x = stage(x)
            planes.append(x)
        pooled = [s for p in planes for s in (p.mean((2, 3)), p.std((2, 3)))]
        logits: Tensor = self.head(torch.cat(pooled, 1).float())
        return logits

    @classmethod
    def load(cls, path: Path) -> "Judge":
        judge = cls()
        judge.load_state_dict(load_file(path))
        return judge.eval().requires_grad_(False)


def train(runs: Path, plan: Plan) -> Judge:
    """Train on the training pairs; saved as `<runs>/judge/judge.safetensors`."""
    torch.manual_seed(plan.seed)
    batches = Batches(Paintings(runs / "paintings" / "train"), plan.batch, plan.seed + 77)
    judge = Judge()
    convert: Any = nn.Module.to
    convert(judge, memory_format=torch.channels_last)

    def loss(step: int) -> dict[str, Tensor]:
        photos, paintings, classes = batches.windows(step, WINDOW)
        plain = photos[::PLAIN_EVERY]
        images = roughened(torch.cat([paintings, plain]), generator(plan.seed + 3, step))
        classes = torch.cat([classes, classes.new_zeros(len(plain))])
        with autocast(images.device):
            logits = judge(images.contiguous(memory_format=torch.channels_last))
        return {"looks": F.cross_entropy(logits.float(), classes)}

    average = fit(judge, loss, plan, runs / "judge")
    assert isinstance(average, Judge)
    tensors = {name: value.contiguous() for name, value in average.state_dict().items()}
    save_file(tensors, runs / "judge" / "judge.safetensors")
    return average


def roughened(images: Tensor, random: torch.Generator) -> Tensor:
    """A little blur and noise, of a strength drawn for the batch: a look is not its sharpness."""
    sigma, level = (float(v) for v in torch.rand(2, generator=random))
    if sigma > 0.25:
        rgb = images.flatten(0, 1).unsqueeze(1)
        images = gaussian(rgb, 1.3 * sigma).view_as(images)
    noise = torch.randn(images.shape, generator=random).to(images.device)
    return images + 0.06 * level * noise


@torch.no_grad()
def held_out_accuracy(judge: Judge, pairs: Paintings) -> float:
    """Share of the teachers' own held-out pictures that the judge names rightly."""
    right = total = 0
    for row in pairs.rows:
        for look in row.looks:
            image = to_image(pairs.painting(row.index, look)[None])
            right += int(judge(image).argmax(1)) == 1 + ORDER[look]
            total += 1
    return right / total
