"""Stage `autoencoder`: photographs and paintings to latents and back.

Loss: L1 on pixels, L1 on their differences (edges), and a little noise on the latents, so that the
decoder forgives the small errors of a one-step prediction. Afterwards the latents are measured and
the shift and scale that give them zero mean and unit variance go into the config.
"""

import logging
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.autoencoder import AutoencoderPatch
from models.training.batches import Batches
from models.training.loop import Plan, autocast, best_device, fit, generator
from models.training.material.pairs import Pairs

logger = logging.getLogger(__name__)

WINDOW = 128
"""Side of a training picture in pixels: the autoencoder is local, small windows teach it all."""

LATENT_NOISE = 0.04
"""Standard deviation of the noise on the latents, in units of their own."""

EDGE_WEIGHT = 1.0


def difference_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the horizontal and vertical pixel differences of two images."""
    dx = F.l1_loss(a[..., 1:] - a[..., :-1], b[..., 1:] - b[..., :-1])
    dy = F.l1_loss(a[..., 1:, :] - a[..., :-1, :], b[..., 1:, :] - b[..., :-1, :])
    return dx + dy


def train(pairs_folder: Path, folder: Path, plan: Plan) -> AutoencoderPatch:
    """Train, measure the latents, save the diffusers folder `<folder>/vae`; returns the model."""
    device = best_device()
    torch.manual_seed(plan.seed)
    pairs = Pairs.open(pairs_folder, in_memory=plan.in_memory)
    batches = Batches(pairs, plan.batch, device, plan.seed)
    model = AutoencoderPatch().to(device, memory_format=torch.channels_last)

    def loss(step: int) -> dict[str, Tensor]:
        pictures = batches.pictures(step, window=WINDOW)
        with autocast(device):
            latents = model.encode(pictures).latents
            noise = torch.randn(latents.shape, generator=generator(plan.seed, step)).to(device)
            spread = latents.detach().float().std()
            restored = model.decode(latents + LATENT_NOISE * spread * noise).sample.float()
        return {
            "pixels": F.l1_loss(restored, pictures),
            "square": F.mse_loss(restored, pictures),
            "edges": EDGE_WEIGHT * difference_loss(restored, pictures),
        }

    average: AutoencoderPatch = fit(model, loss, plan, folder)  # type: ignore[assignment]
    shift, scale = measure(average, batches, plan.steps)
    average.register_to_config(shift_factor=shift, scaling_factor=scale)
    average.save_pretrained(folder / "vae")
    return average


@torch.no_grad()
def measure(model: AutoencoderPatch, batches: Batches, step: int) -> tuple[float, float]:
    """(shift, scale) such that (latents - shift) * scale has zero mean and unit variance."""
    latents = torch.cat(
        [model.encode(batches.pictures(step + k, window=WINDOW)).latents for k in range(8)]
    )
    return round(latents.mean().item(), 5), round(1 / latents.std().item(), 5)
