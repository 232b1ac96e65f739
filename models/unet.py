"""LocalUNet2DConditionModel: the UNet of the bundled model, diffusers' own without group norms.

A group norm measures the whole picture. It takes away how bright that is, which a tone curve has to
know, and whatever moves in one corner changes the paint in all the others. Here each norm is what
it comes to at fixed statistics: a scale and a shift of every channel, as a batch norm is once it is
trained (arXiv 1502.03167, section 3.1). Only the attention in the middle still sees all of it.
"""

from collections.abc import Iterator
from functools import wraps
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

Statistics = dict[str, tuple[Tensor, Tensor]]
"""Of each group norm by its name: mean and variance of every group, float32 (groups,)."""


class ChannelAffine(nn.Module):
    """x (B, C, H, W) -> weight x + bias, by channel; its weights are named as a group norm's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class LocalUNet2DConditionModel(UNet2DConditionModel):  # type: ignore[misc]
    """Takes, gives and is configured as `UNet2DConditionModel`; its norms know no statistics."""

    # diffusers reads in the signature what a config may hold
    @wraps(UNet2DConditionModel.__init__)  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, norm in list(group_norms(self)):
            parent, _, own = name.rpartition(".")
            setattr(self.get_submodule(parent), own, ChannelAffine(norm.num_channels))


def group_norms(unet: nn.Module) -> Iterator[tuple[str, nn.GroupNorm]]:
    """The group norms of a UNet and their names."""
    return ((name, part) for name, part in unet.named_modules() if isinstance(part, nn.GroupNorm))


@torch.no_grad()
def localized(unet: UNet2DConditionModel, statistics: Statistics) -> LocalUNet2DConditionModel:
    """The local UNet that paints as this one does on a picture of these statistics."""
    local: LocalUNet2DConditionModel = LocalUNet2DConditionModel.from_config(unet.config)
    weights = unet.state_dict()
    for name, norm in group_norms(unet):
        each = norm.num_channels // norm.num_groups
        mean, variance = (values.repeat_interleave(each) for values in statistics[name])
        scale = norm.weight / (variance + norm.eps).sqrt()
        weights[f"{name}.weight"], weights[f"{name}.bias"] = scale, norm.bias - scale * mean
    local.load_state_dict(weights)
    local.to(unet.device)
    return local
