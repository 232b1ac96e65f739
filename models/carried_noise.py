"""Carried noise: what a UNet with a stem is shown of the frame besides latents.

    image, noise of the first step ──fields──► planes ──stem──► features, beside z_t at every step

A model has it where its `model_index.json` names a stem (`models.stem`); others have none. What
hangs on the prompt alone is worked out once a style (`StemConditioning`): the vector that steers
the stem, and which kinds of marks the planes carry. Kinds that nobody wants are not computed.
`moved_noise` moves the noise along with the motion; `stream.temporal.noise` says from where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fields import CarriedFields, noise_plane

NOISE_BLOCK = 4
"""A latent cell's noise, 16 channels a plane, is a block of so many places a side at half size."""

SEED_RANGE = 2**64
"""What torch's generator takes; larger seeds are folded into it."""

Planes = Callable[..., Tensor]
"""(image (B, 3, H, W), noise (B, 1, H/2, W/2), weights (B, kinds) if there are kinds) to field
planes (B, 4, H/2, W/2), float32."""


@dataclass(frozen=True, slots=True, eq=False)
class StemConditioning:
    """What a prompt asks of the stem; immutable.

    Attributes:
        style: (1, N), what steers the stem's blocks.
        kinds: The kinds of marks that are wanted.
        weights: (1, kinds), how much of each.
    """

    style: Tensor
    kinds: tuple[str, ...]
    weights: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class StemNetworks:
    """The calls of a stem; a fast path puts others in their place.

    Attributes:
        conditions: Prompt states (1, tokens, width) -> (style (1, N), marks (1, known kinds)).
        features: (image (B, 3, H, W), planes (B, 4, H/2, W/2), style (B or 1, N)) -> features
            (B, F, H/8, W/8).
        planes_of: Kinds of marks -> what computes the planes.
        kinds: Every kind of marks that a prompt can ask for.
        channels: F.
        adds_frame: Whether the UNet predicts what is to be added to the frame's latents.
    """

    conditions: Callable[[Tensor], tuple[Tensor, Tensor]]
    features: Callable[[Tensor, Tensor, Tensor], Tensor]
    planes_of: Callable[[tuple[str, ...]], Planes]
    kinds: tuple[str, ...]
    channels: int
    adds_frame: bool = False

    def conditioning(self, prompt_embeds: Tensor) -> StemConditioning:
        """What a prompt's states ask for; once a style."""
        style, marks = self.conditions(prompt_embeds)
        wanted = [index for index, mark in enumerate(marks[0].tolist()) if mark > 0]
        kinds = tuple(self.kinds[index] for index in wanted)
        return StemConditioning(style.float(), kinds, marks[:, wanted].float())

    def __call__(self, image: Tensor, noise: Tensor, asked: StemConditioning) -> Tensor:
        """Features of frames under the noise of their first step, (C, h, w) or (B, C, h, w)."""
        batch = len(image)
        planes = self.planes_of(asked.kinds)(image, *planes_inputs(noise, asked, batch))
        return self.features(image, planes, asked.style.expand(batch, -1))


def planes_inputs(noise: Tensor, asked: StemConditioning, batch: int) -> tuple[Tensor, ...]:
    """What computes the planes is given beside the image of `batch` frames.

    Args:
        noise: Of the first step, (C, h, w), or (B, C, h, w) where each frame has its own.
    """
    each = noise[None] if noise.ndim == 3 else noise
    plane = noise_plane(each[:, : NOISE_BLOCK**2]).expand(batch, -1, -1, -1)
    return (plane, asked.weights.expand(batch, -1)) if asked.kinds else (plane,)


def stem_networks(stem: Any) -> StemNetworks:
    """The plain calls of a `models.stem.Stem`: the reference of every fast path."""
    config = stem.config
    known: dict[tuple[str, ...], Planes] = {}

    def planes_of(kinds: tuple[str, ...]) -> Planes:
        if kinds not in known:
            known[kinds] = CarriedFields(kinds)
        return known[kinds]

    return StemNetworks(
        conditions=StemConditions(stem),
        features=StemFeatures(stem),
        planes_of=planes_of,
        kinds=tuple(config.marks),
        channels=int(config.block_out_channels[1]),
        adds_frame=bool(config.get("adds_frame", False)),
    )


class StemConditions(torch.nn.Module):
    """Prompt states (1, tokens, width) -> (style (1, N), marks (1, kinds))."""

    def __init__(self, stem: Any) -> None:
        super().__init__()
        self.stem = stem

    @property
    def text_width(self) -> int:
        return int(self.stem.config.text_width)

    def forward(self, prompt_embeds: Tensor) -> tuple[Tensor, Tensor]:
        states = prompt_embeds.to(next(self.stem.parameters()).dtype)
        return self.stem.style(states), self.stem.marks(states)


class StemFeatures(torch.nn.Module):
    """(image, planes, style) -> features, float32 out; in the stem's own dtype."""

    def __init__(self, stem: Any) -> None:
        super().__init__()
        self.stem = stem

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.stem.parameters()).dtype
        return dtype

    def forward(self, image: Tensor, planes: Tensor, style: Tensor) -> Tensor:
        given = (tensor.to(self.dtype) for tensor in (image, planes, style))
        features: Tensor = self.stem(*given)
        return features.float()


def fixed_noise(seed: int, steps: int, shape: tuple[int, int, int]) -> Tensor:
    """(steps, *shape) of N(0, 1), float32, drawn step by step: the same for any number of steps."""
    generator = torch.Generator("cpu").manual_seed(seed % SEED_RANGE)
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(steps)])


def moved_noise(noise: Tensor, places: Tensor) -> Tensor:
    """Noise moved along with what it painted, finer than a latent cell.

    Every number of the result is one of the noise's own, so it stays gaussian; where two places
    take the same one, neighbours repeat.

    Args:
        noise: (S, C, h, w), C a multiple of 16.
        places: int64 (H/2, W/2, 2), for each place at half size the x and y that its noise comes
            from; they wrap around.
    """
    planes = F.pixel_shuffle(noise, NOISE_BLOCK)
    height, width = planes.shape[-2:]
    x, y = places.float().unbind(-1)
    x, y = (at - side * torch.floor(at / side) for at, side in ((x, width), (y, height)))
    index = (y * width + x).long()
    # in the order of the latents, so that nothing is shuffled back
    cells = index.view(height // NOISE_BLOCK, NOISE_BLOCK, width // NOISE_BLOCK, NOISE_BLOCK)
    order = cells.permute(1, 3, 0, 2).reshape(-1).to(noise.device)
    moved = [plane.index_select(0, order) for plane in planes.reshape(-1, height * width)]
    return torch.stack(moved).view(noise.shape)
