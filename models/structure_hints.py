"""Hints: what a frame's structure is shown to a network as, in torch, on the frame's device.

image (B, 3, H, W) in [-1, 1] ──hint──► (B, 3, H, W) in [0, 1]

kind     what it shows
-------  -------------------------------------------------------------------------------------
canny    thin white edges on black (Canny, PAMI 1986), with OpenCV's thresholds 100 and 200
lineart  soft white lines where it is darker than around, by a difference of Gaussians
tile     the frame itself
depth    near is white, far is black: by a network, `models.depth`
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
LOW, HIGH = 100.0, 200.0
"""Of the gradient's L1 norm, on levels 0 to 255: where an edge goes on, and where it begins."""

TAN_22_5 = 2**0.5 - 1
HYSTERESIS_ROUNDS = 64
"""How many pixels an edge may go on by weak ones; a captured graph has no loop until the end."""

NARROW, WIDE = 1.0, 1.6
"""Standard deviations in px of the two Gaussians (their ratio: Marr and Hildreth, 1980)."""

LINE_GAIN = 16.0


def canny(image: Tensor) -> Tensor:
    """Edges one pixel wide, 0 or 1."""
    luma = _luma(image).mul(255).round()
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 2:] - padded[..., :-2]
    along = padded[..., 2:, :] - padded[..., :-2, :]
    dx = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    dy = along[..., :-2] + 2 * along[..., 1:-1] + along[..., 2:]
    norm = dx.abs() + dy.abs()
    crest = _is_crest(norm, dx, dy)
    weak = (crest & (norm > LOW)).float()
    edges = (crest & (norm > HIGH)).float()
    for _ in range(HYSTERESIS_ROUNDS):
        edges = F.max_pool2d(edges, 3, stride=1, padding=1) * weak
    return edges.expand(-1, 3, -1, -1)


def lineart(image: Tensor) -> Tensor:
    """Soft lines."""
    luma = _luma(image)
    darker = _blurred(luma, WIDE) - _blurred(luma, NARROW)
    return (darker * LINE_GAIN).clamp(0, 1).expand(-1, 3, -1, -1)


def tile(image: Tensor) -> Tensor:
    """The frame."""
    return (image + 1) / 2


HINTS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "canny": canny,
    "lineart": lineart,
    "tile": tile,
}
"""Kind -> what makes its hint, by arithmetic."""

DEPTH = "depth"

KINDS = (*HINTS, DEPTH)


def _luma(image: Tensor) -> Tensor:
    """(B, 1, H, W) in [0, 1]."""
    # numbers, not a tensor: nothing may come from the host while a frame is captured
    red, green, blue = LUMA
    luma = red * image[:, 0:1] + green * image[:, 1:2] + blue * image[:, 2:3]
    return (luma + 1) / 2


def _is_crest(norm: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Where the gradient is largest along its own direction, of four."""
    near = F.pad(norm, (1, 1, 1, 1))

    def at(x: int, y: int) -> Tensor:
        height, width = norm.shape[-2:]
        return near[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width]

    flat, steep = dx.abs() * TAN_22_5, dx.abs() / TAN_22_5
    level, upright = dy.abs() < flat, dy.abs() > steep
    falls = dx * dy < 0
    on_level = (norm > at(-1, 0)) & (norm >= at(1, 0))
    on_upright = (norm > at(0, -1)) & (norm >= at(0, 1))
    on_rise = (norm > at(-1, -1)) & (norm > at(1, 1))
    on_fall = (norm > at(1, -1)) & (norm > at(-1, 1))
    slanted = torch.where(falls, on_fall, on_rise)
    return torch.where(level, on_level, torch.where(upright, on_upright, slanted))


def _blurred(plane: Tensor, sigma: float) -> Tensor:
    reach = int(3 * sigma + 0.5)
    steps = torch.arange(-reach, reach + 1, device=plane.device, dtype=plane.dtype)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(plane, (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
