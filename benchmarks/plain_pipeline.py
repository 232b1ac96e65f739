"""PlainPipeline: a latent consistency model as diffusers alone runs it, frame by frame.

Where `LatentConsistencyModelImg2ImgPipeline` takes the model (a w embedding, no frame on the UNet's
input), that class itself is called. Where it does not (the bundled UNet sees the frame), the same
steps run in the same order on diffusers' own classes: VaeImageProcessor, VAE, LCMScheduler with its
per-call set_timesteps, UNet, postprocess. A stem, which diffusers has not, is called as
`models.carried_noise` calls it. All are spared the text encoder: the prompt's embedding is made
once and handed in. Noise comes from the same seed as ours, so the pictures can be compared.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    LatentConsistencyModelImg2ImgPipeline,
    LCMScheduler,
    UNet2DConditionModel,
)
from diffusers.image_processor import VaeImageProcessor
from numpy.typing import NDArray
from torch import Tensor

from models import Engine, Style
from models.autoencoder import AutoencoderPatch
from models.carried_noise import stem_networks
from models.stem import Stem

VAE_CLASSES = (AutoencoderKL, AutoencoderTiny, AutoencoderPatch)


class PlainPipeline:
    """uint8 RGB (H, W, 3) in, the same out, or larger as the VAE has it. Not thread-safe.

    Args:
        folder: A local diffusers folder.
        engine: Ours, for the prompt's embedding, the device and the dtype.
        style: What is painted.
    """

    def __init__(self, folder: Path, engine: Engine, style: Style) -> None:
        self._style = style
        self._device, dtype = engine.device, engine.dtype
        self._conditioning = engine.encode_prompt(style)
        self._timestep_cond = engine.timestep_cond(self._conditioning, engine.schedule(style))
        load = {"torch_dtype": dtype, "use_safetensors": True}
        self.unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **load)
        self.vae = _vae_class(folder).from_pretrained(folder, subfolder="vae", **load)
        self.scheduler = LCMScheduler.from_pretrained(folder, subfolder="scheduler")
        self._stem = None
        if (folder / "stem").is_dir():
            stem = Stem.from_pretrained(folder, subfolder="stem", **load)
            self._stem = stem_networks(stem.to(self._device).eval())
        self.unet.to(self._device).eval()
        self.vae.to(self._device).eval()
        self._processor = VaeImageProcessor(vae_scale_factor=8)
        self._pipeline = self._own_pipeline()
        self.name = "pipeline" if self._pipeline else "pipeline's steps"
        # The pipeline samples a KL autoencoder's posterior, which also takes noise from the seed.
        self.is_comparable = not (self._pipeline and isinstance(self.vae, AutoencoderKL))

    def _own_pipeline(self) -> Any:
        unet = self.unet.config
        fits = unet.in_channels == self.vae.config.latent_channels
        if not (fits and unet.time_cond_proj_dim) or isinstance(self.vae, AutoencoderPatch):
            return None
        pipeline = LatentConsistencyModelImg2ImgPipeline(
            vae=self.vae,
            text_encoder=None,
            tokenizer=None,
            unet=self.unet,
            scheduler=self.scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @torch.no_grad()
    def __call__(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        generator = torch.Generator("cpu").manual_seed(self._style.seed)
        image = data.astype(np.float32) / 255
        painted = (
            self._by_steps(image, generator)
            if self._pipeline is None
            else self._pipeline(
                prompt_embeds=self._conditioning.prompt_embeds,
                image=image,
                strength=self._style.strength,
                num_inference_steps=self._style.num_inference_steps,
                guidance_scale=self._style.guidance_scale,
                generator=generator,
                output_type="np",
            ).images
        )
        return (painted[0] * 255).round().astype(np.uint8)

    def _by_steps(self, image: NDArray[np.float32], generator: torch.Generator) -> Any:
        """The pipeline's `__call__`, with the frame's latents beside the noised ones."""
        style, scale = self._style, self.vae.config.scaling_factor
        pixels = self._processor.preprocess(image).to(self._device, self.vae.dtype)
        encoded = self.vae.encode(pixels)
        latents = encoded.latents if "latents" in encoded else encoded.latent_dist.mode()
        z = (latents - (self.vae.config.get("shift_factor") or 0.0)) * scale
        self.scheduler.set_timesteps(
            style.num_inference_steps, self._device, strength=style.strength
        )
        noise = torch.randn(z.shape, generator=generator).to(z)
        z_t = self.scheduler.add_noise(z, noise, self.scheduler.timesteps[:1])
        denoised, beside = z, self._beside(pixels, noise, z)
        for timestep in self.scheduler.timesteps:
            prediction = self.unet(
                torch.cat([z_t, *beside], dim=1),
                timestep,
                encoder_hidden_states=self._conditioning.prompt_embeds,
                timestep_cond=self._timestep_cond,
                return_dict=False,
            )[0]
            if self._stem is not None and self._stem.adds_frame:
                prediction = prediction + z
            z_t, denoised = self.scheduler.step(
                prediction, timestep, z_t, generator=generator, return_dict=False
            )
        latents = denoised / scale + (self.vae.config.get("shift_factor") or 0.0)
        painted = self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]
        return self._processor.postprocess(painted.float(), output_type="np")

    def _beside(self, pixels: Tensor, noise: Tensor, z: Tensor) -> list[Tensor]:
        """What the UNet sees of the frame beside z_t."""
        asked = self._conditioning.stem
        if self._stem is not None and asked is not None:
            return [z, self._stem(pixels.float(), noise.float(), asked).to(z)]
        return [z] if self.unet.config.in_channels == 2 * z.shape[1] else []


def _vae_class(folder: Path) -> Any:
    name = AutoencoderKL.load_config(folder, subfolder="vae")["_class_name"]
    return next(cls for cls in VAE_CLASSES if cls.__name__ == name)
