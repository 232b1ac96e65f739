"""Gate: the sensor's noise, the light, and the cells that changed. Pure functions of tensors.

As `stream.temporal.gate` has it, formula for formula; see there for the sources.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.temporal.planes import box, largest, ranked, repeated, shrunk, slopes, ycrcb

LEAST_NOISE, MOST_NOISE = 0.3, 6.0
STILL_SHARE, FLAT_SHARE = 0.25, 0.10
FLAT_FACTOR = 0.83
NORMAL_CHANGE = 2 / math.sqrt(math.pi)
NORMAL_LAPLACIAN = 6 * math.sqrt(2 / math.pi)
SPREAD = math.sqrt(2 - 4 / math.pi)
TOLERANCE, SIGMAS = 1.0, 5.0
LIGHT_LEVELS = 1.0
AGREEING, ROUNDS, LEAST_SPREAD = 3.0, 2, 4.0
CHANNELS = (0.6, 0.2, 0.2)
CAMERA_SHARE, LEAST_TEXTURE = 0.5, 3.0
AROUND, SURROUNDED_SHARE = 7, 0.35
RECENT_S = 0.12


class Look(NamedTuple):
    """What is kept of a frame.

    Attributes:
        luma: (1, 1, r h, r w), r pixels a cell.
        cells: (1, 3, h, w), the mean Y, Cr, Cb of every cell.
    """

    luma: Tensor
    cells: Tensor

    @property
    def grid(self) -> tuple[int, int]:
        return self.cells.shape[2], self.cells.shape[3]


def look_at(image: Tensor, plane: tuple[int, int], grid: tuple[int, int]) -> Look:
    """Reduce an image (1, 3, H, W) in [-1, 1].

    Args:
        plane: (height, width) of the luma.
        grid: (height, width) in cells.
    """
    colours = ycrcb(shrunk((image + 1) * 127.5, plane))
    return Look(colours[:, :1], shrunk(colours, grid))


def sensor_noise(look: Look, before: Look) -> Tensor:
    """Standard deviation of a place's noise, in levels; no dimension."""
    padded = F.pad(look.luma, (1, 1, 1, 1), mode="replicate")
    inner = padded[..., 1:-1] * 2 - padded[..., :-2] - padded[..., 2:]
    grain = (2 * inner[:, :, 1:-1] - inner[:, :, :-2] - inner[:, :, 2:]).abs()
    flat = ranked(shrunk(grain, look.grid), FLAT_SHARE) / (NORMAL_LAPLACIAN * FLAT_FACTOR)
    still = ranked(_pixel_change(look, before.luma), STILL_SHARE) / NORMAL_CHANGE
    return torch.minimum(flat, still).clamp(LEAST_NOISE, MOST_NOISE)


def exposure(now: Tensor, then: Tensor) -> tuple[Tensor, Tensor]:
    """Gain and offset of the light between two frames' cells (1, 3, h, w)."""
    y, x = now[:, 0], then[:, 0]
    gain, offset = torch.ones_like(y[0, 0, 0]), ranked(y - x, 0.5)
    for _ in range(ROUNDS):
        off = (y - gain * x - offset).abs()
        kept = (off <= AGREEING * ranked(off, 0.5) + 1).float()
        count = kept.sum()
        x_mean, y_mean = (kept * x).sum() / count, (kept * y).sum() / count
        x_off, y_off = kept * (x - x_mean), y - y_mean
        spread = (x_off * x_off).sum() / count
        fitted = ((x_off * y_off).sum() / count / spread.clamp(min=1e-6)).clamp(0.5, 2.0)
        gain = torch.where(spread >= LEAST_SPREAD, fitted, gain)
        offset = y_mean - gain * x_mean
    return gain, offset


def changed_cells(look: Look, reference: Look, noise: Tensor) -> Tensor:
    """Cells that changed and their neighbours, bool (1, 1, h, w).

    Where the light itself changed, all of them did.
    """
    gain, offset = exposure(look.cells, reference.cells)
    ends = ranked(reference.cells[:, 0], 0.1), ranked(reference.cells[:, 0], 0.9)
    shift = torch.stack([(gain * end + offset - end).abs() for end in ends]).amax()
    apart = look.cells - torch.cat(
        [gain * reference.cells[:, :1] + offset, reference.cells[:, 1:]], 1
    )
    luma, red, blue = torch.split(apart.abs(), 1, 1)
    means = CHANNELS[0] * luma + CHANNELS[1] * red + CHANNELS[2] * blue
    pixels = _pixel_change(look, gain * reference.luma + offset)
    side = look.luma.shape[3] // look.grid[1]
    changed = means > TOLERANCE + SIGMAS * noise * math.sqrt(2 / side)
    changed |= pixels > TOLERANCE + noise * (NORMAL_CHANGE + SIGMAS * SPREAD / math.sqrt(side))
    return (largest(changed.float()) > 0) | (shift > LIGHT_LEVELS)


class Ages(NamedTuple):
    """How long cells are as they are, float32 (1, 1, h, w) in seconds.

    Attributes:
        quiet_s: Since a cell was seen to change.
        rest_s: The same, but 0 everywhere while the camera moves.
    """

    quiet_s: Tensor
    rest_s: Tensor


def moved_on(
    look: Look, changed: Tensor, ages: Ages, noise: Tensor, dt_s: Tensor
) -> tuple[Tensor, Ages]:
    """The cells that are to be painted anew, and the ages with this frame.

    Slow motion is seen now and then, smooth cells amid moving ones move along, and a camera that
    moves moves all.
    """
    zero = torch.zeros_like(ages.quiet_s)
    quiet_s = torch.where(changed, zero, ages.quiet_s + dt_s)
    before = ages.rest_s < ages.quiet_s + 1e-6
    moving = changed | ((quiet_s < RECENT_S) & before & (quiet_s > 0))
    textured = _texture(look) > LEAST_TEXTURE + 2 * noise
    count = textured.sum()
    camera = ((moving & textured).sum() > CAMERA_SHARE * count) & (count > 0)
    surrounded = box(moving.float(), AROUND) > SURROUNDED_SHARE
    changed = changed | surrounded | camera
    return changed, Ages(quiet_s, torch.where(changed, zero, ages.rest_s + dt_s))


def merged(now: Look, then: Look, changed: Tensor) -> Look:
    """The reference with the changed cells taken from now."""
    fine = repeated(changed.float(), (now.luma.shape[2], now.luma.shape[3])) > 0
    return Look(torch.where(fine, now.luma, then.luma), torch.where(changed, now.cells, then.cells))


def _pixel_change(look: Look, luma: Tensor) -> Tensor:
    return shrunk((look.luma - luma).abs(), look.grid)


def _texture(look: Look) -> Tensor:
    across, down = slopes(look.luma)
    return shrunk(torch.maximum(across.abs(), down.abs()), look.grid)
