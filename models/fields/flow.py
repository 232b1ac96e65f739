"""The flow of a picture: at each place the direction in which it changes least.

A smoothed colour structure tensor (Brox et al. 2006, "Nonlinear structure tensors"; Kyprianidis,
Kang and Döllner 2009, section 3.1). Gradients count by their magnitude, not its square, and weak
ones (sensor noise, blocks of compression) hardly at all. Wide blurs fill flat areas from edges far
away.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTHS = ((1.0, 0.8), (0.3, 2.2), (0.12, 6.0), (0.05, 15.0))
"""(weight, sigma in half-resolution pixels) of the blurs that are added up."""

WEAK_GRADIENT = 0.04
"""Gradients below this (of a full range of 1 a pixel) count by their square."""


@cache
def gaussian(sigma: float, radius: int | None = None) -> Tensor:
    """Taps of a gaussian that sum to one, float32 (2 radius + 1,)."""
    reach = radius if radius is not None else max(1, round(2.6 * sigma))
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    taps = torch.exp(-0.5 * (x / sigma) ** 2)
    return taps / taps.sum()


@cache
def unit_gaussian(sigma: float) -> Tensor:
    """The same with squares that sum to one along both ways: white noise keeps its variance."""
    taps = gaussian(sigma)
    return taps / taps.square().sum().sqrt()


@cache
def _on(taps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Taps on a device, copied once: a captured graph may take nothing from the host."""
    with torch.inference_mode(False):
        return taps.to(device, dtype)


def blur(planes: Tensor, taps: Tensor) -> Tensor:
    """Both ways with symmetric taps; the border is repeated. (B, C, H, W) in and out."""
    batch, channels, height, width = planes.shape
    reach = taps.shape[0] // 2
    rows = planes.reshape(batch * channels, 1, height, width)
    kernel = _on(taps, planes.device, planes.dtype)
    rows = F.pad(rows, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(rows, kernel.view(1, 1, 1, -1))
    rows = F.conv2d(rows, kernel.view(1, 1, -1, 1))
    return rows.reshape(batch, channels, height, width)


def gradients(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Scharr's derivatives along x and y, per pixel; (B, C, H, W) each."""
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    up, middle, down = padded[:, :, :-2], padded[:, :, 1:-1], padded[:, :, 2:]
    smooth = (3 / 32) * (up + down) + (10 / 32) * middle
    change = (3 / 32) * (padded[..., :-2] + padded[..., 2:]) + (10 / 32) * padded[..., 1:-1]
    return smooth[..., 2:] - smooth[..., :-2], change[:, :, 2:] - change[:, :, :-2]


def structure_tensor(half: Tensor) -> Tensor:
    """(B, 3, 2h, 2w) at half resolution, in [0, 1] -> (B, 3, h, w): xx, xy, yy of the tensor.

    The tensor lives at a quarter of the picture's sides; it is smooth, so nothing is lost.
    """
    dx, dy = gradients(blur(half, gaussian(0.6, 1)))
    tensor = torch.cat(
        [
            (dx * dx).sum(1, keepdim=True),
            (dx * dy).sum(1, keepdim=True),
            (dy * dy).sum(1, keepdim=True),
        ],
        1,
    )
    magnitude = (tensor[:, :1] + tensor[:, 2:] + 1e-8).sqrt()
    return F.avg_pool2d(tensor / (magnitude + 2 * WEAK_GRADIENT), 2)


def widened(tensor: Tensor) -> Tensor:
    """The sum of the blurs of `WIDTHS`; the wide ones are taken at half the sides."""
    (near, near_sigma), (mid, mid_sigma), *far = WIDTHS
    total = near * blur(tensor, gaussian(near_sigma / 2, 1))
    total = total + mid * blur(tensor, gaussian(mid_sigma / 2))
    small = F.avg_pool2d(tensor, 2, ceil_mode=True, count_include_pad=False)
    wide = torch.zeros_like(small)
    for weight, sigma in far:
        wide = wide + weight * blur(small, gaussian(sigma / 4))
    up = F.interpolate(wide, scale_factor=2, mode="bilinear", align_corners=False)
    return total + up[..., : tensor.shape[2], : tensor.shape[3]]


def tangents(half: Tensor) -> Tensor:
    """Unit vectors along the flow, (B, 2, H, W): x, y. Their sign has no meaning.

    Args:
        half: The picture at half resolution, (B, 3, H, W) in [0, 1]; H and W even.
    """
    tensor = widened(structure_tensor(half))
    tensor = F.interpolate(tensor, scale_factor=2, mode="bilinear", align_corners=False)
    xx, xy, yy = tensor[:, :1], tensor[:, 1:2], tensor[:, 2:]
    a, b = xx - yy, 2 * xy
    length = (a * a + b * b + 1e-12).sqrt()
    # Twice the angle of the tangent: that of the gradient, turned by half a turn. The small
    # constant gives a picture without any gradient horizontal lines.
    cosine = (1 - (a + 1e-6) / (length + 1e-6)).clamp(0, 2) / 2
    x = cosine.sqrt()
    y = (1 - cosine).sqrt() * torch.where(b > 0, -1.0, 1.0)
    return torch.cat([x, y], 1)
