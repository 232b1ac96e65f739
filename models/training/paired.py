"""Objective `paired` of stage `distil`: the end of every trajectory is known.

The teachers' painting of each photograph is there, so f(z_t, t) is trained straight onto m(w) of
`looks.py`, from where img2img really starts (the noised photograph) and from where its later steps
stand: what the student itself made of the photograph in the steps before, noised again, at the very
timesteps that sampling in two, three or four steps takes. No target network.

A later step is to end where the step before did as far as whole areas go (`keeping_areas`), which
is what consistency means (arXiv 2303.01469, section 3): asked for the painting's own colours there,
each step adds errors of its own to those of the first. Strokes it learns from the painting.

The losses: pseudo-Huber on latents, L1 and edges on a decoded corner, each weighed by how far the
painting is from the photograph, so that a look near the photograph is learned as exactly as one far
from it. Mean colours are compared apart: a breath of colour that hardly counts pixel by pixel turns
an ink drawing into a tinted photograph. Twins, the same picture a part of a latent cell away under
another noise, have to come out with the same paint. A critic (`critic.py`) asks for the strokes
that such losses average away. The decoder learns along: it meets latents here that no encoder made,
and goes on restoring those that one did.
"""

from pathlib import Path
from types import EllipsisType

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor

from models.autoencoder import AutoencoderPatch
from models.training.autoencoder import difference_loss
from models.training.critic import CriticLoop, force_ratio
from models.training.denoiser import Denoiser, pseudo_huber
from models.training.examples import Example, Examples, like_twins
from models.training.looks import GRID, share, to_images
from models.training.loop import Plan, generator

ECHOES = 4
"""Steps in a row that see one drawn batch, each with another noise and timestep: drawing costs as
much as learning here (data echoing, arXiv 1907.05550)."""

SMALLEST_PLACE = 3
"""In the grid, of the first step: four steps have room from there."""

CRITIC_SHARE = 1.0
"""Force of the critic on the student's latents, as a share of all comparisons'."""

WEIGH_EVERY = 8
"""Steps between two measurements of that force; each costs two more passes through the decoder."""

CRITIC = "critic.pt"

PIXEL_WEIGHT = 0.6
TINT_WEIGHT = 5.0
RESTORED_TINT_WEIGHT = 2.0
TWIN_WEIGHT = 0.6

TINT_SIDE = 16
"""Pixels, along each side, whose mean colour is compared."""

PIXEL_ROWS = 8
"""Of a batch are decoded; half of them are the twins of the other half."""

KNOWN_ROWS = 3
"""Photographs, and as many paintings, that the decoder restores from their own latents."""

CELL_PX = 8
"""Side, in pixels, of what a latent position stands for."""

CORNER = 16
"""Side, in latents, of the window that is decoded for the pixel loss."""

FAR = 0.5
"""Mean distance of painting and photograph, in normalised latents, that weighs 1."""

LEAST_WEIGHT, MOST_WEIGHT = 0.5, 2.0


def twins_of(batch: int) -> int:
    """How many rows of a batch of that size have a twin."""
    return min(PIXEL_ROWS, batch) // 2


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
        self._force: float | None = None

    def __call__(self, step: int) -> dict[str, Tensor]:
        example = self._examples.draw(step // ECHOES, self._window)
        random = generator(self._plan.seed + 2, step)
        first = torch.randint(SMALLEST_PLACE, len(GRID), (self._plan.batch,), generator=random)
        first = like_twins(first, twins_of(self._plan.batch))
        origin, place = self._origin(example, first, random)
        t, t_first = (self._grid[p].to(self._device) for p in (place, first))
        z = self._denoiser.noised(origin, self._noise(origin, random), t)
        x = self._denoiser.clean(self._unet, z, example.frame, t, example.states, t_first)
        w = share(t_first).view(-1, 1, 1, 1)
        later = (place < first).to(self._device).view(-1, 1, 1, 1)
        wanted = example.frame + w * (example.painting - example.frame)
        wanted = keeping_areas(wanted, origin, later, 1)
        weight = relative_weight(example)
        losses = {"latents": (pseudo_huber(x, wanted) * weight).mean()}
        before = origin, later
        return losses | self._pixels(x, before, example, w, weight, random, losses["latents"], step)

    def after_step(self, step: int) -> None:
        if self._critic is not None:
            self._critic.learn()
            if (step + 1) % self._plan.checkpoint_every == 0:
                self._critic.save(self._folder / CRITIC)

    @torch.no_grad()
    def _origin(
        self, example: Example, first: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Where each row stands: the latents that are noised, and the place in the grid.

        Every other row starts from the photograph. Of the rest, half stand at the second step of
        two to four, half at the third or fourth, on what the student made in the steps before.
        """
        origin, place = example.frame.clone(), first.clone()
        for rows, steps in ((slice(1, None, 4), (2, 3, 4)), (slice(3, None, 4), (3, 4))):
            start = first[rows]
            if len(start) == 0:  # a batch of two or three
                continue
            count = torch.tensor(steps)[torch.randint(len(steps), start.shape, generator=random)]
            done = torch.ones_like(count)
            self._step(example, origin, rows, start, start, random)
            if 2 not in steps:
                self._step(example, origin, rows, place_of(start, done, count), start, random)
                last = torch.rand(count.shape, generator=random) < 0.5
                done = torch.where(last, count - 1, 2)
            place[rows] = place_of(start, done, count)
        return origin, place

    def _step(
        self,
        example: Example,
        origin: Tensor,
        rows: slice,
        place: Tensor,
        first: Tensor,
        random: torch.Generator,
    ) -> None:
        """Put what one step of the student makes of some rows in their place."""
        t, t_first = (self._grid[p].to(self._device) for p in (place, first))
        z = self._denoiser.noised(origin[rows], self._noise(origin[rows], random), t)
        origin[rows] = self._denoiser.clean(
            self._unet, z, example.frame[rows], t, example.states[rows], t_first
        )

    def _noise(self, like: Tensor, random: torch.Generator) -> Tensor:
        return torch.randn(like.shape, generator=random).to(self._device)

    def _pixels(
        self,
        x: Tensor,
        before: tuple[Tensor, Tensor],
        example: Example,
        w: Tensor,
        weight: Tensor,
        random: torch.Generator,
        latents_loss: Tensor,
        step: int,
    ) -> dict[str, Tensor]:
        """What a decoded corner of some rows lacks, pixel by pixel and to the critic."""
        corner, area, inner = drawn_corner(x.shape[-1], random)
        rows = slice(PIXEL_ROWS)
        decoded = to_images(self._autoencoder, x[rows][corner])[inner]
        photos, targets = example.photo[area][inner], example.target[area][inner]
        photo, target, w = photos[rows], targets[rows], w[rows]
        origin, later = (values[rows] for values in before)
        with torch.no_grad():
            seen = to_images(self._autoencoder, origin[corner])[inner]
            taught = torch.lerp(photo, target, w)
            wanted = keeping_areas(taught, seen, later, CELL_PX).clamp(-1, 1)
        root = weight[rows].view(-1, 1, 1, 1)
        losses = {
            "pixels": PIXEL_WEIGHT * F.l1_loss(decoded * root, wanted * root),
            "edges": PIXEL_WEIGHT * difference_loss(decoded * root, wanted * root),
            "tint": TINT_WEIGHT * tint_loss(decoded, wanted),
        }
        count = twins_of(len(x))
        alike = twin_loss(decoded * root, example.corners[: 2 * count], count)
        losses["twins"] = TWIN_WEIGHT * alike
        if self._critic is not None:
            doubt = self._critic.loss(decoded, taught.clamp(-1, 1), photo, w, example.looks[rows])
            if self._force is None or step % WEIGH_EVERY == 0:
                compared = latents_loss + sum(v for k, v in losses.items() if k != "tint")
                self._force = force_ratio(compared, doubt, x)
            losses["critic"] = CRITIC_SHARE * self._force * doubt
        if not any(parameter.requires_grad for parameter in self._autoencoder.parameters()):
            return losses
        known = slice(-KNOWN_ROWS, None)
        own = torch.cat([example.frame[known], example.painting[known]])[corner]
        restored = to_images(self._autoencoder, own)[inner]
        given = torch.cat([photos[known], targets[known]])
        losses["restored"] = (
            F.l1_loss(restored, given)
            + difference_loss(restored, given)
            + RESTORED_TINT_WEIGHT * tint_loss(restored, given)
        )
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


def place_of(first: Tensor, step: Tensor, count: Tensor) -> Tensor:
    """The place in the grid of step number `step` of `count`, as `lcm_timesteps` spaces them."""
    return first - step * (first + 1) // count


def keeping_areas(wanted: Tensor, before: Tensor, later: Tensor, cell: int) -> Tensor:
    """What is wanted, in rows of later steps with the means of areas that the step before gave.

    Args:
        wanted, before: Latents or images (B, C, H, W), H and W multiples of `cell`; what comes back
            is of the same shape.
        later: bool (B, 1, 1, 1), which rows those are.
        cell: Side of a latent cell in them; an area is three cells wide.
    """
    apart = F.avg_pool2d(before - wanted, cell)
    apart = F.avg_pool2d(apart, 3, 1, 1, count_include_pad=False)
    if cell > 1:
        apart = F.interpolate(apart, scale_factor=cell, mode="bilinear")
    return wanted + later * apart


def tint_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the mean colours of small squares, hue and saturation five times; a scalar.

    Images (B, 3, H, W), H and W at least `TINT_SIDE`.
    """
    apart = F.avg_pool2d(a - b, TINT_SIDE)
    hue = apart - apart.mean(1, keepdim=True)
    return apart.abs().mean() + 4 * hue.abs().mean()


def twin_loss(decoded: Tensor, corners: Tensor, twins: int) -> Tensor:
    """L1 and edges between the pictures of twins where they show the same; a scalar.

    Args:
        decoded: Images (B, 3, H, W), at least `2 * twins` of them, cut alike.
        corners: int64 (2 * twins, 2): where each image's window lies in its crop.
    """
    losses = []
    for k in range(twins):
        dy, dx = (int(v) for v in corners[k] - corners[twins + k])
        here = decoded[k][:, max(0, -dy) : min(0, -dy) or None, max(0, -dx) : min(0, -dx) or None]
        there = decoded[twins + k][
            :, max(0, dy) : min(0, dy) or None, max(0, dx) : min(0, dx) or None
        ]
        losses.append(F.l1_loss(here, there) + difference_loss(here[None], there[None]))
    return torch.stack(losses).mean() if losses else decoded.new_zeros(())
