"""Small planes of a frame, and the arithmetic on planes that all of this package shares.

Pixels are in levels, 0 to 255; planes are float32 (1, C, h, w).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
RED, BLUE = 0.713, 0.564
"""Of Cr = 0.713 (R - Y) and Cb = 0.564 (B - Y) (ITU-R BT.601)."""


def ycrcb(rgb: Tensor) -> Tensor:
    """RGB (1, 3, h, w) to luma and the two differences of colour, about 0."""
    red, green, blue = torch.unbind(rgb, 1)
    luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return torch.stack([luma, RED * (red - luma), BLUE * (blue - luma)], 1)


def box(planes: Tensor, side: int) -> Tensor:
    """Mean of the square around each place; the border is repeated."""
    reach = side // 2
    padded = F.pad(planes, (reach,) * 4, mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (1, side), 1), (side, 1), 1)


def largest(planes: Tensor, side: int = 3) -> Tensor:
    """Largest value of the square around each place."""
    return F.max_pool2d(planes, side, 1, side // 2)


def shrunk(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Means of blocks: planes at (height, width), whole divisors of theirs."""
    by = planes.shape[2] // size[0], planes.shape[3] // size[1]
    return F.avg_pool2d(planes, by)


def grown(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes at a larger (height, width), bilinear."""
    if planes.shape[2:] == size:
        return planes
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)


def brought(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes at any (height, width): means where it is smaller, else bilinear."""
    if planes.shape[2] > size[0]:
        return F.interpolate(planes, size, mode="area")
    return grown(planes, size)


def scaled(flow: Tensor, across: float, down: float) -> Tensor:
    """A flow (1, 2, h, w) in places that are so much smaller."""
    return torch.cat([flow[:, :1] * across, flow[:, 1:] * down], 1)


def repeated(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes at a larger (height, width), each value a block."""
    return F.interpolate(planes, size, mode="nearest")


def places(height: int, width: int, device: torch.device) -> Tensor:
    """x and y of every place, (1, 2, h, w)."""
    x = torch.arange(width, device=device, dtype=torch.float32)
    y = torch.arange(height, device=device, dtype=torch.float32)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)])[None]


def pulled(planes: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """The planes' values at p + flow(p); the border is repeated.

    Args:
        planes: (1, C, h, w).
        flow: (1, 2, h, w), x and y in places.
        mode: "bilinear", or "nearest".
    """
    height, width = flow.shape[2:]
    at = places(height, width, flow.device) + flow
    x, y = torch.unbind(at, 1)
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    return F.grid_sample(planes, grid, mode, "border", align_corners=False)


def ranked(values: Tensor, share: float) -> Tensor:
    """The value that this share of the others are below."""
    flat = values.flatten().sort().values
    return flat[int((flat.numel() - 1) * share)]


def slopes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's derivatives along x and y, per place."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    down = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (down[..., 2:] - down[..., :-2]) / 8, (across[:, :, 2:] - across[:, :, :-2]) / 8
