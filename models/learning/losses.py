"""What is minimised: colours where they belong, and marks of the right kind, wherever they lie.

Which stroke lies where in somebody's painting no network can know, and a loss that wants each pixel
right gets the mean of all strokes. So pixels count little, mean colours of squares a lot, and
marks by their statistics: how strong they are in each direction and place, and the distribution of
small patches, compared by random projections (sliced Wasserstein distance, Rabin et al. 2011; of
patches, arXiv 2106.04803). A patch is taken together with the photograph's colour around it, so
that it also says which marks go with what.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from models.training.autoencoder import edges

WEIGHTS: Final[Mapping[str, float]] = MappingProxyType(
    {"tint": 1.0, "detail": 0.3, "strength": 1.5, "patches": 1.0}
)

PATCH = 7
PROJECTIONS = 24
OF_PIXELS = 8
"""Of the projections look at a single pixel: which inks there are, and how much of each."""

SCALES = 3
PLACES_PER_SIDE = 40
"""Of a window's patches, so many rows and columns are compared at each scale."""

AROUND = 16
"""Side of the square around a patch whose colours in the photograph count."""

SQUARE = 16
"""Side of the squares in which marks have a strength."""

FAINT_MARK = 0.02
"""Difference of neighbours, of a range of 2, below which marks hardly count."""


def look_losses(
    a: Tensor,
    b: Tensor,
    photo: Tensor,
    random: torch.Generator,
    weights: Mapping[str, float] = WEIGHTS,
) -> dict[str, Tensor]:
    """All of them, each with its weight.

    Args:
        a, b: What is painted and what should be, (B, 3, H, W) in [-1, 1].
        photo: (B, 3, H, W), which both show.
        random: Draws projections and places.
    """
    losses = {
        "tint": tint_loss(a, b),
        "detail": detail_loss(a, b),
        "strength": strength_loss(a, b),
        "patches": patch_loss(a, b, photo, random),
    }
    return {name: weights[name] * loss for name, loss in losses.items()}


def tint_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the mean colours of squares of three sizes."""
    apart = F.avg_pool2d(a - b, 4)
    means = apart, F.avg_pool2d(apart, 2), F.avg_pool2d(apart, 8)
    return torch.stack([mean.abs().mean() for mean in means]).sum()


def detail_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 on pixels and edges."""
    apart = a - b
    return apart.abs().mean() + edges(apart)


def strength_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between how strong marks are in squares, across four directions, at three scales."""
    losses = []
    for scale in range(SCALES):
        side = SQUARE >> max(0, scale - 1)
        losses.append((strengths(a, side) - strengths(b, side)).abs().mean())
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(losses).sum()


def strengths(image: Tensor, side: int) -> Tensor:
    """Root mean square of differences of neighbours across four directions: (B, 12, h, w)."""
    inner = image[..., :-2, 1:-1]
    apart = torch.cat(
        [
            image[..., :-2, 2:] - inner,
            image[..., 1:-1, 1:-1] - inner,
            image[..., 1:-1, 2:] - inner,
            image[..., 1:-1, :-2] - inner,
        ],
        1,
    )
    return (F.avg_pool2d(apart.square(), side) + FAINT_MARK**2).sqrt()


def patch_loss(a: Tensor, b: Tensor, photo: Tensor, random: torch.Generator) -> Tensor:
    """Sliced Wasserstein distance between the patches of two images, each with its surroundings."""
    losses = []
    around = F.avg_pool2d(photo, AROUND)
    for _ in range(SCALES):
        both = torch.cat([a, b])
        step = max(1, (both.shape[2] - PATCH) // PLACES_PER_SIDE)
        top, left = (int(v) for v in torch.randint(0, step, (2,), generator=random))
        filters = torch.randn(PROJECTIONS, 3, PATCH, PATCH, generator=random)
        filters = filters - 0.9 * filters.mean((2, 3), keepdim=True)
        center = filters[:OF_PIXELS, :, PATCH // 2, PATCH // 2].clone()
        filters[:OF_PIXELS] = 0
        filters[:OF_PIXELS, :, PATCH // 2, PATCH // 2] = center
        filters = filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        mixed = torch.randn(PROJECTIONS, 3, 1, 1, generator=random)
        found = F.conv2d(both[..., top:, left:], filters, stride=step)
        share = F.conv2d(F.interpolate(around, found.shape[2:], mode="bilinear"), mixed)
        ours, wanted = (found + share.repeat(2, 1, 1, 1)).flatten(2).contiguous().chunk(2)
        apart = ours.sort(dim=2).values - wanted.sort(dim=2).values
        losses.append(apart.abs().mean())
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(losses).sum()
