"""Noise that moves along with the picture, on the device.

    D_t(x) = D_{t-1}(x + w(x)) + w(x)      noise_t(x) = noise_0(x + P_t(x))
    P_t(x) = P_{t-1}(x + w(x)) while that is within `SLACK` of D_t(x), else round(D_t(x))

As `stream.temporal.noise`, but for two things that a flow of a few rounds needs: it is averaged
over a wide square, since one place that strays takes another stroke along all its length, and a
place keeps what it has taken until D is well past the half, or its strokes would flicker there.
Numbers are taken, never mixed, so each of them stays a gaussian of unit
variance. The numbers of a latent cell are a block of places, so the step is a part of a cell: a
quarter where there are 16 channels, half of one where there are 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.temporal.planes import box, brought, places, pulled, scaled, slopes

LEAST_WEIGHT = 1e-3
"""What the least sure flow counts, where there is no other."""

SLACK = 0.7
"""Places by which what was taken may be off D."""

STEADY = 15
"""Side of the square of flow places over which the flow is averaged, weighted by how sure it is."""

LEAST_SURE = 0.35
LEAST_AREA, MOST_AREA = 0.5, 2.0


def places_a_cell(channels: int) -> int:
    """Places along each side of a latent cell, for so many channels of noise."""
    return next(side for side in (4, 2, 1) if channels % side**2 == 0)


def carried(shift: Tensor, taken: Tensor, flow: Tensor, sure: Tensor) -> tuple[Tensor, Tensor]:
    """D and P of the next frame, (1, 2, h, w) in places.

    Args:
        shift, taken: D and P of the frame before.
        flow: (1, 2, k, l), the backward flow in its own places.
        sure: (1, 1, k, l), how sure it is.
    """
    height, width = shift.shape[2], shift.shape[3]
    by = width / flow.shape[3], height / flow.shape[2]
    weight = sure + LEAST_WEIGHT
    summed = box(torch.cat([flow * weight, weight], 1), STEADY)
    here = scaled(brought(summed[:, :2] / summed[:, 2:], (height, width)), *by)
    moved = pulled(shift, here) + here
    before = pulled(taken, here, "nearest")
    after = torch.where((moved - before).abs() <= SLACK, before, moved.round())
    (xx, xy), (yx, yy) = ((slope[:, :1], slope[:, 1:]) for slope in slopes(moved))
    area = (1 + xx) * (1 + yy) - xy * yx
    starts = (area < LEAST_AREA) | (area > MOST_AREA)
    starts |= brought(sure, (height, width)) < LEAST_SURE
    zero = torch.zeros_like(moved)
    return torch.where(starts, zero, moved), torch.where(starts, zero, after)


def moved(noise: Tensor, taken: Tensor) -> Tensor:
    """Noise (S, C, h, w) read at its moved places.

    Args:
        taken: P, (1, 2, s h, s w), whole numbers.
    """
    side = places_a_cell(noise.shape[1])
    planes = F.pixel_shuffle(noise, side)
    height, width = planes.shape[2], planes.shape[3]
    at = (places(height, width, taken.device) + taken).long()
    index = at[:, 1].remainder(height) * width + at[:, 0].remainder(width)
    flat = planes.flatten(2)[..., index.flatten()]
    return F.pixel_unshuffle(flat.reshape(planes.shape), side)
