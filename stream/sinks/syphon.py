"""SyphonSink: shares pictures with other programs of this Mac by Syphon, by syphon-python.

Written after syphon-python's own source and examples; not run on macOS by us.
"""

import importlib
from typing import Any

import cv2
import numpy as np

from stream.errors import SinkError
from stream.media.other_programs import TITLE, load
from stream.sinks.other_program import Data, OtherProgramSink


class SyphonSink(OtherProgramSink):
    """Shares frames, of the first one's size. Not thread-safe.

    Args:
        name: What clients see; "" is the program's.
        library: The module syphon; the tests have another.

    Raises:
        SinkError: The library is missing.
    """

    def __init__(self, name: str, *, library: Any = None) -> None:
        self._library = load("syphon", SinkError) if library is None else library
        super().__init__("syphon", name or TITLE)
        self._server: Any = None
        self._texture: Any = None

    def _open(self, width: int, height: int) -> None:
        base = self._library.__name__
        self._numpy = importlib.import_module(f"{base}.utils.numpy")
        raw = importlib.import_module(f"{base}.utils.raw")
        self._server = self._library.SyphonMetalServer(self._name)
        self._texture = raw.create_mtl_texture(self._server.device, width, height)

    def _send(self, data: Data) -> None:
        pixels = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
        self._numpy.copy_image_to_mtl_texture(pixels, self._texture)
        # the first line of a texture is the lowest, of ours the highest
        self._server.publish_frame_texture(self._texture, is_flipped=True)

    def _close(self) -> None:
        self._server.stop()
