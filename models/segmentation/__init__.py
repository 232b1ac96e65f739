"""Segmentation: where people are in a picture, by a small network of others that ships with us.

The weights are MediaPipe's selfie segmentation (see ATTRIBUTION.md), 250 kB; OpenCV runs them, on
the CPU, whatever else computes where. One picture at a time: what was there before is the caller's
(`stream.stylizer.regions`).
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFormatError

WEIGHTS = Path(__file__).parent / "selfie_segmentation.tflite"

SIDE_PX = 256
"""What the network takes and gives, whatever the picture's shape: it was trained on such."""


class PersonSegmenter:
    """Finds people. Not thread-safe; one per thread.

    Raises:
        ModelFormatError: OpenCV cannot read the weights.
    """

    def __init__(self) -> None:
        try:
            weights = np.fromfile(WEIGHTS, np.uint8)
            self._network = cv2.dnn.readNetFromTFLite(weights)
        except (OSError, AttributeError, cv2.error) as err:
            raise ModelFormatError(
                "The network that finds people cannot be read by this OpenCV; "
                'install it again ("pip install --force-reinstall opencv-python").'
            ) from err

    def __call__(self, data: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How sure a person is there, 0 to 1: float32 (256, 256), stretched over the picture.

        Args:
            data: uint8 RGB (H, W, 3).
        """
        height, width = data.shape[:2]
        reduces = min(height, width) > SIDE_PX
        how = cv2.INTER_AREA if reduces else cv2.INTER_LINEAR
        small = cv2.resize(data, (SIDE_PX, SIDE_PX), interpolation=how)
        self._network.setInput(cv2.dnn.blobFromImage(small, 1 / 255))
        found = self._network.forward()
        return np.asarray(found[0, 0], dtype=np.float32).copy()
