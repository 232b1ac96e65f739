"""Stage `distil`: one step instead of a trajectory. Two objectives, one loop.

`paired` (what ships). The end of every trajectory is known here, because the teachers' painting of
each photograph is: f(z_t, t) is trained straight onto m(w) of `looks.py`, from where img2img really
starts (the noised photograph) and from where its later steps go on (what the student made of it in
its own first step, noised again). A pseudo-Huber loss on latents, L1 and edges on a decoded corner,
each weighed by how far the painting is from the photograph, so that a look near the photograph is
learned as exactly as one far from it. A critic (`critic.py`) asks for the strokes that such losses
average away. The decoder learns along: it meets latents here that no encoder made, and goes on
restoring those that one did. No target network.

`lcd`, the textbook (arXiv 2310.04378, algorithm 1). The teacher's ODE is solved over a skipped
interval of k timesteps with one guided DDIM step, and f at the near end, by a moving average of
the student, is the target of f at the far end. Guidance w is drawn and folded in: it pushes from
what the empty prompt gives, the photograph, to what the prompt gives.
"""

from pathlib import Path
from types import EllipsisType
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from models.autoencoder import AutoencoderPatch
from models.training.autoencoder import difference_loss
from models.training.critic import Critic, CriticLoop, balanced
from models.training.denoiser import Denoiser, pseudo_huber
from models.training.diffusion import open_examples
from models.training.examples import Example, Examples
from models.training.looks import GRID, PromptBank, share, to_images
from models.training.loop import Plan, averaged, best_device, fit, generator, update_average

Objective = Literal["paired", "lcd"]

START_SHARE = 0.5
"""Of the examples start as the noised photograph, the rest stand at a later step."""

ECHOES = 4
"""Steps in a row that see one drawn batch, each with another noise and timestep: drawing costs as
much as learning here (data echoing, arXiv 1907.05550)."""

CRITIC_SHARE = 1.0
"""Force of the critic on the student's latents, as a share of all comparisons'."""

CRITIC = "critic.pt"

PIXEL_WEIGHT = 0.6
PIXEL_ROWS = 8
"""Of a batch are decoded."""

KNOWN_ROWS = 3
"""Photographs, and as many paintings, that the decoder restores from their own latents."""

CORNER = 16
"""Side, in latents, of the window that is decoded for the pixel loss."""

FAR = 0.5
"""Mean distance of painting and photograph, in normalised latents, that weighs 1."""

LEAST_WEIGHT, MOST_WEIGHT = 0.5, 2.0

SKIP = 5
"""k of the skipping-step solver, in places of the 50-step grid (100 timesteps)."""

GUIDANCE = (1.0, 1.6)
TARGET_DECAY = 0.95


class Paired:
    """The loss of objective `paired`."""

    def __init__(
        self, unet: UNet2DConditionModel, examples: Examples, autoencoder: AutoencoderPatch,
        critic: CriticLoop | None, folder: Path, plan: Plan, window: int,
    ) -> None:  # fmt: skip
        self._unet, self._examples, self._autoencoder = unet, examples, autoencoder
        self._critic, self._folder, self._plan, self._window = critic, folder, plan, window
        self._device = next(unet.parameters()).device
        self._denoiser = Denoiser(self._device)
        self._grid = torch.tensor(GRID)

    def __call__(self, step: int) -> dict[str, Tensor]:
        example = self._examples.draw(step // ECHOES, self._window)
        random = generator(self._plan.seed + 2, step)
        place = torch.randint(2, len(GRID), (self._plan.batch,), generator=random)
        room = torch.rand(place.shape, generator=random) * (len(GRID) - place)
        starts = torch.rand(place.shape, generator=random) < START_SHARE
        first = torch.where(starts, place, place + room.long())
        t, t_first = (self._grid[p].to(self._device) for p in (place, first))
        noises = torch.randn((2, *example.frame.shape), generator=random).to(self._device)
        origin = example.frame.clone()
        later = ~starts.to(self._device)
        if later.any():
            origin[later] = self._first_step(example, t_first, noises[1], later)
        z = self._denoiser.noised(origin, noises[0], t)
        x = self._denoiser.clean(self._unet, z, example.frame, t, example.states, t_first)
        w = share(t_first).view(-1, 1, 1, 1)
        wanted = example.frame + w * (example.painting - example.frame)
        weight = relative_weight(example)
        losses = {"latents": (pseudo_huber(x, wanted) * weight).mean()}
        return losses | self._pixels(x, example, w, weight, random, losses["latents"])

    def after_step(self, step: int) -> None:
        if self._critic is not None:
            self._critic.learn()
            if (step + 1) % self._plan.checkpoint_every == 0:
                self._critic.save(self._folder / CRITIC)

    @torch.no_grad()
    def _first_step(self, example: Example, t: Tensor, noise: Tensor, rows: Tensor) -> Tensor:
        """What the student itself makes of the noised photograph, for some rows of the batch."""
        frame, t = example.frame[rows], t[rows]
        z = self._denoiser.noised(frame, noise[rows], t)
        return self._denoiser.clean(self._unet, z, frame, t, example.states[rows], t)

    def _pixels(
        self,
        x: Tensor,
        example: Example,
        w: Tensor,
        weight: Tensor,
        random: torch.Generator,
        latents_loss: Tensor,
    ) -> dict[str, Tensor]:
        """What a decoded corner of some rows lacks, pixel by pixel and to the critic."""
        corner, area, inner = drawn_corner(x.shape[-1], random)
        rows = slice(PIXEL_ROWS)
        decoded = to_images(self._autoencoder, x[rows][corner])[inner]
        photos, targets = example.photo[area][inner], example.target[area][inner]
        photo, target, w = photos[rows], targets[rows], w[rows]
        wanted = torch.lerp(photo, target, w).clamp(-1, 1)
        root = weight[rows].view(-1, 1, 1, 1)
        losses = {
            "pixels": PIXEL_WEIGHT * F.l1_loss(decoded * root, wanted * root),
            "edges": PIXEL_WEIGHT * difference_loss(decoded * root, wanted * root),
        }
        if self._critic is not None:
            doubt = self._critic.loss(decoded, wanted, photo, w, example.looks[rows])
            compared = latents_loss + losses["pixels"] + losses["edges"]
            losses["critic"] = balanced(doubt, compared, x, CRITIC_SHARE)
        known = slice(-KNOWN_ROWS, None)
        own = torch.cat([example.frame[known], example.painting[known]])[corner]
        restored = to_images(self._autoencoder, own)[inner]
        given = torch.cat([photos[known], targets[known]])
        losses["restored"] = F.l1_loss(restored, given) + difference_loss(restored, given)
        return losses


Window = tuple[EllipsisType, slice, slice]


def drawn_corner(side: int, random: torch.Generator) -> tuple[Window, Window, Window]:
    """A window of latents, its pixels, and of those the ones that are decoded as they should be.

    Every other window lies at the picture's border, where the decoder really sees zeros beyond; at
    a side within the picture it should not, so a cell is cut off there.
    """
    room = side - CORNER
    cells, inner = [], []
    for _ in range(2):
        drawn = int(torch.randint(-room // 2, room + room // 2 + 1, (), generator=random))
        start = min(max(drawn, 0), room)
        cells.append((start, start + CORNER))
        inner.append(slice(8 if start > 0 else 0, -8 if start < room else None))
    (top, bottom), (left, right) = cells
    return (
        (..., slice(top, bottom), slice(left, right)),
        (..., slice(8 * top, 8 * bottom), slice(8 * left, 8 * right)),
        (..., inner[0], inner[1]),
    )


def relative_weight(example: Example) -> Tensor:
    """What each example's loss counts, float32 (B,): more, the less the painting differs."""
    distance = (example.painting - example.frame).abs().mean((1, 2, 3))
    weight = (FAR / distance.clamp(min=1e-3)).clamp(LEAST_WEIGHT, MOST_WEIGHT)
    return torch.where(example.looks > 0, weight, 1.0)


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
) -> UNet2DConditionModel:
    """Train the student in `<runs>/<objective>`; returns its moving average, saved as `unet`.

    Args:
        start: The UNet folder that gives the first weights; the teacher's by default.
        with_critic: Whether `paired` also has to please the critic.
    """
    device = best_device()
    torch.manual_seed(plan.seed)
    examples, autoencoder = open_examples(runs, plan, device)
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
        loss = Paired(unet, examples, autoencoder, critic, folder, plan, window)
    else:
        teacher = UNet2DConditionModel.from_pretrained(teacher_folder).to(device).eval()
        plain = PromptBank.load(runs / "text" / "bank.safetensors").to(device).states[0, :1]
        loss = Distilled(unet, teacher.requires_grad_(False), examples, plain, plan, window)
    student = nn.ModuleDict({"unet": unet})
    if objective == "paired":
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
