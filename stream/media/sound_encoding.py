"""SoundTrack: encodes the sound of one output container as it arrives. Imports no OpenCV.

What is missing is filled with silence, what overlaps is cut: the encoder gets samples end to end.
Where no sound comes the silence follows the pictures half a second behind, so that the container
never waits long for sound before it sends a picture.
"""

from fractions import Fraction

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from stream.media.sound import CHANNELS, SOUND_RATE, Sound

BIT_RATE = 160_000
OPUS_ONLY = {"webm"}
"""Containers that take no AAC."""

SLACK_S = 0.5
"""How much later than its picture a sound may come and still be heard."""

BLOCK = SOUND_RATE
"""The most samples that are encoded in one go: silence of any length costs no memory."""


class SoundTrack:
    """One audio stream of a container whose header is not yet written. Not thread-safe.

    Args:
        output: The container.
        format: FFmpeg's name of it.
        start: The position that is the container's zero; what is due earlier is left out.

    Raises:
        av.FFmpegError: From every call: the container cannot take it.
    """

    def __init__(self, output: OutputContainer, format: str, start: int = 0) -> None:
        self._output = output
        codec = "libopus" if format in OPUS_ONLY else "aac"
        stream = output.add_stream(codec, rate=SOUND_RATE)
        assert isinstance(stream, AudioStream)
        stream.layout = "stereo"
        stream.bit_rate = BIT_RATE
        self._stream = stream
        self._start = start
        self._next = start

    def hear(self, sound: Sound) -> None:
        """Encode a piece; it follows the one before, or comes after a silence."""
        rest = sound.after(self._next)
        if rest is not None:
            self._be_silent(rest.position)
            self._encode(rest.samples)

    def advance(self, time_s: Fraction | float) -> None:
        """The pictures are at this time of the session's: sound that is much later is given up."""
        self._be_silent(round((time_s - SLACK_S) * SOUND_RATE))

    def finish(self, end_s: Fraction | float) -> None:
        """Silence up to the pictures' end, and what the encoder still holds."""
        self._be_silent(round(end_s * SOUND_RATE))
        self.flush()

    def flush(self) -> None:
        """What the encoder still holds; nothing may come after it."""
        self._output.mux(self._stream.encode(None))

    def _be_silent(self, until: int) -> None:
        while self._next < until:
            count = min(BLOCK, until - self._next)
            self._encode(np.zeros((count, CHANNELS), np.int16))

    def _encode(self, samples: NDArray[np.int16]) -> None:
        packed = np.ascontiguousarray(samples).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout="stereo")
        frame.sample_rate = SOUND_RATE
        frame.time_base = Fraction(1, SOUND_RATE)
        frame.pts = self._next - self._start
        self._next += len(samples)
        self._output.mux(self._stream.encode(frame))
