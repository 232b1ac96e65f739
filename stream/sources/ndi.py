"""NdiSource: pictures, their opacity and sound that another program sends by NDI, by cyndilib.

NDI is Vizrt's; its library comes with cyndilib's wheels under a licence of its own, so that it is
an extra.
"""

import threading
from fractions import Fraction
from typing import Any

import numpy as np

from stream.clock import Clock
from stream.errors import SourceError
from stream.media.other_programs import load, refuse_without_discovery
from stream.media.sound import Sound
from stream.sources.other_program import Data, OtherProgramSource
from stream.sources.sound_decoding import SoundDecoder

FIND_S = 5.0
"""How long a name is looked for; found after a second, as a rule."""

LOOK_S = 0.25

COLOURS = 4
"""Bytes of a pixel: red, green, blue, and alpha or nothing."""


class NdiSource(OtherProgramSource):
    """RGB frames of an NDI source. Not thread-safe, but for `interrupt`.

    Args:
        name: Part of its name, in either case; "" takes the first.
        sound: Give its sound too.
        library: The module cyndilib; the tests have another.

    Raises:
        SourceError: The library or its daemon is missing, or there is no source of that name.
    """

    def __init__(
        self, name: str, *, clock: Clock | None = None, sound: bool = False, library: Any = None
    ) -> None:
        if library is None:
            library = load("ndi", SourceError)
            refuse_without_discovery(SourceError)
        super().__init__(f"ndi:{name}", clock)
        self._library = library
        self._frame = library.VideoRecvFrame()
        self._finder = library.Finder()
        self._finder.open()
        self._receiver: Any = library.Receiver(
            color_format=library.RecvColorFormat.RGBX_RGBA, allow_video_fields=False
        )
        self._receiver.set_video_frame(self._frame)
        self.has_sound = sound
        self._audio = library.AudioRecvFrame() if sound else None
        self._decoder, self._heard = SoundDecoder(), list[Sound]()
        if self._audio is not None:
            self._audio.reference_level = library.AudioReference.dBFS_smpte
            self._receiver.set_audio_frame(self._audio)
        try:
            self._connect(name)
            self._begin()
        except SourceError:
            self.close()
            raise

    def _connect(self, name: str) -> None:
        found = self._find(name)
        # what the finder gives is its own, and gone when it finds anew
        with self._finder.notify:
            source = self._finder.get_source(found)
            if source is None:
                raise SourceError(f"ndi:{found} is gone; start it again.")
            self._receiver.set_source(source)
        self._name = f"ndi:{found}"

    def _find(self, name: str) -> str:
        end_s = self._clock.now_s() + FIND_S
        while not self._stopped.is_set():
            names = self._finder.get_source_names()
            found = [one for one in names if name.lower() in one.lower()]
            if found:
                return str(found[0])
            if self._clock.now_s() >= end_s:
                there = ", ".join(names) or "none"
                raise SourceError(f"There is no NDI source called {name!r}; there is: {there}.")
            self._clock.wait(self._stopped, LOOK_S)
        raise SourceError(f"{self._name} was not waited for.")

    def _receive(self, limit_s: float) -> Data | None:
        kinds = self._library.receiver.ReceiveFrameType
        wanted = kinds.recv_video | kinds.recv_audio if self._audio else kinds.recv_video
        got = self._receiver.receive(wanted, round(limit_s * 1000))
        if self._audio is not None and got & kinds.recv_audio:
            self._hear(self._audio)
        if not got & kinds.recv_video:
            return None
        width, height = self._frame.get_resolution()
        data = np.empty(self._frame.get_buffer_size(), np.uint8)
        if not self._frame.fill_p_data(data):
            return None
        stride = self._frame.get_line_stride()
        lines = data[: stride * height].reshape(height, stride)
        pixels = lines[:, : width * COLOURS].reshape(height, width, COLOURS)
        is_transparent = self._frame.get_fourcc() == self._library.FourCC.RGBA
        return np.ascontiguousarray(pixels if is_transparent else pixels[..., :3])

    def _hear(self, audio: Any) -> None:
        """Take what has come since the first picture: it ends now, and follows what came before."""
        while (read := audio.get_read_data()) is not None:
            if self._first_s is None:
                continue
            planes = np.array(read[0], np.float32)
            since_s = self._clock.now_s() - self._first_s
            begin_s = since_s - planes.shape[1] / audio.sample_rate
            self._heard += self._decoder.pieces(planes, audio.sample_rate, begin_s)

    def sounds(self) -> list[Sound]:
        heard, self._heard = self._heard, []
        return heard

    def _rate(self) -> Fraction | None:
        rate = Fraction(self._frame.get_frame_rate())
        return rate if rate > 0 else None

    def close(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.set_source(None)
            self._finder.close()


def ndi_names(library: Any, limit_s: float, clock: Clock | None = None) -> list[str]:
    """The NDI sources that are found within a time."""
    with library.Finder() as finder:
        (clock or Clock()).wait(threading.Event(), limit_s)
        names: list[str] = finder.get_source_names()
    return names
