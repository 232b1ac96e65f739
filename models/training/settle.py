"""Group norms at rest: what a UNet's norms come to, on average, where a student stands.

Group norms keep a fresh network calm; a trained one paints better without (`models/unet.py`). So
the teacher has them, and the student begins as the teacher with each norm at the mean of what it
measures on noised photographs and on what a first step makes of them.
"""

import json
from functools import partial
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from models.training.denoiser import Denoiser
from models.training.examples import Examples
from models.training.looks import GRID
from models.training.loop import generator
from models.unet import LocalUNet2DConditionModel, Statistics, group_norms, localized

BATCHES = 24
"""Whose statistics are averaged."""

UNET_CLASSES = {kind.__name__: kind for kind in (UNet2DConditionModel, LocalUNet2DConditionModel)}


def open_unet(folder: Path, **options: object) -> UNet2DConditionModel:
    """The UNet in a folder, of the class that its config names."""
    config = json.loads((folder / "config.json").read_text())
    return UNET_CLASSES[config["_class_name"]].from_pretrained(folder, **options)


def settled(
    unet: UNet2DConditionModel, examples: Examples, window: int, seed: int
) -> LocalUNet2DConditionModel:
    """The local UNet that paints as this one does on pictures as they are on the mean."""
    return localized(unet, mean_statistics(unet, examples, window, seed))


@torch.no_grad()
def mean_statistics(
    unet: UNet2DConditionModel, examples: Examples, window: int, seed: int
) -> Statistics:
    """Means and variances of the groups of every group norm, over `BATCHES` of examples."""
    sums: dict[str, Tensor] = {}

    def look(name: str, norm: nn.GroupNorm, given: tuple[Tensor]) -> None:
        groups = given[0].float().reshape(len(given[0]), norm.num_groups, -1)
        seen = torch.stack([groups.mean(2).mean(0), groups.var(2, unbiased=False).mean(0)])
        sums[name] = sums.get(name, torch.zeros_like(seen)) + seen

    hooks = [
        norm.register_forward_pre_hook(partial(look, name)) for name, norm in group_norms(unet)
    ]
    device = next(unet.parameters()).device
    denoiser, grid = Denoiser(device), torch.tensor(GRID)
    for step in range(BATCHES):
        example = examples.draw(step, window)
        random = generator(seed + 5, step)
        first = torch.randint(len(GRID), (len(example.frame),), generator=random)
        origin = example.frame
        for place in (first, first // 2):
            t, t_first = (grid[p].to(device) for p in (place, first))
            noise = torch.randn(origin.shape, generator=random).to(device)
            z = denoiser.noised(origin, noise, t)
            origin = denoiser.clean(unet, z, example.frame, t, example.states, t_first)
    for hook in hooks:
        hook.remove()
    counted = 2 * BATCHES
    return {name: (seen[0] / counted, seen[1] / counted) for name, seen in sums.items()}
