"""Networks: the three network calls of a frame, as plain functions that a fast path can replace.

    image ──encode──► latents ──predict, each LCM step──► prediction … latents ──decode──► image

`make_networks` builds them from diffusers modules and reads from their configs all that the engine
has to know. The plain modules are the reference; an accelerated path (models/acceleration) builds
another `Networks` with `dataclasses.replace` and the same signatures, from the same three modules.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.carried_noise import StemNetworks, stem_networks
from models.errors import ModelFormatError
from models.image_prompt import shown_images
from models.pixels import Data, to_data
from models.structure import Residuals

ADDITION_EMBED_TYPES = (None, "text", "text_time")
TIME_ID_COUNT = 6
"""SDXL's micro-conditioning: original size, crop, target size (arXiv 2307.01952, section 2.2)."""

Encode = Callable[[Tensor], Tensor]
Decode = Callable[[Tensor], Tensor]


class Predict(Protocol):
    """`Networks.predict`."""

    def __call__(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        timestep_cond: Tensor | None = None,
        added: dict[str, Tensor] | None = None,
        residuals: Residuals | None = None,
        /,
    ) -> Tensor: ...


class Exit(Protocol):
    """A decoder that gives bytes, and of fewer pixels where fewer are wanted.

    Attributes:
        block: Side of the block of pixels that each of its places becomes.
    """

    block: int

    def __call__(self, latents: Tensor, block: int) -> Data:
        """Scaled latents (1, C, h, w) to a picture, uint8 RGB (H, W, 3).

        With a smaller `block` than its own the pixels are means of areas of the whole picture.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The calls and what their configs say.

    Attributes:
        encode: image (B, 3, H, W) in [-1, 1] -> scaled latents (B, C, h, w), the posterior's mode.
        predict: (latents (B, C, 2 C or 2 C + F, h, w), timestep (1,), prompt_embeds, timestep_cond,
            added conditions, residuals of structure networks) -> prediction (B, C, h, w).
        decode: scaled latents -> image.
        unscale: Scaled latents -> the VAE's own.
        latent_channels: C.
        spatial_factor: Pixels per latent cell, a side.
        size_multiple: What the sides of an image must be multiples of.
        sees_frame: The UNet also takes the frame's clean latents, on channels C to 2 C.
        wants_text_time: The UNet wants pooled text and time ids (SDXL).
        guidance_width: Width of the guidance embedding, ``None`` for a model that takes none.
        strength_width: Width of the strength's embedding, ``None`` for a model that takes none.
        sample_size: The UNet's own latent side, ``None`` where its config names none.
        output_scale: Side of the decoded picture over the encoded one's.
        stem: What shows the UNet more of the frame than latents; ``None`` for most models.
        exit: What decodes to bytes, where there is a quicker way than `decode`.
    """

    encode: Encode
    predict: Predict
    decode: Decode
    unscale: Callable[[Tensor], Tensor]
    latent_channels: int
    spatial_factor: int
    size_multiple: int
    sees_frame: bool
    wants_text_time: bool
    guidance_width: int | None
    strength_width: int | None
    sample_size: int | None
    output_scale: int = 1
    stem: StemNetworks | None = None
    exit: Exit | None = None

    @property
    def cell_sizes(self) -> tuple[int, ...]:
        """Pixels a latent cell, along each side, that pictures can be decoded with; ascending.

        The last is that of a whole picture. Fewer are its pixels averaged over areas, for less
        time; down to those of the frame.
        """
        whole = self.spatial_factor * self.output_scale
        if self.exit is None:
            return (whole,)
        block = self.exit.block
        blocks = range(block // self.output_scale, block + 1)
        return tuple(whole * each // block for each in blocks if whole * each % block == 0)

    def exit_block(self, cell_px: int | None) -> int | None:
        """What the exit is told for so many pixels a cell; ``None`` where there is no exit.

        Raises:
            ValueError: `cell_px` is none of `cell_sizes`.
        """
        sizes = self.cell_sizes
        if cell_px is not None and cell_px not in sizes:
            raise ValueError(f"got cell_px={cell_px}, expected one of {sizes}")
        return None if self.exit is None else self.exit.block * (cell_px or sizes[-1]) // sizes[-1]

    def picture(self, latents: Tensor, cell_px: int | None = None) -> Data:
        """uint8 RGB (H, W, 3) of scaled latents (1, C, h, w).

        Args:
            cell_px: One of `cell_sizes`; ``None`` is the last.
        """
        block = self.exit_block(cell_px)
        if self.exit is None or block is None:
            return to_data(self.decode(latents))
        return self.exit(latents, block)


def make_networks(unet: Any, vae: Any, stem: Any = None) -> Networks:
    """Wrap a diffusers UNet and VAE, and a `models.stem.Stem` if the model has one.

    Raises:
        ModelFormatError: The two do not fit each other or the UNet is of a kind not served.
    """
    channels = int(vae.config.latent_channels)
    shown = 0 if stem is None else int(stem.out_channels)
    _check_unet(unet.config, channels, shown)
    scale = LatentScale(vae)
    spatial_factor = vae_spatial_factor(vae)
    sample_size = unet.config.sample_size
    sees_frame = unet.config.in_channels == 2 * channels + shown
    cond_width = unet.config.time_cond_proj_dim
    return Networks(
        encode=LatentEncoder(vae, scale),
        predict=Predictor(unet),
        decode=LatentDecoder(vae, scale),
        unscale=scale.undo,
        latent_channels=channels,
        spatial_factor=spatial_factor,
        size_multiple=spatial_factor * 2 ** (len(unet.config.block_out_channels) - 1),
        sees_frame=sees_frame,
        wants_text_time=unet.config.addition_embed_type == "text_time",
        # what a UNet is told beside the timestep: guidance, or, where the frame itself says what
        # is there, how far to go from it
        guidance_width=None if sees_frame else cond_width,
        strength_width=cond_width if sees_frame else None,
        sample_size=sample_size if isinstance(sample_size, int) else None,
        output_scale=int(getattr(vae, "output_scale", 1)),
        stem=None if stem is None else stem_networks(stem),
    )


def vae_spatial_factor(vae: Any) -> int:
    """Pixels per latent cell: diffusers' VAEs halve at every level but one, ours names it."""
    from diffusers import AutoencoderKL, AutoencoderTiny

    if isinstance(vae, AutoencoderKL | AutoencoderTiny):
        return int(2 ** (len(vae.config.block_out_channels) - 1))
    return int(vae.spatial_factor)


class LatentScale:
    """z = (z_vae - shift) * scale, with the numbers of a VAE's config, on its device once."""

    def __init__(self, vae: Any) -> None:
        config = vae.config
        self.scale: float | Tensor = float(config.get("scaling_factor") or 1.0)
        self.shift: float | Tensor = float(config.get("shift_factor") or 0.0)
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if mean is not None and std is not None:
            self.shift = torch.tensor(mean, device=vae.device).view(1, -1, 1, 1)
            self.scale = self.scale / torch.tensor(std, device=vae.device).view(1, -1, 1, 1)

    def apply(self, latents: Tensor) -> Tensor:
        return (latents - self.shift) * self.scale

    def undo(self, latents: Tensor) -> Tensor:
        return latents / self.scale + self.shift


def _check_unet(config: Any, channels: int, shown: int) -> None:
    seen = (channels, 2 * channels) if not shown else (2 * channels + shown,)
    if config.in_channels not in seen or config.out_channels != channels:
        raise ModelFormatError(
            f"The UNet takes {config.in_channels} and gives {config.out_channels} channels and the "
            f"VAE's latents have {channels}; use a VAE made for this UNet, and a UNet for img2img "
            "or instruct-pix2pix (inpainting UNets are not served)."
        )
    if config.addition_embed_type not in ADDITION_EMBED_TYPES:
        raise ModelFormatError(
            f"The UNet wants added conditions of type {config.addition_embed_type!r}; "
            "use a model of the SD 1.5, SD 2.1 or SDXL kind."
        )


class LatentEncoder(nn.Module):
    """image (B, 3, H, W) -> scaled latents (B, C, h, w), float32."""

    def __init__(self, vae: Any, scale: LatentScale) -> None:
        super().__init__()
        self.vae = vae
        self.scale = scale
        self.dtype: torch.dtype = vae.dtype  # asked once: diffusers walks all modules to answer

    def forward(self, image: Tensor) -> Tensor:
        output = self.vae.encode(image.to(self.dtype))
        # AutoencoderKL gives a distribution, of which the mode is taken; the tiny ones give latents
        kl = hasattr(output, "latent_dist")
        latents: Tensor = output.latent_dist.mode() if kl else output.latents
        return self.scale.apply(latents.float())


class LatentDecoder(nn.Module):
    """Scaled latents (B, C, h, w) -> image (B, 3, s H, s W), float32; s: the output scale."""

    def __init__(self, vae: Any, scale: LatentScale) -> None:
        super().__init__()
        self.vae = vae
        self.scale = scale
        self.dtype: torch.dtype = vae.dtype

    def forward(self, latents: Tensor) -> Tensor:
        image: Tensor = self.vae.decode(self.scale.undo(latents).to(self.dtype)).sample
        return image.float()


class Predictor(nn.Module):
    """What `Networks.predict` says, float32 out."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet
        self.dtype: torch.dtype = unet.dtype
        self._shown = shown_images(unet)

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        timestep_cond: Tensor | None = None,
        added: dict[str, Tensor] | None = None,
        residuals: Residuals | None = None,
        /,
    ) -> Tensor:
        if self._shown is not None:
            self._shown.show(added)
        prediction: Tensor = self.unet(
            latents.to(self.dtype),
            timestep,
            encoder_hidden_states=prompt_embeds,
            timestep_cond=timestep_cond,
            added_cond_kwargs=added,
            return_dict=False,
            **_asked_of_unet(residuals),
        )[0]
        return prediction.float()


def _asked_of_unet(residuals: Residuals | None) -> dict[str, Any]:
    """Residuals in the words of diffusers' UNet, which takes its list of features apart."""
    asked: dict[str, Any] = {}
    if residuals is not None and residuals.inner:
        # cloned: the UNet adds to its own tensors in place
        asked["down_intrablock_additional_residuals"] = [each.clone() for each in residuals.inner]
    if residuals is not None and residuals.middle is not None:
        asked["down_block_additional_residuals"] = residuals.skips
        asked["mid_block_additional_residual"] = residuals.middle
    return asked
