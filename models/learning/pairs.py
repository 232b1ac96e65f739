"""Frames and what was painted over them, as windows to learn from.

A corner of each pair is held out: no window touches it, and how near the look comes there says
when to stop. Of the four corners the one is taken whose colours are nearest to those of the rest,
so that what is only there is not lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.training.batches import CELL, SCALE, to_image

Picture = NDArray[np.uint8]
Size = tuple[int, int]

HELD_SIDE = 96
"""Of the held-out corner, in pixels of the frame; the painting has twice as many."""

SENSOR_NOISE = 0.012
"""Standard deviation of the noise laid over windows, of a range of 2."""

GAIN = 0.03
"""By how much windows are lighter or darker than the frame, at most."""

MOST_UNEVEN = 0.02
"""Difference of the two pictures' shapes that is taken for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One frame and its painting.

    Attributes:
        frame: image (1, 3, H, W): what the model sees.
        photo: image (1, 3, 2 H, 2 W): the same, finer.
        painting: image (1, 3, 2 H, 2 W).
        held: Top and left of the held-out corner in the frame.
    """

    frame: Tensor
    photo: Tensor
    painting: Tensor
    held: tuple[int, int]

    def held_of(self, image: Tensor) -> Tensor:
        """The held-out corner of an image of the painting's size."""
        top, left = (SCALE * v for v in self.held)
        return image[..., top : top + SCALE * HELD_SIDE, left : left + SCALE * HELD_SIDE]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of S px of frames, (B, 3, S, S), and of 2 S px of photographs and paintings."""

    frame: Tensor
    photo: Tensor
    painting: Tensor


def working_size(frame: Size, short_side_px: int, multiple_px: int) -> Size:
    """The size nearest to a frame's shape whose short side is about `short_side_px`."""
    scale = short_side_px / min(frame)
    width, height = (max(1, round(side * scale / multiple_px)) * multiple_px for side in frame)
    return width, height


def make_pair(frame: Picture, painting: Picture, size: Size) -> Pair:
    """A pair at the model's working size (width, height), multiples of 16.

    Args:
        frame, painting: uint8 RGB (H, W, 3) of one shape, of any size.

    Raises:
        ValueError: Their shapes differ.
    """
    (height, width), (painted_height, painted_width) = frame.shape[:2], painting.shape[:2]
    shapes = width / height, painted_width / painted_height
    if abs(shapes[0] / shapes[1] - 1) > MOST_UNEVEN:
        raise ValueError(
            f"got a painting of {painted_width}x{painted_height} for a frame of {width}x{height}, "
            "expected the same shape: paint over the frame itself"
        )
    large = SCALE * size[0], SCALE * size[1]
    seen, photo, painted = (
        to_image(resized(picture, side)[None])
        for picture, side in ((frame, size), (frame, large), (painting, large))
    )
    return Pair(seen, photo, painted, held_corner(seen))


def resized(picture: Picture, size: Size) -> Picture:
    """Averaged where it shrinks, cubic where it grows."""
    shrinks = picture.shape[1] > size[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def held_corner(frame: Tensor) -> tuple[int, int]:
    """Top and left of the corner whose colours the rest of the picture has too."""
    height, width = frame.shape[2:]
    corners = [(y, x) for y in (0, height - HELD_SIDE) for x in (0, width - HELD_SIDE)]
    squares = F.avg_pool2d(frame, CELL)[0].permute(1, 2, 0)
    lacks = []
    for top, left in corners:
        rows, columns = (slice(v // CELL, (v + HELD_SIDE) // CELL) for v in (top, left))
        inside = torch.zeros(squares.shape[:2], dtype=torch.bool)
        inside[rows, columns] = True
        lacks.append(torch.cdist(squares[inside], squares[~inside]).amin(1).mean().item())
    return corners[int(np.argmin(lacks))]


class Pairs:
    """Draws windows; the same seed and step give the same ones."""

    def __init__(self, pairs: Sequence[Pair], seed: int) -> None:
        self.pairs, self._seed = tuple(pairs), seed

    def draw(self, step: int, count: int, window: int) -> Windows:
        """Windows of `window` px, a multiple of 16, from anywhere but the held-out corners."""
        random = np.random.default_rng((self._seed, step))
        rows = []
        for _ in range(count):
            pair = self.pairs[int(random.integers(len(self.pairs)))]
            top, left = self._place(pair, window, random)
            area = np.s_[..., top : top + window, left : left + window]
            large = np.s_[
                ..., SCALE * top : SCALE * (top + window), SCALE * left : SCALE * (left + window)
            ]
            gain = 1 + random.uniform(-GAIN, GAIN)
            noise = torch.from_numpy(random.standard_normal((1, 3, window, window), np.float32))
            seen = pair.frame[area] * gain + SENSOR_NOISE * noise
            rows.append((seen.clamp(-1, 1), pair.photo[large], pair.painting[large]))
        return Windows(*(torch.cat(column) for column in zip(*rows, strict=True)))

    def _place(self, pair: Pair, window: int, random: np.random.Generator) -> tuple[int, int]:
        height, width = pair.frame.shape[2:]
        while True:
            top, left = (
                CELL * int(random.integers(0, (side - window) // CELL + 1))
                for side in (height, width)
            )
            beside = (
                abs(top + window / 2 - pair.held[0] - HELD_SIDE / 2),
                abs(left + window / 2 - pair.held[1] - HELD_SIDE / 2),
            )
            if max(beside) >= (window + HELD_SIDE) / 2:
                return top, left
