"""Orientation: the display matrix of a video, as flips and a swap of the axes. Pure NumPy.

A matrix ``[a b u; c d v; x y w]`` shows the pixel (p, q) at (a p + c q, b p + d q), x to the right
and y downwards; only quarter turns and mirrors are pictures of the same pixels.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stream.frame import Size

MATRIX_FORMAT = "=9i"


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels become upright ones: first the axes are swapped, then flipped."""

    swapped: bool = False
    flipped_x: bool = False
    flipped_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: bytes) -> "Orientation":
        """The orientation that a display matrix (36 bytes of side data) asks for.

        Raises:
            ValueError: It turns by something else than a quarter turn.
        """
        a, b, _, c, d, *_ = struct.unpack(MATRIX_FORMAT, matrix)
        if a and d and not b and not c:
            return cls(flipped_x=a < 0, flipped_y=d < 0)
        if b and c and not a and not d:
            return cls(swapped=True, flipped_x=c < 0, flipped_y=b < 0)
        raise ValueError(f"got the display matrix [{a} {b}; {c} {d}], expected a quarter turn")

    def apply(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright picture of (H, W, 3), C-contiguous."""
        if self.swapped:
            data = data.transpose(1, 0, 2)
        if self.flipped_x:
            data = data[:, ::-1]
        if self.flipped_y:
            data = data[::-1]
        return np.ascontiguousarray(data)

    def size(self, size: Size) -> Size:
        """The (width, height) of the upright picture."""
        return (size[1], size[0]) if self.swapped else size

    def aspect_ratio(self, sample_aspect_ratio: Fraction) -> Fraction:
        """The upright picture's width of a pixel over its height."""
        return 1 / sample_aspect_ratio if self.swapped else sample_aspect_ratio
