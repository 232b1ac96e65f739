"""Mixing: blends a new painting with the warped history, only around the cells that changed.

    shown ──► pulled along the flow ──┐
    painted ──────────────────────────┴─► blend ──► restore ──► open cells of it over what was shown

Cells that are not open keep their bytes, so whatever lies far from open ones is not computed.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size
from stream.temporal import blend
from stream.temporal.buffers import Buffers
from stream.temporal.settings import DEFAULTS, TemporalSettings

Floats = NDArray[np.float32]
Data = NDArray[np.uint8]

MARGIN_CELLS = 3
"""So far reaches what is interpolated, or compared with its surroundings."""


class History(NamedTuple):
    """What the new frame keeps of the last picture.

    Attributes:
        weight: float32 (H/k, W/k), its share of each pixel.
        flow: Backward flow, float32 (H/k, W/k, 2); ``None`` where nothing moved.
        copied: uint8 (h, w), 1 in cells that keep their bytes; ``None`` where none do.
        sure: float32 (H/k, W/k), how sure the flow is; ``None`` where there is none.
    """

    weight: Floats
    flow: Floats | None
    copied: Data | None
    sure: Floats | None = None


class Box(NamedTuple):
    """A rectangle of cells in a grid (w, h)."""

    left: int
    top: int
    width: int
    height: int
    grid: Size

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The part of an array (H, W, ...) of whole pixels a cell; a view."""
        across, down = values.shape[1] // self.grid[0], values.shape[0] // self.grid[1]
        rows = slice(self.top * down, (self.top + self.height) * down)
        return values[rows, self.left * across : (self.left + self.width) * across]

    def corner_px(self, values: NDArray[Any]) -> tuple[int, int]:
        """(x, y) of its first pixel in such an array."""
        across, down = values.shape[1] // self.grid[0], values.shape[0] // self.grid[1]
        return self.left * across, self.top * down


class Mixer:
    """Mixes pictures of one stream. Keeps buffers, no history. Not thread-safe."""

    def __init__(self, settings: TemporalSettings = DEFAULTS) -> None:
        self._settings = settings
        self._buffers = Buffers()

    def mix(self, shown: Data, painted: Data, history: History, grid: Size) -> Data:
        """The next picture, uint8 (H, W, 3), in memory of its own.

        Args:
            shown: The last picture.
            painted: What the model made of this frame; of the same size.
            history: What of `shown` is kept.
            grid: (w, h), how many cells there are.
        """
        weight, flow, copied = history.weight, history.flow, history.copied
        if copied is None:
            return self._blended(shown, painted, weight, flow, Box(0, 0, *grid, grid))
        box = _around_open(copied, weight.shape)
        flow = None if flow is None else box.of(flow)
        mixed = self._blended(shown, box.of(painted), box.of(weight), flow, box)
        is_open = 1 - box.of(copied)
        mask = cv2.resize(is_open, mixed.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        whole = shown.copy()
        cv2.copyTo(mixed, mask, box.of(whole))
        return whole

    def _blended(
        self, shown: Data, painted: Data, weight: Floats, flow: Floats | None, box: Box
    ) -> Data:
        """The mixture within the box; all but `shown` are of its size."""
        grid = box.width, box.height
        if flow is None:
            old = box.of(shown)
        else:
            size = painted.shape[1], painted.shape[0]
            old = blend.pulled(shown, flow, self._buffers, to=size, at=box.corner_px(shown))
        agreed = blend.agreement(old, painted, grid, self._settings.agree_levels)
        agreed = np.asarray(cv2.resize(agreed, weight.shape[::-1]), dtype=np.float32)
        kept = weight * agreed
        mixed = blend.blend(old, painted, kept, self._buffers)
        blend.restore(mixed, painted, kept, self._buffers, self._settings.most_contrast)
        return mixed


def _around_open(copied: Data, shape: tuple[int, ...]) -> Box:
    """The cells that are open and those around; all of them if arrays of `shape` split cells."""
    height, width = copied.shape
    if shape[0] % height or shape[1] % width:
        return Box(0, 0, width, height, (width, height))
    left, top, across, down = cv2.boundingRect(1 - copied)
    right, bottom = left + across + MARGIN_CELLS, top + down + MARGIN_CELLS
    left, top = max(left - MARGIN_CELLS, 0), max(top - MARGIN_CELLS, 0)
    return Box(left, top, min(right, width) - left, min(bottom, height) - top, (width, height))
