"""How far one picture is from another in look: its colours, and the strength of its marks.

No stroke has to lie where the other's lies: another seed gives other strokes in the same look, and
so does another hour of the same hand. What has to agree is where which colour is, and in every part
of the picture how strong marks of each size and direction are.

    colours   mean colours of squares of 8 px
    marks     root mean square of Gabor filters (three sizes, four directions) in squares of 32 px

Both distances are mean absolute differences. `look_distance` takes each as a share of a third
picture's, the photograph's: 0 is the painting itself, 1 is no nearer than the photograph.
"""

import math
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

COLOR_SQUARE, MARK_SQUARE = 8, 32
OCTAVES = 3
DIRECTIONS = 4
WAVELENGTH_PX, SIGMA_PX, RADIUS = 4.0, 1.7, 5
"""Of the finest Gabor filter; each octave is the same on the picture at half the sides."""


class Distance(NamedTuple):
    """Shares of the photograph's distance in colours and in marks."""

    colors: float
    marks: float

    @property
    def mean(self) -> float:
        return (self.colors + self.marks) / 2


def look_distance(painted: Tensor, painting: Tensor, photo: Tensor) -> Distance:
    """How far `painted` is from `painting`, over how far `photo` is; images (B, 3, H, W) of a size.

    H and W: at least `MARK_SQUARE` times 4.
    """
    wanted = colors(painting), marks(painting)
    ours, before = (colors(painted), marks(painted)), (colors(photo), marks(photo))
    shares = [
        _apart(a, w) / max(_apart(b, w), 1e-6) for a, b, w in zip(ours, before, wanted, strict=True)
    ]
    return Distance(*shares)


def colors(image: Tensor) -> Tensor:
    """Mean colours of squares: (B, 3, H/8, W/8), brightness and two differences of colours."""
    return F.avg_pool2d(opponents(image), COLOR_SQUARE)


def marks(image: Tensor) -> Tensor:
    """Strengths (B, 15, H/16, W/16): in each octave of brightness by direction, and of colour."""
    planes = opponents(image)
    strengths = []
    for octave in range(OCTAVES):
        waves = F.conv2d(planes[:, :1], _gabor().to(planes))
        even, odd = waves.square().chunk(2, 1)
        energy = (even + odd) / 2
        hue = planes[:, 1:] - F.avg_pool2d(planes[:, 1:], 5, 1, 2, count_include_pad=False)
        inner = hue[..., RADIUS:-RADIUS, RADIUS:-RADIUS].square().mean(1, keepdim=True)
        side = MARK_SQUARE >> octave
        pooled = F.avg_pool2d(torch.cat([energy, inner], 1), side, side // 2)
        size = image.shape[2] // 16, image.shape[3] // 16
        strengths.append(F.interpolate((pooled + 1e-8).sqrt(), size, mode="bilinear"))
        planes = F.avg_pool2d(planes, 2)
    return torch.cat(strengths, 1)


def opponents(image: Tensor) -> Tensor:
    """Brightness, red less green, blue less the two: (B, 3, H, W)."""
    red, green, blue = image[:, :1], image[:, 1:2], image[:, 2:]
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    return torch.cat([light, (red - green) / 2, (blue - (red + green) / 2) / 2], 1)


@cache
def _gabor() -> Tensor:
    """Even and odd waves in every direction, without a mean: (2 * directions, 1, 11, 11)."""
    side = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float32)
    y, x = torch.meshgrid(side, side, indexing="ij")
    envelope = torch.exp(-(x**2 + y**2) / (2 * SIGMA_PX**2))
    envelope = envelope / envelope.sum()
    filters = []
    for phase in (0.0, math.pi / 2):
        for direction in range(DIRECTIONS):
            angle = math.pi * direction / DIRECTIONS
            along = (x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / WAVELENGTH_PX
            wave = envelope * torch.cos(along - phase)
            filters.append(wave - envelope * wave.sum())
    return 2 * torch.stack(filters)[:, None]


def _apart(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().mean().item()
