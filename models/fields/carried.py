"""Noise carried along the flow of a picture, in four planes at half resolution.

    a_fine, a_broad   the largest value of smoothed noise on the flow line through a place
    C, H              mark planes; their meaning depends on the kind (see `models.fields.marks`)

A maximum along the line, not the mean of line integral convolution (Cabral and Leedom 1993): the
largest bump wins, so every place belongs to the stroke on top. Strokes get sides, ends, an order
and a rounded profile.

The maximum over a long line is built from short ones: m1(x) = max of n(x), n(x ± s), m2(x) = max
of m1(x), m1(x ± 2 s along the line), and once more with 4 s: ± 7 s in six readings. All of it is
convolution, interpolation and comparison: it can be traced, compiled and captured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.fields.flow import blur, tangents, unit_gaussian
from models.fields.hatching import hatching
from models.fields.lines import BEND, Line
from models.fields.marks import KINDS
from models.fields.panes import Cells, dots, facets, panes, tiles

PLANES: Final = 4
"""Planes of `CarriedFields`: a_fine, a_broad, C, H."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """Sizes of one stroke plane, in half-resolution pixels, and what makes it unit.

    `sigma` smooths the noise; `step` is the first and shortest of three steps along the line, less
    than `sigma`, or the strokes would be knurled; `mean` and `spread` are those of the maximum
    over gaussian noise, measured on photographs.
    """

    sigma: float
    step: float
    mean: float
    spread: float


FINE: Final = Stroke(0.8, 0.6, 1.17, 0.64)
BROAD: Final = Stroke(1.7, 1.15, 1.29, 0.73)


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Where the winners of the maxima lie, for a teacher that gives each stroke one colour.

    Each (B, 2, h, w), x and y in half-resolution pixels; `cells` is the seed of the cell, where
    the kind has cells.
    """

    fine: Tensor
    broad: Tensor
    cells: Tensor | None


class CarriedFields(nn.Module):
    """The carried fields of a picture.

    `kinds` names the kinds of mark planes that are computed; one that is not named costs nothing,
    and none at all leaves both mark planes zero.

    Raises:
        ValueError: A kind is not one of `KINDS`.
    """

    def __init__(self, kinds: Sequence[str] = ()) -> None:
        super().__init__()
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise ValueError(f"no such kind of marks: {unknown[0]}; known: {', '.join(KINDS)}")
        self.kinds = tuple(kinds)

    def forward(self, image: Tensor, noise: Tensor, weights: Tensor | None = None) -> Tensor:
        """The planes, (B, 4, H/2, W/2), each about zero with unit spread.

        Args:
            image: (B, 3, H, W) in [-1, 1]; H and W are multiples of 4.
            noise: (B, 1, H/2, W/2), unit gaussians: `noise_plane` of the latents' noise.
            weights: (B, number of kinds): the mark planes are the sum of the kinds' planes times
                these. ``None`` adds them as they are.
        """
        half = halved(image)
        line = Line.through(tangents(half))
        strokes = [carried(noise, line, size)[0] for size in (FINE, BROAD)]
        return torch.cat([*strokes, self._marks(half, noise, line, weights)], 1)

    def _marks(self, half: Tensor, noise: Tensor, line: Line, weights: Tensor | None) -> Tensor:
        total = torch.cat([torch.zeros_like(noise)] * 2, 1)
        for index, kind in enumerate(self.kinds):
            if kind == "hatching":
                planes = hatching(noise, line)
            else:
                planes = cells_of(kind, half, noise, line).planes
            if weights is not None:
                planes = planes * weights[:, index, None, None, None].to(planes)
            total = total + planes
        return total

    def sources(self, image: Tensor, noise: Tensor) -> Sources:
        """Where each stroke and each cell has its seed. Arguments as in `forward`."""
        half = halved(image)
        line = Line.through(tangents(half))
        fine, broad = (carried(noise, line, size, seeds=True)[1] for size in (FINE, BROAD))
        kind = next((k for k in self.kinds if k != "hatching"), None)
        cells = cells_of(kind, half, noise, line).seeds if kind else None
        assert fine is not None and broad is not None
        return Sources(fine, broad, cells)


def halved(image: Tensor) -> Tensor:
    """The image at half its sides, in [0, 1]: each pixel is the mean of four."""
    return F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=False) * 0.5 + 0.5


def cells_of(kind: str, half: Tensor, noise: Tensor, line: Line) -> Cells:
    """The cells of a kind other than hatching."""
    if kind == "tiles":
        return tiles(half, noise, line)
    return {"panes": panes, "facets": facets, "dots": dots}[kind](half, noise)


def noise_plane(latent_noise: Tensor) -> Tensor:
    """The 16 gaussians of each latent cell as one plane: (B, 16, h, w) -> (B, 1, 4 h, 4 w).

    With 8 pixels a cell the plane has half the picture's resolution.
    """
    return F.pixel_shuffle(latent_noise, 4)


def unit_noise(noise: Tensor, sigma: float) -> Tensor:
    """White noise smoothed and brought back to unit variance."""
    return blur(noise, unit_gaussian(sigma))


def carried(
    noise: Tensor, line: Line, size: Stroke, *, seeds: bool = False
) -> tuple[Tensor, Tensor | None]:
    """The normalised maximum along the flow line and, if asked, where it lies."""
    return maximum(unit_noise(noise, size.sigma), line, size, seeds=seeds)


def maximum(
    value: Tensor, line: Line, size: Stroke, *, scale: float = 1.0, seeds: bool = False
) -> tuple[Tensor, Tensor | None]:
    """`carried` of noise that is smooth already; `scale` multiplies the steps."""
    source = line.places.expand(len(value), -1, -1, -1) if seeds else None
    for multiple in (1, 2, 4):
        places = line.curved(multiple * scale * size.step)
        best, best_source = value, source
        for one in places:
            other = line.read(value, one)
            if source is not None and best_source is not None:
                there = line.read(source, one, "nearest")
                best_source = torch.where(other > best, there, best_source)
            best = torch.maximum(best, other)
        value, source = best, best_source
    return (value - size.mean) / size.spread, source


def enlarged(image: Tensor, noise: Tensor, size: Stroke, factor: int = 4) -> tuple[Tensor, Tensor]:
    """A stroke plane on a grid `factor` times finer, and the sources in its pixels.

    The same strokes with crisp sides: noise and flow are enlarged smoothly and carried anew. For
    a teacher that paints larger than the picture that its student sees.
    """
    line = enlarged_line(image, factor)
    smooth = unit_noise(noise, size.sigma)
    value = F.interpolate(smooth, scale_factor=factor, mode="bicubic", align_corners=False)
    plane, sources = maximum(value, line, size, scale=factor, seeds=True)
    assert sources is not None
    return plane, sources


def enlarged_line(image: Tensor, factor: int = 4) -> Line:
    """The flow lines of the picture on the finer grid of `enlarged`."""
    tangent = tangents(halved(image))
    x, y = tangent[:, :1], tangent[:, 1:]
    double = torch.cat([x * x - y * y, 2 * x * y], 1)
    double = F.interpolate(double, scale_factor=factor, mode="bilinear", align_corners=False)
    double = double / (double.square().sum(1, keepdim=True) + 1e-12).sqrt()
    cosine, sine = double[:, :1], double[:, 1:]
    x = ((1 + cosine).clamp(min=0) / 2).sqrt()
    y = ((1 - cosine).clamp(min=0) / 2).sqrt() * torch.where(sine < 0, -1.0, 1.0)
    return Line.through(torch.cat([x, y], 1), BEND * factor)
