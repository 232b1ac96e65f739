"""AutoencoderPatch: the small autoencoder of the bundled model.

Its work stays at 1/4 and 1/8 of the picture's size: 4x4 pixels become channels at the door
(space-to-depth) and channels become pixels at the exit (pixel shuffle; Shi et al. 2016). On a CPU
that is some twenty times less work than TAESD, and there is no normalisation, so a change in one
corner of the picture cannot touch another: decoding is local.
"""

from typing import cast

import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

STEM = 4
"""Side of the pixel block that becomes channels at the door."""


class _Block(nn.Module):
    """x + conv(silu(conv(silu(x)))): a residual block without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)  # a fresh block passes x on: calm training without norms

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.conv2(F.silu(self.conv1(F.silu(x)))))


def _blocks(channels: int, count: int) -> list[nn.Module]:
    return [_Block(channels) for _ in range(count)]


class AutoencoderPatch(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Image (B, 3, H, W) in [-1, 1] to latents (B, C, H/8, W/8) and back. H and W: multiples of 8.

    What comes back may be larger than what went in (`output_scale`): a picture of twice the side
    costs the last convolution more channels, and nothing before it.

    Args:
        latent_channels: C.
        block_out_channels: Channels at 1/4 and at 1/8 of the picture's size.
        encoder_layers, decoder_layers: Residual blocks at each of the two sizes.
        scaling_factor: What the engine multiplies latents by, so that they have unit variance.
        shift_factor: What it subtracts before that.
        output_scale: Side of the decoded picture over the encoded one's.
    """

    config_name = "config.json"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        latent_channels: int = 16,
        block_out_channels: tuple[int, int] = (64, 96),
        encoder_layers: int = 2,
        decoder_layers: int = 3,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
        output_scale: int = 1,
    ) -> None:
        super().__init__()
        fine, coarse = block_out_channels
        exit_block = STEM * output_scale
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(STEM),
            nn.Conv2d(3 * STEM**2, fine, 3, padding=1),
            *_blocks(fine, encoder_layers),
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1),
            *_blocks(coarse, encoder_layers),
            nn.Conv2d(coarse, latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, coarse, 3, padding=1),
            *_blocks(coarse, decoder_layers),
            nn.Conv2d(coarse, 4 * fine, 3, padding=1),
            nn.PixelShuffle(2),
            *_blocks(fine, decoder_layers),
            nn.SiLU(),
            nn.Conv2d(fine, 3 * exit_block**2, 3, padding=1),
            nn.PixelShuffle(exit_block),
        )

    @property
    def spatial_factor(self) -> int:
        """Pixels of the encoded picture per latent, along each side."""
        return 2 * STEM

    @property
    def output_scale(self) -> int:
        """Side of the decoded picture over the encoded one's."""
        return int(self.config.output_scale)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderTinyOutput:
        """Image (B, 3, H, W) in [-1, 1] -> `.latents` (B, C, H/8, W/8), not yet scaled."""
        latents = self.encoder(x)
        return AutoencoderTinyOutput(latents=latents) if return_dict else (latents,)

    def decode(self, z: Tensor, return_dict: bool = True) -> DecoderOutput:
        """Latents (B, C, h, w), not scaled -> `.sample` (B, 3, 8sh, 8sw), about [-1, 1].

        s is `output_scale`.
        """
        sample = self.decoder(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    def forward(self, sample: Tensor) -> Tensor:
        return cast(Tensor, self.decode(self.encode(sample).latents).sample)
