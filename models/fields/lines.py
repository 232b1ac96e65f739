"""Places along the flow lines, for all pixels at once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BEND = 3.25
"""Half-resolution pixels after which a long step looks at the flow again."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """The flow line through each pixel.

    Attributes:
        places: (1, 2, h, w), x and y of each pixel, in pixels.
        tangent: (B, 2, h, w), unit vectors.
        scale: (1, 2, 1, 1), `scale_of` the planes.
        ahead, behind: (B, 2, h, w), the unit vectors found after `bend` pixels either way, signed
            so that they lead on.
        bend: Pixels.
    """

    places: Tensor
    tangent: Tensor
    scale: Tensor
    ahead: Tensor
    behind: Tensor
    bend: float

    @classmethod
    def through(cls, tangent: Tensor, bend: float = BEND) -> "Line":
        height, width = tangent.shape[2:]
        x = torch.arange(width, device=tangent.device, dtype=tangent.dtype)
        y = torch.arange(height, device=tangent.device, dtype=tangent.dtype)
        rows = torch.stack([x.expand(height, width), y[:, None].expand(height, width)])
        places = rows[None]
        scale = scale_of(tangent)
        ahead = _aligned(at(tangent, places + bend * tangent, scale, "nearest"), tangent)
        behind = _aligned(at(tangent, places - bend * tangent, scale, "nearest"), -tangent)
        return cls(places, tangent, scale, ahead, behind, bend)

    def read(self, planes: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
        """`planes` at `places`; see `at`."""
        return at(planes, places, self.scale, mode)

    def curved(self, step: float) -> tuple[Tensor, Tensor]:
        """The places `step` pixels along the line either way; it bends after half the way."""
        near = min(step / 2, self.bend)
        far = step - near
        return (
            self.places + near * self.tangent + far * self.ahead,
            self.places - near * self.tangent + far * self.behind,
        )


def at(planes: Tensor, places: Tensor, scale: Tensor, mode: str = "bilinear") -> Tensor:
    """`planes` (B, C, h, w) read at `places` (B or 1, 2, h, w) in pixels; the border is repeated.

    `scale` is `scale_of` the planes.
    """
    grid = (places * scale + (0.5 * scale - 1)).permute(0, 2, 3, 1)
    grid = grid.expand(planes.shape[0], -1, -1, -1)
    return F.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=False)


def scale_of(planes: Tensor) -> Tensor:
    """(1, 2, 1, 1): how much of the range [-1, 1] one pixel takes, along x and y."""
    one = planes.new_ones(1, 1, 1, 1)
    return torch.cat([one * (2 / planes.shape[3]), one * (2 / planes.shape[2])], 1)


def _aligned(vectors: Tensor, to: Tensor) -> Tensor:
    dot = (vectors * to).sum(1, keepdim=True)
    return vectors * torch.where(dot < 0, -1.0, 1.0)
