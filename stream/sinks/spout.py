"""SpoutSink: shares pictures with other programs of this Windows machine by Spout, by SpoutGL.

Written after SpoutGL's own bindings and tests; not run on Windows by us.
"""

from typing import Any

import cv2
import numpy as np

from stream.errors import SinkError
from stream.media.other_programs import TITLE, load
from stream.sinks.other_program import Data, OtherProgramSink


class SpoutSink(OtherProgramSink):
    """Shares frames, of the first one's size. Not thread-safe.

    Args:
        name: What receivers see; "" is the program's.
        library: The module SpoutGL; the tests have another.

    Raises:
        SinkError: The library is missing.
    """

    def __init__(self, name: str, *, library: Any = None) -> None:
        self._library = load("spout", SinkError) if library is None else library
        super().__init__("spout", name or TITLE)
        self._sender: Any = None

    def _open(self, width: int, height: int) -> None:
        self._sender = self._library.SpoutSender()
        self._sender.setSenderName(self._name)

    def _send(self, data: Data) -> None:
        height, width = data.shape[:2]
        pixels = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
        kind = self._library.enums.GL_RGBA
        if not self._sender.sendImage(pixels, width, height, kind, False, 0):
            raise RuntimeError("its sender refused a picture")

    def _close(self) -> None:
        self._sender.releaseSender()
