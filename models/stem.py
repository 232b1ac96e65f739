"""Stem: what a UNet is shown of the frame and its carried fields, finer than a latent cell.

    image, field planes, style ──Stem──► features at 1/8 ──beside z_t and frame latents──► UNet

A UNet at 1/8 learns each place inside a cell of 8 px as a channel of its own, apart from all the
others, and learns strokes slowly that way. The stem looks at a quarter of the frame's size, where
one convolution serves all places, and hands on what the look needs. Its features are further input
channels of a plain diffusers UNet: with their weights in `conv_in` at zero the UNet paints as it
did without, so a stem can be added to a trained model (the idea is that of ControlNet, arXiv
2302.05543, section 3.1).

Prompts reach it as one vector a style (`style`), which scales and shifts its blocks (arXiv
1610.07629), and say which marks the field planes are to carry (`marks`).
"""

from typing import cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

IMAGE_BLOCK, PLANE_BLOCK = 4, 2
"""Sides of the blocks of pixels, and of the planes at half size, that become channels."""


LEAST_MARK = 0.15
"""What the head says of a kind of marks up to which it is not wanted at all, and costs nothing."""


class _StyledBlock(nn.Module):
    """x + conv(silu(scale conv(silu(x)) + shift)): a residual block that a style steers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        inner = self.conv1(F.silu(x)) * scale + shift
        return x + cast(Tensor, self.conv2(F.silu(inner)))


class Stem(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Image (B, 3, H, W) and planes (B, P, H/2, W/2) to features (B, F, H/8, W/8).

    H and W: multiples of 8.

    Args:
        planes: P, how many field planes there are.
        block_out_channels: Channels at 1/4 and at 1/8 of the picture's size; the latter is F.
        layers: Residual blocks at each of the two sizes.
        text_width: Width of the prompt's states.
        marks: Names of the kinds of marks that a prompt can ask for (`models.fields`).
        adds_frame: Whether the UNet predicts what is to be added to the frame's latents, so that
            x_0 is their sum: what a look leaves as it is then needs no learning.
    """

    config_name = "config.json"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        planes: int = 4,
        block_out_channels: tuple[int, int] = (64, 96),
        layers: tuple[int, int] = (1, 1),
        text_width: int = 128,
        marks: tuple[str, ...] = (),
        adds_frame: bool = True,
    ) -> None:
        super().__init__()
        fine, coarse = block_out_channels
        seen = 3 * IMAGE_BLOCK**2 + planes * PLANE_BLOCK**2
        self.conv_in = nn.Conv2d(seen, fine, 3, padding=1)
        self.fine = nn.ModuleList(_StyledBlock(fine) for _ in range(layers[0]))
        self.down = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse = nn.ModuleList(_StyledBlock(coarse) for _ in range(layers[1]))
        self.widths = [fine] * layers[0] + [coarse] * layers[1]
        self.style_head = nn.Linear(text_width, 2 * sum(self.widths))
        self.mark_head = nn.Linear(text_width, len(marks))
        nn.init.zeros_(self.style_head.weight)
        nn.init.zeros_(self.style_head.bias)

    @property
    def out_channels(self) -> int:
        """F."""
        return int(self.config.block_out_channels[1])

    def style(self, prompt_embeds: Tensor) -> Tensor:
        """Prompt states (B, tokens, width) -> (B, N), what `forward` is steered by; once a style.

        Linear in the states: those of a mixture give the mixture.
        """
        return cast(Tensor, self.style_head(prompt_embeds.mean(1)))

    def marks(self, prompt_embeds: Tensor) -> Tensor:
        """Prompt states (B, tokens, width) -> (B, kinds), how much of each kind of marks it wants.

        In [0, 1], with a sum of at most 1. Linear between its bounds, like `style`; below
        `LEAST_MARK` a kind is none, and at the other end it is all.
        """
        weights = self.mark_head(prompt_embeds.mean(1))
        weights = ((weights - LEAST_MARK) / (1 - 2 * LEAST_MARK)).clamp(0, 1)
        return cast(Tensor, weights / weights.sum(1, keepdim=True).clamp(min=1))

    def forward(self, image: Tensor, planes: Tensor, style: Tensor) -> Tensor:
        """Features (B, F, H/8, W/8) of an image in [-1, 1], its field planes and a style (B, N)."""
        blocks = F.pixel_unshuffle(image, IMAGE_BLOCK), F.pixel_unshuffle(planes, PLANE_BLOCK)
        steers = torch.split(style[..., None, None], [2 * width for width in self.widths], dim=1)
        x = self.conv_in(torch.cat(blocks, 1))
        for index, block in enumerate((*self.fine, *self.coarse)):
            if index == len(self.fine):
                x = self.down(F.silu(x))
            scale, shift = steers[index].chunk(2, dim=1)
            x = block(x, 1 + scale, shift)
        return F.silu(x)
