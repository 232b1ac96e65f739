"""OtherProgramSink: what the sinks of NDI, Spout and Syphon have in common.

Opened at the first frame, with its size; later ones are fitted in, so that whoever receives keeps
what it has.
"""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.geometry import fit
from stream.media.other_programs import LIBRARIES, Carrier
from stream.media.sound import Sound
from stream.sinks.base import Sink

Data = NDArray[np.uint8]


class OtherProgramSink(Sink):
    """Gives frames to other programs. Not thread-safe.

    Args:
        carrier: By what.
        name: What they see.
    """

    def __init__(self, carrier: Carrier, name: str) -> None:
        self.notes: list[str] = []
        self._title = LIBRARIES[carrier].title
        self._name = name
        self._size: Size | None = None
        self._closed = False

    @abstractmethod
    def _open(self, width: int, height: int) -> None:
        """Appear to others."""

    @abstractmethod
    def _send(self, data: Data) -> None:
        """Send one picture, uint8 RGB (H, W, 3) of the size that was opened."""

    @abstractmethod
    def _close(self) -> None:
        """Disappear."""

    def write(self, frame: Frame) -> None:
        if self._closed:
            return
        # the libraries raise whatever they like
        try:
            if self._size is None:
                self._open(*frame.size)
                self._size = frame.size
                self.notes.append(f'{self._title} gives "{self._name}".')
            self._send(np.ascontiguousarray(fit(frame.data, self._size)))
        except Exception as err:
            raise SinkError(f"{self._title} takes no pictures ({err}); start it again.") from err

    def hear(self, sound: Sound) -> None:
        if self._closed or self._size is None:
            return
        try:
            self._send_sound(sound)
        except Exception as err:
            raise SinkError(f"{self._title} takes no sound ({err}); start it again.") from err

    def _send_sound(self, sound: Sound) -> None:
        """Send a piece of sound, where it takes such."""
        return

    def close(self) -> None:
        was_open, self._closed = self._size is not None and not self._closed, True
        if was_open:
            self._close()
