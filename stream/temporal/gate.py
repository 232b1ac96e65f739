"""Gate: which cells of a picture still look as they did. Pure functions on the host.

A *cell* is the block of pixels behind one latent position. A cell may keep its paint only if
neither its mean colour has left that of the history (slow drift, light) nor its pixels have left
those of the frame before (a texture that moves without changing its mean). Both are judged against
the sensor's noise, which is estimated from the same differences.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size

Floats = NDArray[np.float32]

CHANNEL_WEIGHTS = np.array([0.6, 0.2, 0.2], dtype=np.float32)
"""Y, Cr, Cb: what a change of each counts."""

LEAST_NOISE, MOST_NOISE = 0.5, 8.0
"""Bounds of the estimated sensor noise, in levels (standard deviation of a pixel)."""

STILL_PERCENT, FLAT_PERCENT = 25, 10
"""Share of the cells that is taken as still, and as without texture, to estimate the noise."""

NORMAL_CHANGE = 2 / np.pi**0.5
"""E|a - b| of two N(0, 1): what noise of 1 does to the mean change of a cell's pixels."""

NORMAL_LAPLACIAN = 6 * (2 / np.pi) ** 0.5
"""E|a * LAPLACIAN| of N(0, 1) (Immerkær, Fast Noise Variance Estimation, 1996, equation 8)."""

LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)

MEAN_TOLERANCE, MEAN_SIGMAS = 1.0, 5.5
"""A cell's mean has left when it differs by more than this many levels and this many standard
deviations of the noise that remains in the mean."""

PIXEL_TOLERANCE, PIXEL_NOISE = 1.0, 1.75
"""Likewise for the mean absolute change of its pixels: noise alone gives 1.13 of its standard
deviation, and with 64 pixels never 1.75."""

SOFTNESS = 2.0
"""Levels past the tolerance over which confidence falls to 1/e."""


class Look(NamedTuple):
    """What the gate keeps of one frame.

    Attributes:
        cells: float32 (h, w, 3), mean Y, Cr, Cb of every cell.
        luma: uint8 (H, W), the frame's Y.
    """

    cells: Floats
    luma: NDArray[np.uint8]


def look_at(data: NDArray[np.uint8], grid: Size) -> Look:
    """Reduce uint8 RGB (H, W, 3) to what the gate compares.

    Args:
        data: The picture at the model's size.
        grid: (w, h), how many cells there are: the size of the latents.
    """
    ycrcb = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)
    luma = np.ascontiguousarray(ycrcb[..., 0])
    return Look(_block_means(ycrcb, grid), luma)


def change(now: Look, then: Look) -> tuple[Floats, Floats]:
    """Change of every cell's mean colour, and mean change of its pixels: (h, w) each, in levels."""
    grid = now.cells.shape[1], now.cells.shape[0]
    mean = np.abs(now.cells - then.cells) @ CHANNEL_WEIGHTS
    moved = np.asarray(cv2.absdiff(now.luma, then.luma), dtype=np.uint8)
    return np.asarray(mean, dtype=np.float32), _block_means(moved, grid)


def sensor_noise(luma: NDArray[np.uint8], pixel_change: Floats) -> float:
    """Standard deviation of a pixel's noise, in levels.

    The smaller of two estimates: from the change of the stillest quarter of the cells (too large
    when everything moves) and from the grain of the flattest tenth (too large when everything is
    texture).

    Args:
        luma: uint8 (H, W) of the frame.
        pixel_change: (h, w), mean absolute change of every cell's pixels since the frame before.
    """
    grid = pixel_change.shape[1], pixel_change.shape[0]
    grain = np.abs(cv2.filter2D(luma, cv2.CV_16S, LAPLACIAN)).astype(np.uint16)
    flat = np.percentile(cv2.resize(grain, grid, interpolation=cv2.INTER_AREA), FLAT_PERCENT)
    still = np.percentile(pixel_change, STILL_PERCENT)
    noise = min(float(flat / NORMAL_LAPLACIAN), float(still / NORMAL_CHANGE))
    return min(max(noise, LEAST_NOISE), MOST_NOISE)


def confidence(mean_change: Floats, pixel_change: Floats, noise: float, cell_px: float) -> Floats:
    """How sure it is that a cell still shows what it did: (h, w) in [0, 1], without hard seams.

    A cell that has changed pulls its neighbours down with it (their pixels are painted from one
    neighbourhood), and the result is smoothed; a cell is never trusted more than it was alone.
    """
    mean_limit = np.float32(MEAN_TOLERANCE + MEAN_SIGMAS * noise * (2 / cell_px) ** 0.5)
    pixel_limit = np.float32(PIXEL_TOLERANCE + PIXEL_NOISE * noise)
    excess = np.maximum(mean_change - mean_limit, pixel_change - pixel_limit).clip(min=0)
    alone = np.exp(-np.square(excess / np.float32(SOFTNESS)))
    around = cv2.erode(alone, np.ones((3, 3), np.uint8))
    # the mean of minima that each include the cell itself: never more than the cell's own value
    return np.asarray(cv2.blur(around, (3, 3), borderType=cv2.BORDER_REPLICATE), dtype=np.float32)


def _block_means(values: NDArray[np.uint8], grid: Size) -> Floats:
    """Means over blocks in 1/256 levels: in uint8 they would be rounded to whole ones."""
    fine = values.astype(np.uint16)
    fine *= 256
    means = cv2.resize(fine, grid, interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32) / np.float32(256)
