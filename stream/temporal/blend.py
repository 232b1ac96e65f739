"""Blend: yesterday's paint, moved to where its thing is now, mixed with today's. Pure functions.

    x~_t = a · W(x~_{t-1}, w) + (1 - a) · x_t,     a = confidence · exp(-dt / tau)

x_t is what the model made of frame t alone; W pulls the last shown picture along the flow w.
Pictures are blended, not latents: a latent position is a block of pixels, and moving it by a part
of a block is not what the decoder makes of a moved picture. Two guards follow: where the two
paintings disagree by more than flicker the old one is dropped, and the fine contrast that averaging
has cost is given back.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size

Floats = NDArray[np.float32]
Data = NDArray[np.uint8]

STABILITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
TIME_CONSTANTS_S = (0.0, 0.030, 0.060, 0.100, 0.160)
"""tau at each of the stabilities above; linear in between."""

AGREE_LEVELS, AGREE_SOFTNESS = 10.0, 10.0
"""Levels by which the mean of a cell's old and new paint may differ, and over which the old one's
weight falls to 1/e beyond: a colour that really changed, or a ghost."""

LEAST_GAIN, MOST_GAIN = 0.8, 1.6
"""Fine contrast is changed by this at most: beyond, grain would be raised."""

LEAST_LOSS = 0.01
"""Less is not worth two passes over the picture."""

SHARPEN = 1.3
"""Weight of (picture - its 3x3 blur) that raises the mean Laplacian by 100 %, about."""

AROUND_CELLS = 5
"""Side of the neighbourhood whose fine contrast is compared."""


def check_stability(stability: float) -> float:
    """Return `stability`.

    Raises:
        ValueError: It is outside [0, 1].
    """
    if not 0 <= stability <= 1:
        raise ValueError(f"got stability={stability}, expected 0 to 1")
    return stability


def history_weight(dt_s: float, stability: float) -> float:
    """exp(-dt/tau): the share of the history that is left after `dt_s`, at any frame rate."""
    tau_s = float(np.interp(stability, STABILITIES, TIME_CONSTANTS_S))
    return float(np.exp(-dt_s / tau_s)) if tau_s > 0 else 0.0


def pulled(shown: Data, flow: Floats, positions: Floats) -> Data:
    """The picture (H, W, 3) moved along a backward flow of a reduced size.

    Args:
        shown: uint8 RGB.
        flow: float32 (H/k, W/k, 2) in pixels of its own size.
        positions: x and y of every pixel of `shown`, float32 (H, W, 2).
    """
    height, width = shown.shape[:2]
    by = width / flow.shape[1]
    if by != 1:
        flow = np.asarray(cv2.resize(flow, (width, height)), dtype=np.float32) * np.float32(by)
    source = positions + flow
    x, y = source[..., 0], source[..., 1]
    moved = cv2.remap(shown, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.uint8)


def agreement(old: Data, new: Data, grid: Size) -> Floats:
    """How much of the old paint may stay by its looks alone: (h, w) in [0, 1]."""
    means = [
        np.asarray(cv2.resize(data, grid, interpolation=cv2.INTER_AREA), dtype=np.float32)
        for data in (old, new)
    ]
    excess = np.maximum(np.abs(means[0] - means[1]).max(axis=2) - np.float32(AGREE_LEVELS), 0)
    return np.asarray(np.exp(-np.square(excess / np.float32(AGREE_SOFTNESS))), dtype=np.float32)


def blend(old: Data, new: Data, weight: Floats) -> Data:
    """weight * old + (1 - weight) * new; exactly one of them where weight is 1 or 0.

    Args:
        old, new: uint8 (H, W, 3).
        weight: float32 (H, W) in [0, 1].
    """
    return np.asarray(cv2.blendLinear(old, new, weight, 1 - weight), dtype=np.uint8)


def restored(mixed: Data, new: Data, grid: Size) -> Data:
    """The mixture with the fine contrast that the new paint has: averaging takes it away.

    The ratio of the mean Laplacians says, cell by cell, how much was lost.
    """
    gain = np.clip(_fine(new, grid) / np.maximum(_fine(mixed, grid), 0.5), LEAST_GAIN, MOST_GAIN)
    loss = np.asarray(gain - 1, dtype=np.float32)
    if not (np.abs(loss) > LEAST_LOSS).any():
        return mixed
    amount = cv2.resize(loss * np.float32(SHARPEN), mixed.shape[1::-1])
    soft = cv2.GaussianBlur(mixed, (3, 3), 0)
    return np.asarray(cv2.blendLinear(mixed, soft, 1 + amount, -amount), dtype=np.uint8)


def _fine(data: Data, grid: Size) -> Floats:
    """Mean absolute Laplacian of green, the most of luma, in every cell."""
    green = np.ascontiguousarray(data[..., 1])
    fine = cv2.convertScaleAbs(cv2.Laplacian(green, cv2.CV_16S))
    cells = cv2.resize(fine.astype(np.float32), grid, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.blur(cells, (AROUND_CELLS, AROUND_CELLS)), dtype=np.float32)
