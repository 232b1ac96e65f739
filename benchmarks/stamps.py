"""Pictures that tell their number, for `latency.py`, in marks that survive H.264."""

import numpy as np
from numpy.typing import NDArray

BITS = 16
BLOCK_PX = 32
BLACK, WHITE = 16, 235
THRESHOLD = 160
MARKER_PX = 64
MARKER_TOP_PX = 200
STEP_PX = 4
LEAST_X_PX = 40
RANGE_PX = 480
"""The square's journey: four pixels a frame, begun anew every five seconds."""


def stamp(data: NDArray[np.uint8], number: int) -> None:
    """Write a number as a row of black and white blocks along the top, and its parity."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    for index, bit in enumerate([*bits, sum(bits) % 2]):
        data[:BLOCK_PX, index * BLOCK_PX : (index + 1) * BLOCK_PX] = WHITE if bit else BLACK


def draw_marker(data: NDArray[np.uint8], number: int) -> None:
    """A checkered square that moves on with every frame, for pictures that are moved."""
    x = LEAST_X_PX + number * STEP_PX % RANGE_PX
    rows = slice(MARKER_TOP_PX, MARKER_TOP_PX + MARKER_PX)
    data[rows, x : x + MARKER_PX] = WHITE
    quarter = MARKER_PX // 4
    data[MARKER_TOP_PX + quarter : MARKER_TOP_PX + 2 * quarter, x + quarter : x + 2 * quarter] = (
        BLACK
    )


def marker_lag(data: NDArray[np.uint8], latest: int) -> float | None:
    """How many frames the square is behind where frame `latest` has it; ``None`` if it is torn."""
    band = data[MARKER_TOP_PX : MARKER_TOP_PX + MARKER_PX // 8, :, 0]
    columns = np.flatnonzero(band.mean(axis=0) > THRESHOLD)
    if columns.size < MARKER_PX // 2 or columns[-1] - columns[0] > MARKER_PX * 1.2:
        return None
    x = columns.mean() - (MARKER_PX - 1) / 2 - LEAST_X_PX
    return float((latest * STEP_PX % RANGE_PX - x + STEP_PX) % RANGE_PX - STEP_PX) / STEP_PX


def read_stamp(data: NDArray[np.uint8]) -> int | None:
    """The number, or ``None`` where the blocks do not add up (a picture between two frames)."""
    middle = BLOCK_PX // 2
    bits = [int(data[middle, index * BLOCK_PX + middle].mean() > 128) for index in range(BITS + 1)]
    if sum(bits[:-1]) % 2 != bits[-1]:
        return None
    return sum(bit << index for index, bit in enumerate(bits[:-1]))
