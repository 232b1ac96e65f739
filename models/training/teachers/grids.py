"""Looks on a grid whose period divides 16 px of the painting: pixel art, cross-stitch."""

import cv2
import numpy as np

from models.training.teachers.color import (
    Plane,
    blur,
    graded,
    inks,
    mix,
    oklab,
    relief,
    rgb_of,
    smoothstep,
)
from models.training.teachers.prints import steps
from models.training.teachers.sketch import Sketch

CELL = 8
"""Pixels of the painting a side of a cell."""


def cells_of(plane: Plane, cell: int = CELL) -> Plane:
    """The mean of each cell."""
    size = plane.shape[1] // cell, plane.shape[0] // cell
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def blocks(small: Plane, cell: int = CELL) -> Plane:
    """Each cell as a square of one value."""
    return np.repeat(np.repeat(small, cell, 0), cell, 1)


def pixel_art(sketch: Sketch) -> Plane:
    """Squares of 8 px, few colours dithered in squares, dark outlines of one square."""
    lab = graded(sketch.flat_lab(3), 1.6, 1.15, 0.6, local=0.15, sigma=24)
    small = oklab(cells_of(rgb_of(lab)))
    light = small[..., 0]
    rows, columns = np.indices(light.shape)
    dither = np.asarray((rows + columns) % 2 - 0.5, np.float32)
    level = np.round((light + 0.030 * dither) / 0.11) * 0.11
    ab = np.round((small[..., 1:] + 0.006 * dither[..., None]) / 0.030) * 0.030
    kernel = np.ones((3, 3), np.uint8)
    dark = (cv2.dilate(light, kernel) - light > 0.16) & (light - cv2.erode(light, kernel) < 0.08)
    level = np.where(dark, level * 0.45, level)
    picture = blocks(rgb_of(np.dstack([level, ab]).astype(np.float32)))
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    gap = np.asarray((rows % CELL == 0) | (columns % CELL == 0), np.float32)
    return np.asarray(picture * (1 - 0.10 * gap[..., None]), np.float32)


def cross_stitch(sketch: Sketch) -> Plane:
    """A cross of two threads in each cell of 16 px at half pitch, over linen."""
    lab = graded(sketch.flat_lab(3), 1.9, 1.3, 0.64, local=0.35, sigma=24)
    small = oklab(cells_of(rgb_of(lab)))
    small[..., 0] = small[..., 0] + 0.22 * (small[..., 0] - blur(small[..., 0], 1.0))
    small[..., 0] = steps(np.clip(small[..., 0], 0, 1), 7, 0.2) + 0.05
    small[..., 1:] = np.round(small[..., 1:] / 0.03) * 0.03
    picture = blocks(rgb_of(small))
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    u = (columns % CELL + 0.5) / CELL - 0.5
    v = (rows % CELL + 0.5) / CELL - 0.5
    under, under_twist = _leg(u, v, 1)
    over, over_twist = _leg(u, v, -1)
    on_top = over > 0.05
    height = np.where(on_top, over + 0.15, under)
    twist = np.where(on_top, over_twist, under_twist)
    weave = np.cos(columns * np.float32(np.pi / 2)) * np.cos(rows * np.float32(np.pi / 2))
    cloth = inks("efe8da")[0] * (0.86 + 0.10 * weave[..., None])
    ground = cloth * picture * np.float32(0.55) + cloth * np.float32(0.06)
    thread = picture * (0.66 + 0.34 * height + 0.12 * twist)[..., None]
    share = smoothstep(0.05, 0.40, np.maximum(under, over))
    stitched = mix(np.asarray(ground, np.float32), np.asarray(thread, np.float32), share)
    return relief(stitched, blur(height.astype(np.float32), 0.7) * np.float32(1.3), 0.6, gloss=0.06)


def _leg(u: Plane, v: Plane, sign: int) -> tuple[Plane, Plane]:
    """Height and twist of one thread of the cross."""
    across = (u + sign * v) / np.float32(2**0.5)
    along = (u - sign * v) / np.float32(2**0.5)
    round_ = np.clip(1 - (across / 0.18) ** 2, 0, 1) * (1 - smoothstep(0.58, 0.70, np.abs(along)))
    twist = 0.5 + 0.5 * np.cos(along * np.float32(2 * np.pi * 4.5) + across * 16)
    return np.sqrt(round_).astype(np.float32), twist.astype(np.float32)
