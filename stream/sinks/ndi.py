"""NdiSink: sends pictures to programs that receive NDI, by cyndilib.

NDI compresses and sends in threads of its own; with nobody listening it costs next to nothing.
"""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from stream.errors import SinkError
from stream.media.other_programs import TITLE, load, refuse_without_discovery
from stream.sinks.other_program import Data, OtherProgramSink


class NdiSink(OtherProgramSink):
    """Sends frames, of the first one's size. Not thread-safe.

    Args:
        name: What receivers see, behind the machine's name; "" is the program's.
        rate: Frames a second that are announced.
        library: The module cyndilib; the tests have another.

    Raises:
        SinkError: The library or its daemon is missing.
    """

    def __init__(self, name: str, *, rate: Fraction, library: Any = None) -> None:
        if library is None:
            library = load("ndi", SinkError)
            refuse_without_discovery(SinkError)
        super().__init__("ndi", name or TITLE)
        self._library = library
        self._rate = rate
        self._sender: Any = None

    def _open(self, width: int, height: int) -> None:
        library = self._library
        frame = library.VideoSendFrame()
        frame.set_resolution(width, height)
        frame.set_frame_rate(self._rate)
        frame.set_fourcc(library.FourCC.RGBX)
        self._sender = library.Sender(self._name, clock_video=False)
        self._sender.set_video_frame(frame)
        self._sender.open()

    def _send(self, data: Data) -> None:
        pixels = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
        self._sender.write_video_async(pixels.reshape(-1))

    def _close(self) -> None:
        self._sender.close()
