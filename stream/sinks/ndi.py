"""NdiSink: sends pictures, their opacity and sound to programs that receive NDI, by cyndilib.

NDI compresses and sends in threads of its own; with nobody listening it costs next to nothing.
"""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from stream.errors import SinkError
from stream.frame import Frame
from stream.media.other_programs import TITLE, load, refuse_without_discovery
from stream.media.sound import CHANNELS, SOUND_RATE, Sound
from stream.sinks.alpha import with_alpha
from stream.sinks.other_program import Data, OtherProgramSink

BLOCK = SOUND_RATE // 100
"""Samples that are sent at a time, always as many: cyndilib sends the second channel of a shorter
block from a wrong place."""

FULL_SCALE = 32_768


class NdiSink(OtherProgramSink):
    """Sends frames, of the first one's size. Not thread-safe.

    Args:
        name: What receivers see, behind the machine's name; "" is the program's.
        rate: Frames a second that are announced.
        sound: Whether there will be sound to send.
        library: The module cyndilib; the tests have another.

    Raises:
        SinkError: The library or its daemon is missing.
    """

    def __init__(
        self, name: str, *, rate: Fraction, sound: bool = False, library: Any = None
    ) -> None:
        if library is None:
            library = load("ndi", SinkError)
            refuse_without_discovery(SinkError)
        super().__init__("ndi", name or TITLE)
        self._library = library
        self._rate = rate
        self._sender: Any = None
        self.hears = sound
        self._samples = np.empty((0, CHANNELS), np.int16)
        self._is_transparent = False
        self._alpha: Data | None = None

    def write(self, frame: Frame) -> None:
        if self._sender is None:
            self._is_transparent = frame.alpha is not None
        self._alpha = with_alpha(frame)[..., 3] if self._is_transparent else None
        super().write(frame)

    def _send_sound(self, sound: Sound) -> None:
        self._samples = np.concatenate([self._samples, sound.samples])
        while len(self._samples) >= BLOCK:
            block, self._samples = self._samples[:BLOCK], self._samples[BLOCK:]
            planes = np.ascontiguousarray(block.T.astype(np.float32) / FULL_SCALE)
            self._sender.write_audio(planes)

    def _open(self, width: int, height: int) -> None:
        library = self._library
        frame = library.VideoSendFrame()
        frame.set_resolution(width, height)
        frame.set_frame_rate(self._rate)
        frame.set_fourcc(library.FourCC.RGBA if self._is_transparent else library.FourCC.RGBX)
        self._sender = library.Sender(self._name, clock_video=False)
        self._sender.set_video_frame(frame)
        if self.hears:
            sound = library.AudioSendFrame(max_num_samples=BLOCK)
            sound.sample_rate, sound.num_channels = SOUND_RATE, CHANNELS
            sound.reference_level = library.AudioReference.dBFS_smpte  # full scale is 1
            self._sender.set_audio_frame(sound)
        self._sender.open()

    def _send(self, data: Data) -> None:
        pixels = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2RGBA), dtype=np.uint8)
        if self._alpha is not None and self._alpha.shape == pixels.shape[:2]:
            pixels[..., 3] = self._alpha
        self._sender.write_video_async(pixels.reshape(-1))

    def _close(self) -> None:
        self._sender.close()
