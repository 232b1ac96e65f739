"""Cuts: how much the content of two frames differs, as `stream.temporal.shots` measures it."""

import torch
from torch import Tensor

from models.temporal.planes import shrunk

COLOURFUL = 32.0
DOUBT_DIFFERENCE, DOUBTED_SHARE = 8.0, 0.3


def thumbnail(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Hue, saturation and value, all over 0 to 255, of an image (1, 3, H, W) in [-1, 1].

    Args:
        size: (height, width), whole divisors of the image's.
    """
    rgb = shrunk((image + 1) * 127.5, size)
    value, low = rgb.amax(1), rgb.amin(1)
    spread = value - low
    red, green, blue = torch.unbind(rgb, 1)
    safe = spread.clamp(min=1e-3)
    sixth = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = sixth.remainder(6) * (255 / 6)
    saturation = 255 * spread / value.clamp(min=1e-3)
    return torch.stack([hue, saturation, value], 1)


def content_difference(now: Tensor, then: Tensor) -> Tensor:
    """Mean change of two thumbnails, 0 (the same) to 255; no dimension."""
    hue, saturation, value = torch.unbind((now - then).abs(), 1)
    seen = torch.minimum(now[:, 1], then[:, 1]) >= COLOURFUL
    hue = torch.where(seen, torch.minimum(hue, 255 - hue), torch.zeros_like(hue))
    return (hue.mean() + saturation.mean() + value.mean()) / 3
