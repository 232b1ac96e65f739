"""The UNet of the bundled model and how a training stage calls it.

A true diffusers `UNet2DConditionModel`: noised latents, the frame's clean latents (as
instruct-pix2pix has them, arXiv 2211.09800) and the stem's features in, the clean end out. The
prompt steers every residual block through scale and shift (conditional normalisation, which is
what made one small network paint many looks in arXiv 1610.07629) and the middle through
cross-attention.

It predicts x_0, as what is to be added to the frame's latents: with velocity it would have to carry
the noise of z_t through all its layers to the exit, only for the sampler to subtract it, and
without the frame all that a look leaves as it is.

The end of a trajectory depends on the strength that img2img was asked for, so the consistency
function does too: f(z_t, t, t_first), with t_first the timestep at which the trajectory left the
photograph. It enters where a full LCM takes its guidance (`timestep_cond`). Without it, a second
step could not tell a lightly painted picture that shall become a painting from a photograph that
shall stay near itself.
"""

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from models.conditioning import sinusoidal_embedding
from models.fields import KINDS, PLANES
from models.stem import Stem
from models.training.looks import alphas_cumprod
from models.training.loop import autocast

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0
STRENGTH_WIDTH = 64
"""Of the sinusoidal embedding of t_first."""


def make_unet(
    latent_channels: int = 32,
    stem_channels: int = 96,
    block_out_channels: tuple[int, ...] = (64, 128),
    text_width: int = 128,
    layers_per_block: int = 1,
) -> UNet2DConditionModel:
    """The UNet with fresh weights: z_t, the frame's latents and the stem's features in, x_0 out."""
    levels = len(block_out_channels)
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=2 * latent_channels + stem_channels,
        out_channels=latent_channels,
        block_out_channels=block_out_channels,
        layers_per_block=layers_per_block,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        mid_block_type="UNetMidBlock2DCrossAttn",
        cross_attention_dim=text_width,
        attention_head_dim=4,
        norm_num_groups=16,
        time_embedding_dim=128,
        time_cond_proj_dim=STRENGTH_WIDTH,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
    )
    torch.nn.init.zeros_(unet.conv_out.weight)  # it adds nothing at first
    torch.nn.init.zeros_(unet.conv_out.bias)
    return unet


def make_stem(block_out_channels: tuple[int, int] = (64, 96), text_width: int = 128) -> Stem:
    """The stem with fresh weights, for all kinds of marks that there are."""
    made: Stem = Stem(
        planes=PLANES, block_out_channels=block_out_channels, text_width=text_width, marks=KINDS
    )
    return made


class Denoiser:
    """Calls a UNet in the terms of the papers. Holds the noise schedule, no weights of its own."""

    def __init__(self, device: torch.device) -> None:
        self._alphas_cumprod = alphas_cumprod(device)

    def alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), (B, 1, 1, 1)."""
        alpha_bar = self._alphas_cumprod[t].view(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def noised(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """z_t = alpha z + sigma eps."""
        alpha, sigma = self.alpha_sigma(t)
        return alpha * latents + sigma * noise

    def clean(
        self,
        unet: UNet2DConditionModel,
        z: Tensor,
        frame: Tensor,
        features: Tensor,
        t: Tensor,
        states: Tensor,
        t_first: Tensor,
    ) -> Tensor:
        """f(z_t, t, t_first) = c_skip z_t + c_out x_0 (arXiv 2310.04378), float32.

        x_0 is the frame's latents and what the UNet adds to them.
        """
        inputs = torch.cat([z, frame, features.float()], 1)
        cond = sinusoidal_embedding(t_first, STRENGTH_WIDTH)
        with autocast(z.device):
            added: Tensor = unet(
                inputs.contiguous(memory_format=torch.channels_last),
                t,
                encoder_hidden_states=states,
                timestep_cond=cond,
            ).sample
        scaled = t.float().view(-1, 1, 1, 1) * TIMESTEP_SCALING
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + SIGMA_DATA**2).sqrt()
        return c_skip * z + c_out * (frame + added.float())


def pseudo_huber(a: Tensor, b: Tensor, c: float = 0.05) -> Tensor:
    """sqrt(d^2 + c^2) - c, the mean of each sample: (B,) (arXiv 2310.14189, section 3.3)."""
    return (((a - b) ** 2 + c**2).sqrt() - c).mean((1, 2, 3))
