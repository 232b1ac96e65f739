"""The local UNet: what a group norm is at fixed statistics, and nothing seen of the rest."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from miniature import make_unet
from torch import Tensor, nn

from models.unet import ChannelAffine, LocalUNet2DConditionModel, group_norms, localized

SIDE = 32
BLIND = {
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
    "mid_block_type": None,
}
"""Without attention, which sees all of a picture."""


def latents(seed: int = 0) -> Tensor:
    return torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def painted(unet: UNet2DConditionModel, z: Tensor) -> Tensor:
    states = torch.ones(1, 4, unet.config.cross_attention_dim)
    sample: Tensor = unet(z, 499, encoder_hidden_states=states).sample
    return sample


def with_lively_norms(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    torch.manual_seed(3)
    for _, norm in group_norms(unet):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    return unet


@torch.no_grad()
def statistics_of(unet: UNet2DConditionModel, z: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    found = {}

    def look(name: str, norm: nn.GroupNorm, x: Tensor) -> None:
        groups = x.reshape(norm.num_groups, -1)
        found[name] = groups.mean(1), groups.var(1, unbiased=False)

    hooks = [
        norm.register_forward_pre_hook(lambda n, given, name=name: look(name, n, given[0]))
        for name, norm in group_norms(unet)
    ]
    painted(unet, z)
    for hook in hooks:
        hook.remove()
    return found


def test_local_unet_paints_the_picture_of_its_statistics_as_the_other_does() -> None:
    unet = with_lively_norms(make_unet())
    local = localized(unet, statistics_of(unet, latents()))

    assert not list(group_norms(local))
    torch.testing.assert_close(painted(local, latents()), painted(unet, latents()))
    assert not torch.allclose(painted(local, 3 * latents()), painted(unet, 3 * latents()))


@pytest.mark.parametrize("is_local", [True, False])
def test_what_changes_in_a_corner_stays_there(is_local: bool) -> None:
    unet = with_lively_norms(make_unet(**BLIND))
    if is_local:
        unet = localized(unet, statistics_of(unet, latents()))
    changed = latents()
    changed[..., :4, :4] += 2

    apart = (painted(unet, changed) - painted(unet, latents())).abs()

    assert apart[..., :4, :4].max() > 1e-3
    assert (apart[..., -4:, -4:].max() < 1e-6) == is_local


def test_it_is_saved_and_loaded_like_any_other(tmp_path: Path) -> None:
    unet = make_unet()
    local = localized(unet, statistics_of(unet, latents()))
    local.save_pretrained(tmp_path)

    again = LocalUNet2DConditionModel.from_pretrained(tmp_path)

    assert again.config.norm_num_groups == unet.config.norm_num_groups
    assert isinstance(again.conv_norm_out, ChannelAffine)
    torch.testing.assert_close(painted(again.eval(), latents()), painted(local.eval(), latents()))
