"""Shots: how much two frames differ, by which a scene cut is told. Causal; pure functions.

The comparison with the threshold is made by those who know the frames' order: `state.py`, and
`splitter.py` where not every frame is painted.

The measure is the classic content difference: the mean change of hue, saturation and value
between two thumbnails (as in PySceneDetect's content detector, https://scenedetect.com/docs/), at
its usual threshold of 27 of 255. Two things differ: hue is a circle (red to red is no change), and
it counts only where both pictures have colour, so that the noise of a grey picture is no cut.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

THUMBNAIL_PX = 128
"""Long side of the thumbnail: 0.2 ms, and grain is averaged away."""

CUT_DIFFERENCE = 27.0
"""Content difference (0 to 255) above which a frame starts a new shot. Moving pictures without a
cut stay below 10. What passes it without being one (a flash, a pan of a width in less than a
second) changes nearly every cell anyway: a false alarm costs little, a missed cut a ghost."""

DOUBT_DIFFERENCE = 8.0
"""Content difference above which a frame that the flow cannot follow is a new shot too."""

SAME_SHOT_LEVELS = 4.0
"""Two pictures of one shot differ by less than this, mean over cells and channels."""

COLOURFUL = 32
"""Saturation (0 to 255) below which hue says nothing."""


def thumbnail(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink uint8 RGB (H, W, 3) to at most 128 px and turn it into hue, saturation, value.

    All three run over 0 to 255. Sides shrink by a whole number, which takes a third of the time.
    """
    height, width = data.shape[:2]
    by = -(-max(height, width) // THUMBNAIL_PX)
    if by > 1:
        size = max(1, width // by), max(1, height // by)
        data = np.asarray(cv2.resize(data, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2HSV_FULL), dtype=np.uint8)


def content_difference(now: NDArray[np.uint8], then: NDArray[np.uint8]) -> float:
    """Mean over hue, saturation and value of the mean absolute change; 0 (the same) to 255.

    Args:
        now, then: Thumbnails of one shape, from `thumbnail`.
    """
    hue, saturation, value = cv2.split(cv2.absdiff(now, then))
    around = cv2.min(hue, cv2.bitwise_not(hue))
    colour = cv2.min(cv2.extractChannel(now, 1), cv2.extractChannel(then, 1))
    seen = cv2.inRange(colour, COLOURFUL, 255)
    hues = cv2.bitwise_and(around, seen)
    return sum(cv2.mean(change)[0] for change in (hues, saturation, value)) / 3


def is_same_shot(now: NDArray[np.float32], then: NDArray[np.float32]) -> bool:
    """Whether two pictures, as means of cells (h, w, 3), show the same thing from the same place.

    The light is not allowed for: the frame of a flash must not pass for the shot it lights up.
    """
    return now.shape == then.shape and float(np.abs(now - then).mean()) < SAME_SHOT_LEVELS
