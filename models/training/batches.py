"""Batches out of the pairs on disk: windows of 256 px at any offset inside the stored 272.

The offset is what teaches equivariance to parts of a cell: the same picture and the same painting
come back shifted by single pixels, while a latent cell is 8 px wide. Twins are two windows of one
picture in one batch, a few pixels apart, so that a loss can ask for the same paint in both.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.styles import STYLES
from models.training.material.pairs import Pairs
from models.training.material.pictures import CROP

WINDOW = 256
"""Side of a training picture in pixels."""

NOISE_LEVELS = 5.0
"""Largest standard deviation of the sensor noise laid over a photograph, of 255."""

TWIN_SHIFT = 7
"""Largest distance of two twins in pixels, along each side: all parts of a latent cell."""


PRACTICE = {
    "anime": 3.5, "charcoal": 3.5, "ink drawing": 3.0, "oil painting": 3.0, "film noir": 3.0,
    "pencil sketch": 2.5, "stained glass": 2.5, "comic book": 2.0, "vintage film": 2.0,
    "watercolor": 2.0, "impressionism": 1.5, "neon": 1.5,
}  # fmt: skip
"""How often a look is drawn beside the others: those that the judge missed most come up more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`photos`, `first`, `second`: image (B, 3, S, S) in [-1, 1]; `looks`: int64 (B, 2).

    `first` and `second` are two paintings of the same photograph; `looks` says in which looks.
    `corners`: int64 (B, 2), where the window lies in its crop: top and left in pixels.
    """

    photos: Tensor
    first: Tensor
    second: Tensor
    looks: Tensor
    corners: Tensor


def image(pixels: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (B, H, W, 3) -> image (B, 3, H, W) in [-1, 1], channels last in memory."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


class Batches:
    """Draws batches from the pairs; the same seed and step give the same batch."""

    def __init__(self, pairs: Pairs, size: int, device: torch.device, seed: int) -> None:
        self._pairs = pairs
        self._size = size
        self._device = device
        self._seed = seed
        self._practice = np.array([PRACTICE.get(style.prompt, 1.0) for style in STYLES])

    def paired(self, step: int, *, window: int = WINDOW, twins: int = 0) -> Batch:
        """Photographs with sensor noise, and two clean paintings of each.

        Rows `twins` to `2 * twins` show what the rows before them show, up to `TWIN_SHIFT` px away.
        """
        random = np.random.default_rng((self._seed, step))
        indices = random.choice(self._pairs.rows, self._size)
        slots = [self._two_slots(index, random) for index in indices]
        corners = random.integers(0, CROP - window + 1, (self._size, 2))
        if twins:
            indices[twins : 2 * twins], slots[twins : 2 * twins] = indices[:twins], slots[:twins]
            shift = random.integers(-TWIN_SHIFT, TWIN_SHIFT + 1, (twins, 2))
            corners[twins : 2 * twins] = np.clip(corners[:twins] + shift, 0, CROP - window)
        photos, first, second = [], [], []
        for index, (a, b), (top, left) in zip(indices, slots, corners, strict=True):
            area = np.s_[top : top + window, left : left + window]
            photo = self._pairs.photos[index][area]
            if random.random() < 0.5:
                photo = add_sensor_noise(photo, random)
            photos.append(photo)
            first.append(self._pairs.targets[index, a][area])
            second.append(self._pairs.targets[index, b][area])
        looks = np.stack([self._pairs.looks[i, s] for i, s in zip(indices, slots, strict=True)])
        return Batch(
            image(np.stack(photos), self._device),
            image(np.stack(first), self._device),
            image(np.stack(second), self._device),
            torch.from_numpy(looks.astype(np.int64)).to(self._device),
            torch.from_numpy(corners),
        )

    def _two_slots(self, index: int, random: np.random.Generator) -> np.ndarray:
        """Two of a crop's paintings, harder looks more often."""
        weight = self._practice[self._pairs.looks[index]]
        return random.choice(len(weight), 2, replace=False, p=weight / weight.sum())

    def pictures(self, step: int, *, window: int) -> Tensor:
        """Half photographs, half paintings, for the autoencoder: image (B, 3, window, window)."""
        random = np.random.default_rng((self._seed, step))
        rows = []
        for k, index in enumerate(random.choice(self._pairs.rows, self._size)):
            top, left = random.integers(0, CROP - window + 1, 2)
            area = np.s_[top : top + window, left : left + window]
            slot = int(random.integers(self._pairs.looks.shape[1]))
            rows.append(
                (self._pairs.photos[index] if k % 2 else self._pairs.targets[index, slot])[area]
            )
        return image(np.stack(rows), self._device)


def add_sensor_noise(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """uint8 in, uint8 out: Gaussian noise of a random strength up to `NOISE_LEVELS`."""
    noise = random.standard_normal(photo.shape, np.float32) * random.uniform(0.5, NOISE_LEVELS)
    return np.asarray(np.rint(np.clip(photo + noise, 0, 255)), np.uint8)
