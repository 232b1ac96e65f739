"""Cells grown around the peaks of the noise: panes, facets and tiles.

Seeds are local maxima of smoothed noise, so they move with the noise by any whole half-resolution
pixel and no lattice shows. A place belongs to the seed that is nearest in position and colour
(Achanta et al. 2012, SLIC, without its rounds of moving seeds). Colour is the blurred picture's,
so borders are smooth curves, and the distance to one is (d_j - d_1) / |grad (d_j - d_1)| with the
gradient known in closed form.

Peaks are at least as far apart as the side of a block, so a block holds one seed at most. The
nearest seeds are looked for block by block (jump flooding, Rong and Tan 2006) and compared pixel
by pixel with the winners of the nine blocks around: only shifts, no gather.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.fields.flow import blur, gaussian, gradients
from models.fields.lines import Line

GAP = 3
"""Half-resolution pixels: the side of a block of panes; tiles and dots have blocks of 2."""

LIGHT = (-0.6, -0.8)
"""Where the light of facets comes from."""

LIMIT = 4.0
"""Distances to a border are cut here, in half-resolution pixels."""

FAR = 1e4
COLOR_WEIGHTS = (1.0, 2.4, 2.4)
"""Of luma and two colour differences."""

NUMBER_OFFSET = 3
"""A seed's number is the noise this many pixels to its right and below: it moves along."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """`planes` (B, 2, h, w): C and H with about unit spread; `seeds` (B, 2, h, w) in pixels."""

    planes: Tensor
    seeds: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """Squared distance: pull * |x - s|² + |c(x) - c(s)|², or along the axes of a flow."""

    pull: float
    axes: Tensor | None = None
    """(B, 2, h, w) unit vectors: squares along them in place of circles."""


def panes(half: Tensor, noise: Tensor) -> Cells:
    """Large panes in calm areas, small ones where there is detail."""
    color, seeds = _adaptive(half, noise)
    first, distance, _ = _assign(color, seeds, Metric(PANE_PULL))
    return Cells(_planes(distance, first[:, 5:]), first[:, :2])


def facets(half: Tensor, noise: Tensor) -> Cells:
    """Panes cut into wedges, one to each neighbour; H is the light on the wedge, as on a roof."""
    color, seeds = _adaptive(half, noise, 2.2, 11, 5)
    first, distance, neighbor = _assign(color, seeds, Metric(PANE_PULL))
    way = neighbor[:, :2] - first[:, :2]
    lit = (way[:, :1] * LIGHT[0] + way[:, 1:] * LIGHT[1]) / (
        way.square().sum(1, keepdim=True) + 1e-6
    ).sqrt()
    planes = torch.cat([distance.clamp(0, LIMIT) - 1.2, lit * 2**0.5], 1)
    return Cells(planes, 0.65 * first[:, :2] + 0.35 * neighbor[:, :2])


def tiles(half: Tensor, noise: Tensor, line: Line) -> Cells:
    """Squares turned along the flow, smaller ones where there is detail."""
    color = _color(half, 1.0)
    chosen = _peaks(noise, 1.0, 5) | (_peaks(noise, 0.7, 3) & (_detail(half) > DETAIL))
    value = torch.where(chosen, blur(noise, gaussian(0.7)) + 10, 0.0)
    chosen = chosen & (value >= F.max_pool2d(value, 3, 1, 1))
    seeds = _seeds(noise, color, chosen, 2)
    first, distance, _ = _assign(color, seeds, Metric(TILE_PULL, line.tangent), 2)
    return Cells(_planes(distance * 1.4, first[:, 5:]), first[:, :2])


def dots(half: Tensor, noise: Tensor) -> Cells:
    """Small round cells, all of about one size."""
    color = _color(half, 1.0)
    seeds = _seeds(noise, color, _peaks(noise, 0.7, 3), 2)
    first, distance, _ = _assign(color, seeds, Metric(TILE_PULL), 2)
    return Cells(_planes(distance * 2, first[:, 5:]), first[:, :2])


PANE_PULL = 0.0011
TILE_PULL = 0.02
DETAIL = 0.030


def _planes(distance: Tensor, number: Tensor) -> Tensor:
    lone = number.clamp(0, 1)  # far from every seed it is `FAR`
    return torch.cat([distance.clamp(0, LIMIT) - 1.2, (lone - 0.5) * 12**0.5], 1)


def _color(half: Tensor, sigma: float) -> Tensor:
    red, green, blue = half[:, :1], half[:, 1:2], half[:, 2:]
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = torch.cat(
        [
            COLOR_WEIGHTS[0] * luma,
            COLOR_WEIGHTS[1] * 0.5 * (red - green),
            COLOR_WEIGHTS[2] * 0.5 * (0.5 * (red + green) - blue),
        ],
        1,
    )
    return blur(planes, gaussian(sigma))


def _peaks(noise: Tensor, sigma: float, window: int) -> Tensor:
    """True where the smoothed noise is the largest of a square window."""
    value = blur(noise, gaussian(sigma))
    return value >= F.max_pool2d(value, window, 1, window // 2)


def _detail(half: Tensor) -> Tensor:
    """How much the picture changes around a place."""
    dx, dy = gradients(blur(half, gaussian(0.8)))
    return blur((dx * dx + dy * dy).sum(1, keepdim=True).sqrt(), gaussian(2.5))


def _adaptive(
    half: Tensor, noise: Tensor, sigma: float = 2.2, wide: int = 11, narrow: int = 5
) -> tuple[Tensor, Tensor]:
    """Colour, and seeds in wide windows, in narrow ones where there is detail."""
    color = _color(half, 1.3)
    chosen = _peaks(noise, sigma, wide) | (
        _peaks(noise, 0.2 * narrow, narrow) & (_detail(half) > DETAIL)
    )
    # A small peak beside a large one would make a splinter: the larger smoothed value stays.
    value = torch.where(chosen, blur(noise, gaussian(1.0)) + 10, 0.0)
    return color, _seeds(noise, color, chosen & (value >= F.max_pool2d(value, 5, 1, 2)))


def _seeds(noise: Tensor, color: Tensor, chosen: Tensor, gap: int = GAP) -> Tensor:
    """The seeds by block, (B, 6, rows, columns): x, y, colour, number.

    Where there is none all are `FAR`.
    """
    height, width = noise.shape[2:]
    x = torch.arange(width, device=noise.device, dtype=noise.dtype).view(1, 1, 1, -1)
    y = torch.arange(height, device=noise.device, dtype=noise.dtype).view(1, 1, -1, 1)
    offset = NUMBER_OFFSET
    ahead = F.pad(noise, (0, offset, 0, offset), mode="replicate")[:, :, offset:, offset:]
    number = torch.sigmoid(1.702 * ahead)
    planes = torch.cat([x.expand_as(noise), y.expand_as(noise), color, number], 1)
    held = torch.where(chosen, planes, -FAR)
    blocks = F.max_pool2d(held, gap, gap, ceil_mode=True)
    return torch.where(blocks[:, :1] < 0, FAR, blocks)


def _shifted(planes: Tensor, down: int, right: int) -> Tensor:
    """The planes read `down`, `right` blocks away; the border is repeated."""
    height, width = planes.shape[2:]
    reach = max(abs(down), abs(right))
    padded = F.pad(planes, (reach,) * 4, mode="replicate")
    return padded[:, :, reach + down :, reach + right :][:, :, :height, :width]


AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def _flood(color: Tensor, seeds: Tensor, pull: float, gap: int) -> Tensor:
    """For each block the seed that is nearest to its middle."""
    rows, columns = seeds.shape[2:]
    x = torch.arange(columns, device=seeds.device, dtype=seeds.dtype).view(1, 1, 1, -1)
    y = torch.arange(rows, device=seeds.device, dtype=seeds.dtype).view(1, 1, -1, 1)
    middle = (gap - 1) / 2
    own = F.avg_pool2d(color, gap, gap, ceil_mode=True, count_include_pad=False)

    def distance(candidate: Tensor) -> Tensor:
        dx = candidate[:, :1] - (x * gap + middle)
        dy = candidate[:, 1:2] - (y * gap + middle)
        return pull * (dx * dx + dy * dy) + (candidate[:, 2:5] - own).square().sum(1, keepdim=True)

    best, least = seeds, distance(seeds)
    for step in (1, 2, 1):
        start = best
        for down, right in AROUND:
            candidate = _shifted(start, down * step, right * step)
            d = distance(candidate)
            best = torch.where(d < least, candidate, best)
            least = torch.minimum(d, least)
    return best


def _assign(
    color: Tensor, seeds: Tensor, metric: Metric, gap: int = GAP
) -> tuple[Tensor, Tensor, Tensor]:
    """Each pixel's seed, its distance to the border and the seed beyond the border.

    (B, 6, h, w), (B, 1, h, w) and (B, 6, h, w).
    """
    height, width = color.shape[2:]
    best = _flood(color, seeds, metric.pull, gap)
    candidates = [
        F.interpolate(_shifted(best, *step), scale_factor=gap, mode="nearest")[
            :, :, :height, :width
        ]
        for step in [(0, 0), *AROUND]
    ]
    x = torch.arange(width, device=color.device, dtype=color.dtype).view(1, 1, 1, -1)
    y = torch.arange(height, device=color.device, dtype=color.dtype).view(1, 1, -1, 1)
    distances = [_distance(c, color, x, y, metric) for c in candidates]
    first, least = candidates[0], distances[0]
    for candidate, d in zip(candidates[1:], distances[1:], strict=True):
        first = torch.where(d < least, candidate, first)
        least = torch.minimum(d, least)
    slopes = gradients(color)
    border = torch.full_like(least, LIMIT)
    neighbor = first
    for candidate, d in zip(candidates, distances, strict=True):
        reach = (d - least) / _slope(candidate, first, slopes, metric)
        same = (candidate[:, :2] - first[:, :2]).abs().sum(1, keepdim=True) < 0.5
        reach = torch.where(same, LIMIT, reach)
        neighbor = torch.where(reach < border, candidate, neighbor)
        border = torch.minimum(border, reach)
    return first, border, neighbor


def _distance(seed: Tensor, color: Tensor, x: Tensor, y: Tensor, metric: Metric) -> Tensor:
    dx, dy = x - seed[:, :1], y - seed[:, 1:2]
    if metric.axes is None:
        place = dx * dx + dy * dy
    else:
        across, along = metric.axes[:, :1], metric.axes[:, 1:]
        u, v = (across * dx + along * dy).abs(), (across * dy - along * dx).abs()
        place = (torch.maximum(u, v) + 0.15 * torch.minimum(u, v)).square()
    return metric.pull * place + (seed[:, 2:5] - color).square().sum(1, keepdim=True)


def _slope(seed: Tensor, first: Tensor, slopes: tuple[Tensor, Tensor], metric: Metric) -> Tensor:
    """Length of the gradient of the difference of two distances."""
    change = first[:, 2:5] - seed[:, 2:5]
    gx = metric.pull * (first[:, :1] - seed[:, :1]) + (slopes[0] * change).sum(1, keepdim=True)
    gy = metric.pull * (first[:, 1:2] - seed[:, 1:2]) + (slopes[1] * change).sum(1, keepdim=True)
    return 2 * (gx * gx + gy * gy + 1e-10).sqrt()
