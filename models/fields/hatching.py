"""Hatching: noise drawn out into lines, mapped to an about uniform share of ink.

A place is inked where the tone asks for more than its value: a procedural tonal art map (Praun et
al. 2001). C follows the flow of the picture, H runs along one diagonal.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fields.flow import blur, gaussian
from models.fields.lines import Line

STEPS = (1.2, 2.4, 4.6, 6.0)
"""Half-resolution pixels of the averages, one on top of the other: lines of ±14."""

DIAGONAL_STEPS = (1, 2, 3, 5)
"""The same for the diagonal, in pixels along x."""

WIDE = 2.5
"""Sigma of the blur that is taken off, so that lines alternate."""

FLOW_SPREAD, DIAGONAL_SPREAD = 0.093, 0.122
"""Of the averages over unit gaussian noise, measured."""


def hatching(noise: Tensor, line: Line) -> Tensor:
    """(B, 2, h, w): C and H, uniform with mean 0 and unit spread where the flow is smooth."""
    value = blur(noise, gaussian(0.55, 1))
    along = value
    for step in STEPS:
        ahead, behind = line.curved(step)
        along = 0.5 * along + 0.25 * (line.read(along, ahead) + line.read(along, behind))
    across = value
    for shift in DIAGONAL_STEPS:
        across = 0.5 * across + 0.25 * (_shifted(across, shift) + _shifted(across, -shift))
    taps = gaussian(WIDE)
    both = torch.cat(
        [
            (along - blur(along, taps)) / FLOW_SPREAD,
            (across - blur(across, taps)) / DIAGONAL_SPREAD,
        ],
        1,
    )
    # The logistic curve stands in for the gaussian's integral; a uniform value has spread 12^-1/2.
    return (torch.sigmoid(1.702 * both) - 0.5) * 12**0.5


def _shifted(plane: Tensor, by: int) -> Tensor:
    """The plane read `by` pixels to the right and above; the border is repeated."""
    reach = abs(by)
    height, width = plane.shape[2:]
    padded = F.pad(plane, (reach,) * 4, mode="replicate")
    return padded[:, :, reach - by :, reach + by :][:, :, :height, :width]
