"""Stage `distil`: one step instead of a trajectory. Two objectives, one loop.

`paired`, what ships, trains straight onto the ends of the trajectories, which are known here
(`paired.py`).

`lcd`, the textbook (arXiv 2310.04378, algorithm 1). The teacher's ODE is solved over a skipped
interval of k timesteps with one guided DDIM step, and f at the near end, by a moving average of
the student, is the target of f at the far end. Guidance w is drawn and folded in: it pushes from
what the empty prompt gives, the photograph, to what the prompt gives.
"""

import shutil
from pathlib import Path
from typing import Literal

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from models.training.critic import Critic, CriticLoop
from models.training.denoiser import Denoiser, pseudo_huber
from models.training.diffusion import open_examples
from models.training.examples import Example, Examples
from models.training.looks import GRID, PromptBank
from models.training.loop import Plan, averaged, best_device, fit, generator, update_average
from models.training.paired import CRITIC, Paired, twins_of

Objective = Literal["paired", "lcd"]

START_SHARE = 0.5
"""Of the examples of `lcd` start as the noised photograph, the rest as the noised painting."""

SKIP = 5
"""k of the skipping-step solver, in places of the 50-step grid (100 timesteps)."""

GUIDANCE = (1.0, 1.6)
TARGET_DECAY = 0.95


class Distilled:
    """The loss of objective `lcd`; keeps the target network."""

    def __init__(
        self, unet: UNet2DConditionModel, teacher: UNet2DConditionModel, examples: Examples,
        plain: Tensor, plan: Plan, window: int,
    ) -> None:  # fmt: skip
        self._unet, self._teacher, self._examples = unet, teacher, examples
        self._target = averaged(unet)
        self._plain, self._plan, self._window = plain, plan, window
        self._device = next(unet.parameters()).device
        self._denoiser = Denoiser(self._device)
        self._grid = torch.tensor(GRID)

    def __call__(self, step: int) -> dict[str, Tensor]:
        example = self._examples.draw(step, self._window)
        random = generator(self._plan.seed + 2, step)
        place = torch.randint(SKIP, len(GRID), (self._plan.batch,), generator=random)
        far, near = (self._grid[p].to(self._device) for p in (place, place - SKIP))
        starts = torch.rand(place.shape, generator=random) < START_SHARE
        origin = torch.where(
            starts.to(self._device).view(-1, 1, 1, 1), example.frame, example.painting
        )
        noise = torch.randn(origin.shape, generator=random).to(self._device)
        z = self._denoiser.noised(origin, noise, far)
        low, high = GUIDANCE
        w = (low + (high - low) * torch.rand(place.shape, generator=random)).to(self._device)
        with torch.no_grad():
            z_near = self._solve(z, far, near, example, w.view(-1, 1, 1, 1))
            target = self._denoiser.clean(
                self._target, z_near, example.frame, near, example.states, far
            )
        x = self._denoiser.clean(self._unet, z, example.frame, far, example.states, far)
        return {"consistency": pseudo_huber(x, target).mean()}

    def _solve(self, z: Tensor, far: Tensor, near: Tensor, example: Example, w: Tensor) -> Tensor:
        """One guided DDIM step of the teacher from `far` to `near` (arXiv 2310.04378, eq. 13)."""
        call = self._denoiser.velocity
        v = call(self._teacher, z, example.frame, far, example.states)
        empty = call(self._teacher, z, example.frame, far, self._plain.expand(len(z), -1, -1))
        v = empty + w * (v - empty)
        alpha, sigma = self._denoiser.alpha_sigma(far)
        x0, epsilon = alpha * z - sigma * v, sigma * z + alpha * v
        return self._denoiser.noised(x0, epsilon, near)

    def after_step(self, step: int) -> None:
        update_average(self._target, self._unet, TARGET_DECAY)


def train(
    runs: Path,
    plan: Plan,
    *,
    objective: Objective,
    window: int = 192,
    start: Path | None = None,
    with_critic: bool = True,
    compiled: bool = False,
    keep_decoder: bool = False,
) -> UNet2DConditionModel:
    """Train the student in `<runs>/<objective>`; returns its moving average, saved as `unet`.

    Args:
        start: The UNet folder that gives the first weights; the teacher's by default.
        with_critic: Whether `paired` also has to please the critic.
        compiled: Compile the UNet's kernels first: minutes at the start, then a third quicker.
        keep_decoder: Whether `paired` leaves the decoder as it is: siblings can be averaged then.
    """
    device = best_device()
    torch.manual_seed(plan.seed)
    twins = twins_of(plan.batch) if objective == "paired" else 0
    examples, autoencoder = open_examples(runs, plan, device, twins)
    teacher_folder = runs / "teacher" / "unet"
    unet = UNet2DConditionModel.from_pretrained(start or teacher_folder)
    unet = unet.to(device, memory_format=torch.channels_last)
    folder = runs / objective
    folder.mkdir(parents=True, exist_ok=True)
    loss: Paired | Distilled
    if objective == "paired":
        unet.set_attn_processor(AttnProcessor())  # on few tokens a fifth quicker than fused kernels
        critic = CriticLoop(Critic().to(device)) if with_critic else None
        if critic is not None and (folder / CRITIC).exists():
            critic.load(folder / CRITIC)
        called = torch.compile(unet, dynamic=False) if compiled else unet
        loss = Paired(called, examples, autoencoder, critic, folder, plan, window)
    else:
        teacher = UNet2DConditionModel.from_pretrained(teacher_folder).to(device).eval()
        plain = PromptBank.load(runs / "text" / "bank.safetensors").to(device).states[0, :1]
        loss = Distilled(unet, teacher.requires_grad_(False), examples, plain, plan, window)
    student = nn.ModuleDict({"unet": unet})
    shutil.rmtree(
        folder / "vae", ignore_errors=True
    )  # of an earlier student, whose decoder learned
    if objective == "paired" and not keep_decoder:
        student["decoder"] = autoencoder.decoder.requires_grad_(True)
    average = fit(student, loss, plan, folder, after_step=loss.after_step)
    assert isinstance(average, nn.ModuleDict)
    if "decoder" in average:
        autoencoder.decoder.load_state_dict(average["decoder"].state_dict())
        autoencoder.save_pretrained(folder / "vae")
    averaged_unet = average["unet"]
    assert isinstance(averaged_unet, UNet2DConditionModel)
    averaged_unet.save_pretrained(folder / "unet")
    return averaged_unet
