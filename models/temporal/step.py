"""Remembering: a frame's part in the memory of its stream, before the model and after it.

    look    image, memory ─► what changed, the motion, a cut, how far the noise has moved
    blend   painted picture, that, memory ─► the picture that is shown

Both write what the next frame needs. Frames of one call come one after the other in each of the
two, so that the model between them can paint all of them at once.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.temporal import blend, cuts, gate, motion, noise
from models.temporal.memory import Memory, Shape
from models.temporal.planes import brought, shrunk
from models.temporal.told import Told

NOISE_TIME_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was found out of a frame before it is painted; tensors.

    Attributes:
        look, thumbnail, noise: Of the frame, as the memory keeps them.
        motion: Since the frame before.
        weight: (1, 1, k, l), the history's share by age and motion.
        is_open: bool (1, 1, h, w), cells that are painted on.
        reference: What each cell's paint is made from, with this frame.
        ages: With this frame.
        shift, taken: How far the noise has moved, with this frame.
        starts: bool (), whether a shot begins.
    """

    look: gate.Look
    thumbnail: Tensor
    noise: Tensor
    motion: motion.Motion
    weight: Tensor
    is_open: Tensor
    reference: gate.Look
    ages: gate.Ages
    shift: Tensor
    taken: Tensor
    starts: Tensor


class Remembering:
    """The steps for frames of one shape. Keeps nothing itself.

    Args:
        shape: Of frames, latents and pictures.
        moves_noise: Whether the noise moves along.
    """

    def __init__(self, shape: Shape, *, moves_noise: bool) -> None:
        self.shape = shape
        self.moves_noise = moves_noise

    def look(self, image: Tensor, memory: Memory, told: Told) -> Seen:
        """Look at a frame (1, 3, H, W) in [-1, 1] before it is painted."""
        shape = self.shape
        look = gate.look_at(image, shape.luma, shape.grid)
        thumbnail = cuts.thumbnail(image, shape.thumbnail)
        before = gate.Look(memory.luma, memory.cells)
        difference = cuts.content_difference(thumbnail, memory.thumbnail)
        level = self._noise_level(look, before, memory, told)
        moved = motion.estimate(
            shrunk(look.luma, shape.flow), shrunk(memory.luma, shape.flow), level / 2
        )
        lost = (moved.sure > 0.5).float().mean() < cuts.DOUBTED_SHARE
        starts = (memory.is_there < 0.5) | (told.starts > 0.5)
        starts |= difference > told.cut_difference
        starts |= (difference > cuts.DOUBT_DIFFERENCE) & lost
        reference = gate.Look(memory.paint_luma, memory.paint_cells)
        changed = gate.changed_cells(look, reference, level) | (told.repaints > 0.5)
        ages = gate.Ages(memory.quiet_s, memory.rest_s)
        changed, ages = gate.moved_on(look, changed, ages, level, told.dt_s)
        return self._seen(look, thumbnail, level, moved, changed, ages, memory, told, starts)

    def _seen(
        self,
        look: gate.Look,
        thumbnail: Tensor,
        level: Tensor,
        moved: motion.Motion,
        changed: Tensor,
        ages: gate.Ages,
        memory: Memory,
        told: Told,
        starts: Tensor,
    ) -> Seen:
        """With what follows from the changed cells: weights, and the noise's way."""
        flow_size = self.shape.flow
        is_open = changed | (ages.rest_s < told.settle_s) | starts
        resting = ages.rest_s / (ages.rest_s + told.dt_s)
        kept = torch.where(changed, told.kept, torch.maximum(resting, torch.as_tensor(told.kept)))
        mask = brought(changed.float(), flow_size)
        sure = 1 - mask * (1 - brought(moved.sure, flow_size))
        flow = torch.where(starts, torch.zeros_like(moved.flow), moved.flow * mask)
        weight = brought(kept, flow_size) * sure * blend.faded(flow)
        weight = torch.where(starts, torch.zeros_like(weight), weight)
        shift, taken = memory.shift, memory.taken
        if self.moves_noise:
            shift, taken = noise.carried(shift, taken, flow, sure)
        shift, taken = (torch.where(starts, torch.zeros_like(p), p) for p in (shift, taken))
        all_new = changed | starts
        reference = gate.merged(look, gate.Look(memory.paint_luma, memory.paint_cells), all_new)
        zero = torch.zeros_like(ages.rest_s)
        ages = gate.Ages(*(torch.where(starts, zero, age) for age in ages))
        moved = motion.Motion(flow, sure)
        return Seen(
            look, thumbnail, level, moved, weight, is_open, reference, ages, shift, taken, starts
        )

    def _noise_level(
        self, look: gate.Look, before: gate.Look, memory: Memory, told: Told
    ) -> Tensor:
        fresh = 1 - torch.exp(-told.dt_s / NOISE_TIME_S)
        estimate = gate.sensor_noise(look, before)
        is_first = memory.noise <= 0
        level = memory.noise + fresh * (estimate - memory.noise)
        level = torch.where(is_first, estimate, level)
        return torch.where(memory.is_there < 0.5, torch.full_like(level, gate.LEAST_NOISE), level)

    def noise(self, fixed: Tensor, seen: Seen) -> Tensor:
        """The noise (S, C, h, w) that the frame is painted under."""
        return noise.moved(fixed, seen.taken) if self.moves_noise else fixed

    def keep_look(self, seen: Seen, memory: Memory, told: Told) -> None:
        """Write what the next frame is compared with; what was shown is not touched."""
        level = torch.where(seen.starts, torch.zeros_like(seen.noise), seen.noise)
        there = torch.ones_like(memory.is_there)
        before = there, *seen.look, *seen.reference, seen.thumbnail, level
        values = *before, *seen.ages, seen.shift, seen.taken
        for place, value in zip(memory.of_looks(), values, strict=True):
            place.copy_(torch.where(told.counts > 0.5, value, place))

    def blend(self, painted: Tensor, seen: Seen, memory: Memory, told: Told) -> Tensor:
        """The picture that is shown, uint8 (1, 3, s H, s W); it is remembered.

        Args:
            painted: What the model made of the frame, uint8 (1, 3, s H, s W).
        """
        new = painted.float()
        old = blend.moved_picture(memory.shown.float(), seen.motion.flow)
        agreed = blend.agreement(old, new, self.shape.grid, told.agree_levels)
        weight = seen.weight * brought(agreed, self.shape.flow)
        mixture = blend.mixed(old, new, weight)
        mixture = blend.restored(mixture, new, weight, told.most_contrast)
        shown = blend.over(mixture, memory.shown, seen.is_open)
        memory.shown.copy_(torch.where(told.counts > 0.5, shown, memory.shown))
        return shown


class Remembers(Protocol):
    """An engine, as far as its streams' memories ask."""

    device: torch.device
    output_scale: int
    carries_noise: bool

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]: ...


def remembering_of(engine: Remembers, size: tuple[int, int]) -> Remembering:
    """How streams of frames of size (width, height) are remembered.

    Raises:
        ValueError: The engine paints no frames of that size.
    """
    channels, rows, columns = engine.latent_shape(size)
    places = noise.places_a_cell(channels)
    shape = Shape((size[1], size[0]), (rows, columns), engine.output_scale, places)
    return Remembering(shape, moves_noise=engine.carries_noise)


def memory_of(engine: Remembers, size: tuple[int, int]) -> Memory:
    """What a stream of frames of size (width, height) begins with: nothing yet."""
    return Memory.empty(remembering_of(engine, size).shape, engine.device)


@torch.inference_mode()
def looked(remembering: Remembering, images: Tensor, memory: Memory, rows: Tensor) -> list[Seen]:
    """`Remembering.look` for the frames (B, 3, H, W) of one stream, one after the other.

    Args:
        rows: (B, `told.COUNT`), an `Advance` each.
    """
    found = []
    for image, row in zip(torch.split(images, 1), rows, strict=True):
        told = Told.read(row)
        seen = remembering.look(image, memory, told)
        remembering.keep_look(seen, memory, told)
        found.append(seen)
    return found


@torch.inference_mode()
def noise_of(remembering: Remembering, noise: Tensor, found: list[Seen]) -> Tensor:
    """The noise of each frame, (S, B, C, h, w).

    Args:
        noise: (S, C, h, w), or (S, B, C, h, w).
    """
    each = noise[:, None].expand(-1, len(found), -1, -1, -1) if noise.ndim == 4 else noise
    moved = [remembering.noise(each[:, index], seen) for index, seen in enumerate(found)]
    return torch.stack(moved, 1)


@torch.inference_mode()
def blended(
    remembering: Remembering, painted: Tensor, found: list[Seen], memory: Memory, rows: Tensor
) -> Tensor:
    """`Remembering.blend` for painted frames, uint8 (B, H, W, 3) in and out."""
    shown = [
        remembering.blend(one, seen, memory, Told.read(row))
        for one, seen, row in zip(
            torch.split(painted.permute(0, 3, 1, 2), 1), found, rows, strict=True
        )
    ]
    return torch.cat(shown).permute(0, 2, 3, 1)
