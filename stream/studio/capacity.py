"""How many people an engine serves in the studio, and the size of their pictures. Pure."""

from typing import TYPE_CHECKING

from stream.studio.options import MOST_SEATS

if TYPE_CHECKING:
    from stream.frame import Size

LEAST_FPS = 8.0
"""What each seat should have of the engine's rate, where the number of seats is not given."""

CAMERA_SHARE = 9 / 8
TRIALS = 4
"""Paintings that the rate is measured by."""


def seats_for(rate: float) -> int:
    """How many people an engine of so many pictures a second can serve."""
    return max(1, min(MOST_SEATS, round(rate / LEAST_FPS)))


def camera_size(short_side_px: int) -> "Size":
    """(width, height) of a camera's pictures, for a model that works at this short side."""
    side = camera_side_px(short_side_px)
    return round(side * 16 / 9 / 16) * 16, side


def camera_side_px(short_side_px: int) -> int:
    """Likewise, the short side alone: a little more than the model sees, 288 for 256."""
    return round(short_side_px * CAMERA_SHARE / 16) * 16
