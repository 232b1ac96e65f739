"""Decoding sound beside pictures: whatever the stream holds, as stereo at one rate.

SoundDecoder: packets of one stream. FileSound: a file's, read along with its pictures.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from stream.media.continuity import Continuity
from stream.media.demuxing import packets
from stream.media.safe_opening import open_file
from stream.media.sound import CHANNELS, SOUND_RATE, Sound

JITTER_S = 0.2
"""By how much pieces that arrive by themselves may come too early or late."""

GAP_S = 0.02
"""Less than this between the times of two pieces is rounding: they are end to end."""


class SoundDecoder:
    """Packets of one audio stream to pieces of sound. Damaged ones are skipped; a stream may
    change its rate, layout and format. Not thread-safe.
    """

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._setup: tuple[object, ...] = ()
        self._next: int | None = None

    def decode(self, packet: "Packet[AudioStream]") -> list[Sound]:
        """What comes out of one packet; nothing where it is damaged."""
        return self._decode(packet.stream, packet)

    def flush(self, stream: AudioStream) -> list[Sound]:
        """What the stream's decoder still holds at the end."""
        return self._decode(stream, None)

    def _decode(self, stream: AudioStream, packet: "Packet[AudioStream] | None") -> list[Sound]:
        try:
            frames = stream.codec_context.decode(packet)
            return [piece for frame in frames for piece in self._pieces(frame)]
        except av.FFmpegError:
            return []

    def pieces(self, planes: NDArray[np.float32], rate: int, time_s: float) -> list[Sound]:
        """Samples that came by themselves, end to end unless they come `JITTER_S` too early or
        late.

        Args:
            planes: (channels, samples), -1 to 1; of more than two channels the first two.
            rate: Samples a second.
            time_s: When the first is due.
        """
        layout = "mono" if len(planes) == 1 else "stereo"
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(planes[:CHANNELS]), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        due = round(time_s * SOUND_RATE)
        begins = self._next is None or abs(due - self._next) > JITTER_S * SOUND_RATE
        frame.time_base = Fraction(1, SOUND_RATE)
        frame.pts = max(0, due) if begins else None
        return list(self._pieces(frame))

    def _pieces(self, frame: AudioFrame) -> Iterator[Sound]:
        setup = frame.format.name, frame.layout.name, frame.sample_rate
        if self._resampler is None or setup != self._setup:
            self._setup = setup
            self._resampler = AudioResampler(format="s16", layout="stereo", rate=SOUND_RATE)
            self._next = None
        if frame.time is not None:
            due = round(frame.time * SOUND_RATE)
            if self._next is None or abs(due - self._next) > GAP_S * SOUND_RATE:
                self._next = due
        frame.pts = None
        for heard in self._resampler.resample(frame):
            samples = heard.to_ndarray().reshape(-1, CHANNELS).astype(np.int16, copy=False)
            position = self._next or 0
            self._next = position + len(samples)
            yield Sound(samples, position)


class FileSound:
    """The sound of a file, as far as its pictures have come. Not thread-safe.

    Args:
        path: A file that its pictures have been opened from.
        shift_s: Added to all its times.
    """

    def __init__(self, path: Path, shift_s: float = 0.0) -> None:
        self._container: InputContainer | None = open_file(path)
        self._shift = round(shift_s * SOUND_RATE)
        self._pieces = self._decode(self._container)
        self._held: Sound | None = None

    def _decode(self, container: InputContainer) -> Iterator[Sound]:
        decoder = SoundDecoder()
        try:
            stream = container.streams.audio[0]
            for packet in packets(container, [stream], Continuity(container)):
                yield from self._placed(decoder.decode(cast("Packet[AudioStream]", packet)))
            yield from self._placed(decoder.flush(stream))
        except av.FFmpegError:
            return

    def _placed(self, sounds: list[Sound]) -> list[Sound]:
        return [Sound(sound.samples, sound.position + self._shift) for sound in sounds]

    def until(self, time_s: float) -> Iterator[Sound]:
        """Everything before this time that was not given before."""
        end = round(time_s * SOUND_RATE)
        while True:
            sound = self._held or next(self._pieces, None)
            self._held = None
            if sound is None:
                return
            self._held = sound.after(end)
            before = sound.before(end)
            if before is not None:
                yield before
            if self._held is not None:
                return

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        if self._container is not None:
            self._pieces = iter(())
            self._container.close()
            self._container = None


def has_sound(path: Path) -> bool:
    """Whether a file holds sound that can be decoded."""
    try:
        with open_file(path) as container:
            return any(stream.codec_context is not None for stream in container.streams.audio)
    except av.FFmpegError:
        return False
