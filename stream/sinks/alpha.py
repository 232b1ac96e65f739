"""Transparency: a painted frame with the opacity of the frame that it was painted from."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Frame


def with_alpha(frame: Frame) -> NDArray[np.uint8]:
    """uint8 RGBA (H, W, 4): the frame's picture, its opacity brought to the same size."""
    if frame.alpha is None:
        alpha = np.full((frame.height, frame.width), 255, np.uint8)
    elif frame.alpha.shape != (frame.height, frame.width):
        scaled = cv2.resize(frame.alpha, frame.size, interpolation=cv2.INTER_AREA)
        alpha = np.asarray(scaled, np.uint8)
    else:
        alpha = frame.alpha
    return np.dstack([frame.data, alpha])
