"""Pixels: uint8 RGB (H, W, 3) on the host to float32 (1, 3, H, W) on a device, and back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Data = NDArray[np.uint8]


def to_image(data: Data, device: torch.device) -> Tensor:
    """uint8 RGB (H, W, 3) -> image (1, 3, H, W) in [-1, 1] on the device; one upload, of bytes.

    Raises:
        ValueError: It is no such data.
    """
    if data.dtype != np.uint8 or data.ndim != 3 or data.shape[2] != 3:
        raise ValueError(
            f"got data of {data.dtype} {data.shape}, expected uint8 (height, width, 3)"
        )
    # torch refuses read-only and negatively strided memory, which frames often are
    safe = data if data.flags.writeable and data.flags.c_contiguous else data.copy()
    pixels = torch.from_numpy(safe).to(device)
    # in place: fresh memory for each step of a sum costs more than the sum
    return pixels.permute(2, 0, 1).unsqueeze(0).float().div_(127.5).sub_(1)


def to_data(image: Tensor) -> Data:
    """image (1, 3, H, W) -> uint8 RGB (H, W, 3) on the host; rounded, clamped, one download."""
    if image.device.type == "cpu":
        return _interleaved(image[0])
    data: Data = _levels(image[0]).permute(1, 2, 0).contiguous().cpu().numpy()
    return data


def _levels(image: Tensor) -> Tensor:
    return image.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _interleaved(image: Tensor) -> Data:
    """(3, H, W) -> uint8 (H, W, 3), a plane at a time: each stays in a CPU's cache."""
    channels, height, width = image.shape
    data = np.empty((height, width, channels), np.uint8)
    for index in range(channels):
        data[..., index] = _levels(image[index]).numpy()
    return data
