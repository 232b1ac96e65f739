"""SpoutSource: pictures that another program of this Windows machine shares by Spout, by SpoutGL.

Written after SpoutGL's own bindings and tests; not run on Windows by us.
"""

from typing import Any

import numpy as np

from stream.clock import Clock
from stream.errors import SourceError
from stream.media.other_programs import load
from stream.sources.other_program import Data, OtherProgramSource

COLOURS = 4
POLL_S = 0.002
"""Between two looks: Spout has no wait that ends."""


class SpoutSource(OtherProgramSource):
    """RGB frames of a Spout sender. Not thread-safe, but for `interrupt`.

    Args:
        name: Its name; "" takes the active one.
        library: The module SpoutGL; the tests have another.

    Raises:
        SourceError: The library is missing, or the sender sends nothing.
    """

    def __init__(self, name: str, *, clock: Clock | None = None, library: Any = None) -> None:
        library = load("spout", SourceError) if library is None else library
        super().__init__(f"spout:{name}", clock)
        self._format = library.enums.GL_RGBA
        self._receiver: Any = library.SpoutReceiver()
        if name:
            self._receiver.setReceiverName(name)
        self._buffer: Data | None = None
        self._begin()

    def _receive(self, limit_s: float) -> Data | None:
        end_s = self._clock.now_s() + limit_s
        while self._receiver is not None and not self._stopped.is_set():
            data = self._look()
            if data is not None:
                return data
            if self._clock.now_s() >= end_s:
                break
            self._clock.wait(self._stopped, POLL_S)
        return None

    def _look(self) -> Data | None:
        """The newest picture, if it is new."""
        receiver, buffer = self._receiver, self._buffer
        if not receiver.receiveImage(buffer, self._format, False, 0):
            return None
        if receiver.isUpdated() or buffer is None:  # another size, or the first time
            shape = receiver.getSenderHeight(), receiver.getSenderWidth(), COLOURS
            self._buffer = np.zeros(shape, np.uint8) if min(shape) > 0 else None
            return None
        return buffer[..., :3].copy() if receiver.isFrameNew() else None

    def close(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.releaseReceiver()


def spout_names(library: Any) -> list[str]:
    """The Spout senders of this machine."""
    receiver = library.SpoutReceiver()
    try:
        return list(receiver.getSenderList())
    finally:
        receiver.releaseReceiver()
