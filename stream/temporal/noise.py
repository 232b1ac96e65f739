"""Noise: where each place takes its noise from, so that strokes move along with their things.

Moved by `models.moved_noise`; on a device, `models.temporal.noise` does the same.

    D_t(x) = D_{t-1}(x + w(x)) + w(x)      noise_t(x) = noise_0(x + round(D_t(x)))

w is the backward flow. What was never moved keeps its own noise, and so do things that come into
sight. Numbers are taken, never mixed, so the noise stays gaussian; where flow has stretched or
squeezed it too far it starts anew. Places are in steps of 2 px of the frame, a quarter of a latent
cell.
"""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size
from stream.temporal.mixing import History

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

REPLICATE = cv2.BORDER_REPLICATE
NO_MAP: Any = None
"""Both coordinates are in the first map of a remap; OpenCV's stub knows no None."""

PLACES_A_CELL = 4
"""Places along each side of a latent cell."""

LEAST_SURE = 0.35
"""Less sure motion than this carries no noise."""

LEAST_AREA, MOST_AREA = 0.5, 2.0
"""How far the flow may have squeezed or stretched the noise, as a ratio of areas."""


def carried(shift: Floats | None, history: History | None, grid: Size) -> Floats | None:
    """D for the next frame, float32 (4 h, 4 w, 2) in places; ``None`` where nothing ever moved.

    Args:
        shift: D of the frame before.
        history: Of the next frame: its backward flow, and how sure it is.
        grid: (w, h) of the latents.
    """
    if history is None or history.flow is None:
        return shift
    size = PLACES_A_CELL * grid[0], PLACES_A_CELL * grid[1]
    height, width = history.flow.shape[:2]
    moved = np.asarray(cv2.resize(history.flow, size), dtype=np.float32)
    if (width, height) != size:
        moved *= np.array([size[0] / width, size[1] / height], np.float32)
    if shift is not None:
        source = moved + _positions(size)
        before = cv2.remap(shift, source, NO_MAP, cv2.INTER_LINEAR, borderMode=REPLICATE)
        moved += before
    starts = _is_distorted(moved)
    if history.sure is not None:
        starts |= np.asarray(cv2.resize(history.sure, size), dtype=np.float32) < LEAST_SURE
    np.copyto(moved, 0, where=starts[..., np.newaxis])
    return moved


def places(shift: Floats) -> Places:
    """For each place at half the frame's size the x and y that its noise comes from, int64."""
    height, width = shift.shape[:2]
    return (np.rint(shift) + _positions((width, height))).astype(np.int64)


@lru_cache(maxsize=4)
def _positions(size: Size) -> Floats:
    """x and y of every place, float32 (h, w, 2); not to be written to."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    return np.stack([x, y], axis=-1)


def _is_distorted(shift: Floats) -> NDArray[np.bool_]:
    along = cv2.Sobel(shift, -1, 1, 0, scale=1 / 8)
    down = cv2.Sobel(shift, -1, 0, 1, scale=1 / 8)
    (x_along, y_along), (x_down, y_down) = cv2.split(along), cv2.split(down)
    area = (1 + x_along) * (1 + y_down) - y_along * x_down
    return np.asarray((area < LEAST_AREA) | (area > MOST_AREA))
