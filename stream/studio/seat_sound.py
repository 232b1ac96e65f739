"""SeatSound: what a page's microphone hears, placed beside its pictures."""

import numpy as np

from stream.live.fan_out import FanOut
from stream.media.sound import CHANNELS, SOUND_RATE, Sound, SoundClock
from stream.studio.protocol import Packet


class SeatSound:
    """Belongs to the web thread.

    Args:
        fan_out: Given what is heard.
    """

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._clock, self._samples = SoundClock(), 0

    def hear(self, packet: Packet, now_s: float) -> None:
        """A piece of sound has come, at this time since the first picture."""
        mono = np.frombuffer(packet.payload, "<i2")
        sound = Sound(np.repeat(mono[:, np.newaxis], CHANNELS, axis=1), self._samples)
        self._samples += len(mono)
        self._clock.anchor(sound.end / SOUND_RATE, now_s)
        placed = self._clock.place(sound)
        if placed is not None:
            self._fan_out.hear(placed)
