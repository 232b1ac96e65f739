"""What the diffusion stages share: latents, prompts and the meaning of `strength`.

The clean end of a trajectory is not the full painting at every strength. It lies on the line from
the photograph's latents c to the painting's latents y:

    m(w) = c + w (y - c),    w = share(t)

with `share` rising with the timestep. A trajectory that starts as the noised photograph at t ends
in m(share(t)). The second and later steps of multistep sampling start lower, from the noised
picture of the first; they end where that one did, so further steps keep what the first did.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.autoencoder import AutoencoderPatch
from models.training.loop import autocast

TIMESTEPS = 1000
GRID = tuple(range(19, TIMESTEPS, 20))
"""The 50 timesteps an LCM knows (arXiv 2310.04378, section 5)."""

BETA_START, BETA_END = 0.00085, 0.012
"""Of the scaled-linear schedule (Stable Diffusion's)."""

SHARE_T = (0.0, 199.0, 399.0, 599.0, 899.0, 999.0)
SHARE_W = (0.0, 0.32, 0.72, 1.0, 1.06, 1.08)
"""`share(t)`, piecewise linear: all of the painting at strength 0.6, a little more beyond."""

SCHEDULER = {
    "_class_name": "LCMScheduler",
    "num_train_timesteps": TIMESTEPS,
    "beta_start": BETA_START,
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "prediction_type": "sample",
    "original_inference_steps": 50,
    "timestep_scaling": 10.0,
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
    "timestep_spacing": "leading",
    "thresholding": False,
}
"""scheduler_config.json of the bundled model."""


def alphas_cumprod(device: torch.device) -> Tensor:
    """alpha_bar_t, float32 (1000,)."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float().to(device)


def share(t: Tensor) -> Tensor:
    """w of the clean end of a trajectory that starts at timestep t as the noised photograph."""
    w = np.interp(t.cpu().numpy(), SHARE_T, SHARE_W)
    return torch.from_numpy(w.astype(np.float32)).to(t.device)


def to_latents(autoencoder: AutoencoderPatch, images: Tensor) -> Tensor:
    """Image (B, 3, H, W) -> normalised latents (B, C, H/8, W/8), float32; differentiable."""
    with autocast(images.device):
        latents = autoencoder.encode(images).latents
    config = autoencoder.config
    normalised: Tensor = (latents.float() - config.shift_factor) * config.scaling_factor
    return normalised


def to_images(autoencoder: AutoencoderPatch, latents: Tensor) -> Tensor:
    """The reverse of `to_latents`; differentiable."""
    config = autoencoder.config
    with autocast(latents.device):
        sample: Tensor = autoencoder.decode(
            latents / config.scaling_factor + config.shift_factor
        ).sample
    return sample.float()


@dataclass(frozen=True, slots=True)
class PromptBank:
    """Encoded prompts, ready to draw from: one set for each look, one without a look.

    Attributes:
        states: float32 (1 + looks, P, 16, D): P prompts of each class; class 0 asks for none.
    """

    states: Tensor

    def draw(self, classes: Tensor, generator: torch.Generator) -> Tensor:
        """float32 (B, 16, D): a random prompt of each class."""
        which = torch.randint(self.states.shape[1], classes.shape, generator=generator)
        return self.states[classes.cpu(), which]

    def to(self, device: torch.device) -> "PromptBank":
        return PromptBank(self.states.to(device))

    def save(self, path: Path) -> None:
        save_file({"states": self.states.contiguous()}, path)

    @classmethod
    def load(cls, path: Path) -> "PromptBank":
        return cls(load_file(path)["states"])
