"""Geometry: at which size the model paints, at which size the result goes out, and the resizing.

    frame (source size) ──resize──► model size ──paint──► painted size ──resize──► output size

Sizes are (width, height) in pixels. Pure functions; no state, no I/O.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Size

MAX_AREA_RATIO = 4
"""The model never paints more pixels than this many squares of the short side: wider pictures
are painted with a smaller short side."""

MAX_LONG_RATIO = 8
"""Nor is its long side more than this many short sides; beyond, the picture is squeezed."""

MAX_SIDE_PX = 16384
"""Longest side that is taken for an output."""

NEARLY = 1.3
"""Ratio of sides up to which a shrinking picture is taken cubically: no pixel is passed over."""

FAR, MOST_UNEVEN = 3.0, 4.0
"""Ratio of sides beyond which a picture is halved first, and up to which it may be taken linearly
at twice its new size: each of its pixels still counts there."""

OutputSize = Literal["model", "source"] | Size
"""What the user may ask: the model's size, the source's, or a size of their own."""


def model_size(
    source_size: Size,
    short_side_px: int,
    multiple_px: int,
    sample_aspect_ratio: Fraction = Fraction(1),
) -> Size:
    """The size the model paints at: the picture's display aspect ratio, as near as can be.

    The model sees square pixels: a source of 720x576 whose pixels are 16/15 wide is painted as a
    4:3 picture. Both sides are multiples of `multiple_px`, at least one of it.

    Args:
        source_size: The frame's size in its own pixels.
        short_side_px: The short side asked for; rounded to a multiple.
        multiple_px: What the model's sides must be multiples of.
        sample_aspect_ratio: Width of a source pixel over its height.

    Raises:
        ValueError: A value is not positive.
    """
    if min(source_size) < 1 or short_side_px < 1 or multiple_px < 1 or sample_aspect_ratio <= 0:
        raise ValueError(
            f"got source_size={source_size}, short_side_px={short_side_px}, "
            f"multiple_px={multiple_px}, sample_aspect_ratio={sample_aspect_ratio}, "
            "expected positive numbers"
        )
    aspect = float(source_size[0] * sample_aspect_ratio / source_size[1])
    is_wide, aspect = aspect >= 1, max(aspect, 1 / aspect)
    wished = max(multiple_px, _nearest(short_side_px, multiple_px))
    area = MAX_AREA_RATIO * wished**2
    short = max(multiple_px, _nearest(min(wished, (area / aspect) ** 0.5), multiple_px))
    most = MAX_LONG_RATIO * wished
    long = max(multiple_px, _nearest(min(short * aspect, most), multiple_px))
    return (long, short) if is_wide else (short, long)


def parse_output_size(text: str) -> OutputSize:
    """Read ``model``, ``source`` or ``WxH`` as the command line gives it.

    Raises:
        ValueError: It is none of them, or a side is outside 1 to 16384.
    """
    if text == "model":
        return "model"
    if text == "source":
        return "source"
    width, times, height = text.lower().partition("x")
    if not (
        times and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()
    ):
        raise ValueError(f"got output size {text!r}, expected model, source or WxH, e.g. 1280x720")
    size = int(width), int(height)
    if not all(1 <= side <= MAX_SIDE_PX for side in size):
        raise ValueError(f"got output size {text!r}, expected sides of 1 to {MAX_SIDE_PX} pixels")
    return size


def check_output_size(wish: OutputSize) -> None:
    """Refuse what is no output size.

    Raises:
        ValueError: It is neither "source", "model" nor two whole numbers of 1 or more.
    """
    if wish in ("source", "model"):
        return
    is_pair = isinstance(wish, tuple) and len(wish) == 2
    if not is_pair or not all(isinstance(side, int) and side >= 1 for side in wish):
        raise ValueError(f"got output_size={wish!r}, expected source, model or (width, height)")


def output_size(wish: OutputSize, source: Size, model: Size) -> Size:
    """The size that leaves: the source's own, the model's, or the one asked for."""
    if wish == "source":
        return source
    if wish == "model":
        return model
    return wish


def least_cell(cell_sizes: Sequence[int], grid: Size, output: Size) -> int:
    """The fewest pixels a cell that pictures need to be painted with, to be shown at this size.

    Args:
        cell_sizes: What there is to choose from, ascending.
        grid: (w, h), cells of a picture.
        output: (width, height).
    """
    enough = (
        cell
        for cell in cell_sizes
        if all(cell * count >= side for count, side in zip(grid, output, strict=True))
    )
    return next(enough, cell_sizes[-1])


def output_sample_aspect_ratio(source: Size, sample_aspect_ratio: Fraction, out: Size) -> Fraction:
    """The pixel shape that shows `out` with the source's display aspect ratio (as ffmpeg's scale).

    A source that is only resized in proportion keeps its own; one whose display aspect is met by
    square pixels to within a hundredth gets square pixels.
    """
    if out == source:
        return sample_aspect_ratio
    exact = sample_aspect_ratio * Fraction(source[0] * out[1], source[1] * out[0])
    return Fraction(1) if abs(exact - 1) < Fraction(1, 100) else exact.limit_denominator(1000)


def resize(data: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Resize uint8 (H, W, 3) to `size`; the same array where it already fits.

    A side that shrinks by much is averaged over areas (no moiré), any other is cubic. The result
    depends on nothing but the pixels.
    """
    height, width = data.shape[:2]
    if max(width / size[0], height / size[1]) > NEARLY:
        data = _shrunk(data, (min(width, size[0]), min(height, size[1])))
    return _scaled(data, size, cv2.INTER_CUBIC)


def fit(data: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """The picture at this size, undistorted, with dark bars where its shape differs."""
    height, width = data.shape[:2]
    if (width, height) == size:
        return data
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    fitted[top : top + inner[1], left : left + inner[0]] = resize(data, inner)
    return fitted


def _shrunk(data: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Averaged over areas. Uneven ones are slow to average: there the picture is halved while it
    is far too large, then taken linearly at twice the new size, where each sample still touches its
    neighbours, and halved again. Less than half the time, 49 dB and more from the slow result.
    """
    width, height = data.shape[1], data.shape[0]
    while min(width / size[0], height / size[1]) > FAR and width % 2 == height % 2 == 0:
        width, height = width // 2, height // 2
        data = _scaled(data, (width, height), cv2.INTER_AREA)
    ratios = width / size[0], height / size[1]
    is_uneven = not all(ratio.is_integer() for ratio in ratios)
    if is_uneven and min(ratios) > 1 and max(ratios) <= MOST_UNEVEN:
        data = _scaled(data, (2 * size[0], 2 * size[1]), cv2.INTER_LINEAR)
    return _scaled(data, size, cv2.INTER_AREA)


def _scaled(data: NDArray[np.uint8], size: Size, how: int) -> NDArray[np.uint8]:
    if (data.shape[1], data.shape[0]) == size:
        return data
    return np.asarray(cv2.resize(data, size, interpolation=how), dtype=np.uint8)


def _nearest(value: float, multiple: int) -> int:
    return int(value / multiple + 0.5) * multiple
