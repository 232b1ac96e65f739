"""Gate: finds the cells of a picture that have not changed since they were painted. Pure functions.

A *cell* is the block of pixels behind one latent position. A cell keeps its paint while its mean
colour and its pixels differ from the frame it was painted from by no more than sensor noise and a
change of light explain. The reference is that frame and not the previous one, so that slow changes
add up and are seen.
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

FLAT_SHARE = 0.83
"""What the flattest tenth of the cells shows of noise that is the same in all of them."""

NORMAL_CHANGE = 2 / np.pi**0.5
"""E|a - b| of two N(0, 1): what noise of 1 does to the mean change of a cell's pixels."""

NORMAL_LAPLACIAN = 6 * (2 / np.pi) ** 0.5
"""E|a * LAPLACIAN| of N(0, 1) (Immerkær, Fast Noise Variance Estimation, 1996, equation 8)."""

LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)

TOLERANCE = 1.0
"""Levels by which a cell may always differ: rounding, and the codec's."""

SIGMAS = 5.0
"""Standard deviations of what noise alone does, that a cell may differ by."""

SPREAD = (2 - 4 / np.pi) ** 0.5
"""Standard deviation of |a - b| of two N(0, 1)."""

LEAST_GAIN, LEAST_OFFSET = 0.004, 0.25
"""A change of light below both is none."""

AGREEING = 3.0
"""Times the median difference that a cell may differ by and still tell of the light."""

EXPOSURE_ROUNDS = 2
"""Fits of gain and offset, each to the cells that agree with the one before."""

MANY_CELLS = 1024
"""Of more cells than these, every second one each way is used to measure the light."""

LEAST_SPREAD = 4.0
"""Variance of the cells' luma below which a gain cannot be told from an offset."""


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


class Seen(NamedTuple):
    """One frame as it is compared.

    Attributes:
        small: uint8 RGB (H/k, W/k, 3), reduced.
        look: What of it is compared with later frames.
    """

    small: NDArray[np.uint8]
    look: Look


def reduced(data: NDArray[np.uint8], grid: Size) -> NDArray[np.uint8]:
    """Shrink uint8 RGB (H, W, 3) of `grid` cells to the size at which pictures are compared."""
    height, width = data.shape[:2]
    by = _reduction((width, height), grid)
    if by == 1:
        return data
    size = width // by, height // by
    return np.asarray(cv2.resize(data, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def see(data: NDArray[np.uint8], grid: Size) -> Seen:
    """Reduce uint8 RGB (H, W, 3) to what the gate compares.

    Args:
        data: The picture at the model's size.
        grid: (w, h), how many cells there are: the size of the latents.
    """
    small = reduced(data, grid)
    ycrcb = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)
    luma = np.asarray(cv2.extractChannel(ycrcb, 0), dtype=np.uint8)
    return Seen(small, Look(_block_means(ycrcb, grid), luma))


def look_at(data: NDArray[np.uint8], grid: Size) -> Look:
    """The look alone, of what `see` takes."""
    return see(data, grid).look


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
    grain = cv2.convertScaleAbs(cv2.filter2D(luma, cv2.CV_16S, LAPLACIAN))  # flat cells: small
    grains = _block_means(np.asarray(grain, dtype=np.uint8), grid)
    flat = _percentile(grains, FLAT_PERCENT) / (NORMAL_LAPLACIAN * FLAT_SHARE)
    still = _percentile(pixels, STILL_PERCENT) / NORMAL_CHANGE
    return float(min(max(min(flat, still), LEAST_NOISE), MOST_NOISE))


def changed_cells(
    look: Look, reference: Look, noise: float, exposure: tuple[float, float] = (1.0, 0.0)
) -> NDArray[np.bool_]:
    """Cells (h, w) that no longer show what the reference shows.

    Neither a cell's mean nor its pixels may differ by more than noise explains.

    Args:
        look: This frame.
        reference: What the paint of each cell was made from.
        noise: From `sensor_noise`.
        exposure: From `exposure`: what the light alone has done since.
    """
    gain, offset = exposure
    luma, cells = reference.luma, reference.cells
    if abs(gain - 1) > LEAST_GAIN or abs(offset) > LEAST_OFFSET:
        luma = np.asarray(cv2.convertScaleAbs(luma, None, gain, offset), dtype=np.uint8)
        cells = cells.copy()
        cells[..., 0] = gain * cells[..., 0] + offset
    means = mean_change(look.cells, cells)
    pixels = pixel_change(look.luma, luma, look.grid)
    cell_px = look.cell_px
    mean_limit = TOLERANCE + SIGMAS * noise * (2 / cell_px) ** 0.5
    pixel_limit = TOLERANCE + noise * (NORMAL_CHANGE + SIGMAS * SPREAD / cell_px**0.5)
    return np.asarray((means > mean_limit) | (pixels > pixel_limit))


def exposure(now: Floats, then: Floats) -> tuple[float, float]:
    """Gain and offset of the light: luma of `now` is about gain * `then` + offset.

    Least squares over the cells (h, w, 3) that agree best, so that what moved has no say.
    """
    y, x = (_few(cells)[..., 0].ravel() for cells in (now, then))
    gain, offset = 1.0, _percentile(y - x, 50)
    for _ in range(EXPOSURE_ROUNDS):
        off = np.abs(y - np.float32(gain) * x - np.float32(offset))
        kept = (off <= AGREEING * _percentile(off, 50) + 1).astype(np.float32)
        count = float(kept.sum())
        x_mean, y_mean = float(kept @ x) / count, float(kept @ y) / count
        x_off, y_off = kept * (x - np.float32(x_mean)), y - np.float32(y_mean)
        spread = float(x_off @ x_off) / count
        if spread >= LEAST_SPREAD:
            gain = min(max(float(x_off @ y_off) / count / spread, 0.5), 2.0)
        offset = y_mean - gain * x_mean
    return gain, offset


def light_shift(exposure: tuple[float, float], then: Floats) -> float:
    """By how many levels the light has moved dark or bright cells, whichever more."""
    gain, offset = exposure
    lumas = np.sort(_few(then)[..., 0], axis=None)
    ends = lumas[[len(lumas) // 10, len(lumas) * 9 // 10]]
    return float(np.abs(gain * ends + offset - ends).max())


def texture(luma: NDArray[np.uint8], grid: Size) -> Floats:
    """Mean absolute gradient of every cell, in levels a pixel: (h, w)."""
    height, width = luma.shape
    steps = np.zeros_like(luma)
    if width > 1:  # OpenCV has no answer for no pixels
        steps[:, 1:] = cv2.absdiff(luma[:, 1:], luma[:, :-1])
    if height > 1:
        steps[1:] = np.maximum(steps[1:], cv2.absdiff(luma[1:], luma[:-1]))
    return _block_means(steps, grid)


def _reduction(size: Size, grid: Size) -> int:
    """By how much to shrink: whole pixels a cell, and enough of them in all."""
    cell_px = size[0] // grid[0]
    fits = [by for by in (4, 2) if cell_px % by == 0 and min(size) // by >= LEAST_SIDE_PX]
    return fits[0] if fits else 1


def _few(cells: Floats) -> Floats:
    """Every second cell each way, if there are many."""
    step = 2 if cells[..., 0].size > MANY_CELLS else 1
    return cells[::step, ::step]


def _percentile(values: NDArray[np.generic], percent: int) -> float:
    """The value that `percent` of the others are below. Equal values slow a partition down."""
    rank = (values.size - 1) * percent // 100
    return float(np.sort(values, axis=None)[rank])


def _block_means(values: NDArray[np.uint8], grid: Size) -> Floats:
    """Means over cells, float32 (h, w, ...): in uint8 they would be rounded to whole levels."""
    means = cv2.resize(values.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32)
