"""Silence: a sound track with nothing on it, for services that refuse a stream without one."""

import threading
from collections.abc import Callable

from stream.media.sound import Sound

SILENT = "silent"
"""What the user calls it, in place of a recording device."""


class Silence:
    """In the place of a microphone; a service of a live session. It gives no sound: where none
    comes, the track of an output is silent.

    Attributes:
        on_sound: Never called.
    """

    name = "silence"

    def __init__(self) -> None:
        self.on_sound: Callable[[Sound], None] = lambda sound: None
        self._stopped = threading.Event()

    def run(self) -> None:
        """Wait for `stop`."""
        self._stopped.wait()

    def stop(self) -> None:
        """End `run`, from any thread; also before it began."""
        self._stopped.set()

    def abandon(self) -> None:
        """Nothing is held."""
        self.stop()
