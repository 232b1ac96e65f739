"""Stage `teacher`: a diffusion model of paintings, given the frame and the prompt.

Plain velocity prediction on the noised painting's latents (arXiv 2202.00512). Its probability-flow
ODE is what consistency distillation compresses, and its weights are where the student starts.
"""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from models.autoencoder import AutoencoderPatch
from models.training.batches import Batches
from models.training.denoiser import Denoiser, make_unet
from models.training.examples import Examples
from models.training.looks import TIMESTEPS, PromptBank
from models.training.loop import Plan, best_device, fit, generator
from models.training.material.pairs import Pairs


def open_examples(
    runs: Path, plan: Plan, device: torch.device, twins: int = 0
) -> tuple[Examples, AutoencoderPatch]:
    """The examples of the training pairs, and the frozen autoencoder that they go through."""
    autoencoder = AutoencoderPatch.from_pretrained(runs / "autoencoder" / "vae")
    autoencoder = autoencoder.to(device, memory_format=torch.channels_last).eval()
    autoencoder.requires_grad_(False)
    pairs = Pairs.open(runs / "pairs" / "train", in_memory=plan.in_memory)
    batches = Batches(pairs, plan.batch, device, plan.seed)
    bank = PromptBank.load(runs / "text" / "bank.safetensors").to(device)
    return Examples(batches, autoencoder, bank, plan.seed, twins), autoencoder


def train(
    runs: Path, plan: Plan, *, window: int = 192, start: Path | None = None
) -> UNet2DConditionModel:
    """Train the teacher in `<runs>/teacher`; returns its moving average, saved as `unet`.

    Args:
        start: The UNet folder that gives the first weights; drawn at random by default.
    """
    device = best_device()
    torch.manual_seed(plan.seed)
    examples, _ = open_examples(runs, plan, device)
    denoiser = Denoiser(device)
    unet = make_unet() if start is None else UNet2DConditionModel.from_pretrained(start)
    unet = unet.to(device, memory_format=torch.channels_last)

    def loss(step: int) -> dict[str, Tensor]:
        example = examples.draw(step, window)
        random = generator(plan.seed, step)
        t = torch.randint(0, TIMESTEPS, (plan.batch,), generator=random).to(device)
        noise = torch.randn(example.painting.shape, generator=random).to(device)
        z = denoiser.noised(example.painting, noise, t)
        alpha, sigma = denoiser.alpha_sigma(t)
        wanted = alpha * noise - sigma * example.painting
        v = denoiser.velocity(unet, z, example.frame, t, example.states)
        return {"velocity": torch.nn.functional.mse_loss(v, wanted)}

    average = fit(unet, loss, plan, runs / "teacher")
    assert isinstance(average, UNet2DConditionModel)
    average.save_pretrained(runs / "teacher" / "unet")
    return average
