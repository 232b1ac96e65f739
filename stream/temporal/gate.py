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

LEAST_SIDE_PX = 192
"""Pictures are reduced to a short side of this or more before they are compared: a quarter of the
time, and half the noise."""

LEAST_NOISE, MOST_NOISE = 0.3, 6.0
"""Bounds of the estimated noise, in levels (standard deviation of a pixel as reduced)."""

STILL_PERCENT, FLAT_PERCENT = 25, 10
"""Share of the cells that is taken as still, and as without texture, to estimate the noise."""

NORMAL_CHANGE = 2 / np.pi**0.5
"""E|a - b| of two N(0, 1): what noise of 1 does to the mean change of a cell's pixels."""

NORMAL_LAPLACIAN = 6 * (2 / np.pi) ** 0.5
"""E|a * LAPLACIAN| of N(0, 1) (Immerkær, Fast Noise Variance Estimation, 1996, equation 8)."""

LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)

MEAN_OF_NINE = np.full((3, 3), 1 / 9, dtype=np.float32)

TOLERANCE = 1.0
"""Levels by which a cell may always differ: rounding, and the codec's."""

SIGMAS = 5.0
"""Standard deviations of what noise alone does, that a cell may differ by."""

SPREAD = (2 - 4 / np.pi) ** 0.5
"""Standard deviation of |a - b| of two N(0, 1)."""

SOFTNESS = 2.0
"""Levels past the tolerance over which confidence falls to 1/e."""


class Look(NamedTuple):
    """What the gate keeps of one frame.

    Attributes:
        cells: float32 (h, w, 3), mean Y, Cr, Cb of every cell.
        luma: uint8 (H/k, W/k), the reduced frame's Y.
    """

    cells: Floats
    luma: NDArray[np.uint8]

    @property
    def grid(self) -> Size:
        """(w, h), how many cells there are."""
        return self.cells.shape[1], self.cells.shape[0]

    @property
    def cell_px(self) -> float:
        """Pixels of `luma` in a cell."""
        return self.luma.size / (self.grid[0] * self.grid[1])


def look_at(data: NDArray[np.uint8], grid: Size) -> Look:
    """Reduce uint8 RGB (H, W, 3) to what the gate compares.

    Args:
        data: The picture at the model's size.
        grid: (w, h), how many cells there are: the size of the latents.
    """
    height, width = data.shape[:2]
    by = _reduction((width, height), grid)
    small = cv2.resize(data, (width // by, height // by), interpolation=cv2.INTER_AREA)
    ycrcb = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)
    return Look(_block_means(ycrcb, grid), np.ascontiguousarray(ycrcb[..., 0]))


def mean_change(now: Floats, then: Floats) -> Floats:
    """How far the mean colour of every cell (h, w, 3) has moved: (h, w), in levels."""
    return np.asarray(np.abs(now - then) @ CHANNEL_WEIGHTS, dtype=np.float32)


def pixel_change(now: NDArray[np.uint8], then: NDArray[np.uint8], grid: Size) -> Floats:
    """Mean absolute change of the pixels of every cell: (h, w), in levels."""
    return _block_means(np.asarray(cv2.absdiff(now, then), dtype=np.uint8), grid)


def sensor_noise(luma: NDArray[np.uint8], pixels: Floats) -> float:
    """Standard deviation of a pixel's noise, in levels.

    The smaller of two estimates: from the change of the stillest quarter of the cells (too large
    when everything moves) and from the grain of the flattest tenth (too large when everything is
    texture).

    Args:
        luma: uint8 (H, W) of the frame.
        pixels: (h, w), mean absolute change of every cell's pixels since the frame before.
    """
    grid = pixels.shape[1], pixels.shape[0]
    grain = np.abs(cv2.filter2D(luma, cv2.CV_16S, LAPLACIAN)).astype(np.uint16)
    flat = np.percentile(cv2.resize(grain, grid, interpolation=cv2.INTER_AREA), FLAT_PERCENT)
    still = np.percentile(pixels, STILL_PERCENT)
    noise = min(float(flat / NORMAL_LAPLACIAN), float(still / NORMAL_CHANGE))
    return min(max(noise, LEAST_NOISE), MOST_NOISE)


def confidence(means: Floats, pixels: Floats, noise: float, cell_px: float) -> Floats:
    """How sure it is that a cell still shows what it did: (h, w) in [0, 1], without hard seams.

    A cell that has changed pulls its neighbours down with it (their pixels are painted from one
    neighbourhood), and the result is smoothed; a cell is never trusted more than it was alone.

    Args:
        means: Change of every cell's mean since its history was painted, from `mean_change`.
        pixels: Change of its pixels since the frame before, from `pixel_change`.
        noise: From `sensor_noise`.
        cell_px: Pixels in a cell.
    """
    mean_limit = TOLERANCE + SIGMAS * noise * (2 / cell_px) ** 0.5
    pixel_limit = TOLERANCE + noise * (NORMAL_CHANGE + SIGMAS * SPREAD / cell_px**0.5)
    excess = np.maximum(means - np.float32(mean_limit), pixels - np.float32(pixel_limit))
    alone = np.exp(-np.square(excess.clip(min=0) / np.float32(SOFTNESS)))
    around = cv2.erode(alone, np.ones((3, 3), np.uint8))
    # the mean of minima that each include the cell itself: never more than the cell's own value
    # (not cv2.blur, whose running sums drift below 0)
    smooth = cv2.filter2D(around, cv2.CV_32F, MEAN_OF_NINE, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, dtype=np.float32)


def _reduction(size: Size, grid: Size) -> int:
    """By how much to shrink: whole pixels a cell, and enough of them in all."""
    cell_px = size[0] // grid[0]
    fits = [by for by in (4, 2) if cell_px % by == 0 and min(size) // by >= LEAST_SIDE_PX]
    return fits[0] if fits else 1


def _block_means(values: NDArray[np.uint8], grid: Size) -> Floats:
    """Means over cells in 1/256 levels: in uint8 they would be rounded to whole ones."""
    fine = values.astype(np.uint16)
    fine *= 256
    means = cv2.resize(fine, grid, interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32) / np.float32(256)
