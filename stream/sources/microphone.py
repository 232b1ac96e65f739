"""Microphone: the sound of a recording device, by the recorder of the system's own sound server.

    parec (PulseAudio, PipeWire) or arecord (ALSA)  ──raw samples──► run

PyAV's wheel brings an ALSA that finds neither the system's configuration nor its sound server, so
the recorder is a process. Starts no thread: `run` belongs to a worker of the session's.
"""

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

import numpy as np

from stream.errors import SourceError
from stream.media.sound import CHANNELS, SOUND_RATE, Sound

logger = logging.getLogger(__name__)

DEFAULT = "default"
"""The device that the system would take."""

BLOCK = SOUND_RATE // 50
"""Samples of one piece: 20 ms."""

END_S = 2.0
"""How long the recorder may take to end; it is killed after that."""

RECORDERS: dict[str, list[str]] = {
    "parec": [
        *("--raw", "--format=s16le", f"--rate={SOUND_RATE}"),
        *(f"--channels={CHANNELS}", "--latency-msec=20"),
    ],
    "arecord": ["-q", "-t", "raw", "-f", "S16_LE", f"--rate={SOUND_RATE}", f"-c{CHANNELS}"],
}
"""Programs that record, the best first, and their words for such samples. Both know --device."""


class Microphone:
    """Gives the sound of one device, piece by piece, as it comes. A service of a live session.

    Args:
        device: Its name, as the system's recorder knows it; ``default`` for the usual one.
        command: What records, instead of the first of `RECORDERS` that is there.

    Attributes:
        on_sound: Called in the thread of `run` with each piece, at the recorder's own times.

    Raises:
        SourceError: There is no recorder, or no such device.
    """

    name = "microphone"

    def __init__(self, device: str, *, command: list[str] | None = None) -> None:
        self.on_sound: Callable[[Sound], None] = lambda sound: None
        self._device = device
        self._stopped = False
        command = command or recorder(device)
        # not a pipe: one that nobody reads might fill
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  as long as the recorder lives
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._first = self._read()
        if self._first is None:
            self.stop()
            self._errors.seek(0)
            told = _last_line(self._errors.read())
            self._let_go()
            raise SourceError(
                f"The microphone {device} gives no sound ({told}); choose another "
                "(audio_device=...)."
            )

    def _read(self) -> bytes | None:
        raw = _pipe(self._process).read(BLOCK * CHANNELS * 2)
        return raw if len(raw) == BLOCK * CHANNELS * 2 else None

    def run(self) -> None:
        """Pass pieces on until `stop`, or until the device is gone."""
        position, raw = 0, self._first
        while raw is not None:
            samples = np.frombuffer(raw, np.int16).reshape(-1, CHANNELS)
            self.on_sound(Sound(samples, position))
            position += BLOCK
            raw = self._read()
        self._let_go()
        if not self._stopped:
            logger.warning("The microphone %s is gone; there is silence now.", self._device)

    def stop(self) -> None:
        """End `run`, from any thread; at once and also before it began."""
        self._stopped = True
        with suppress(OSError):
            self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """Let go of what `run` never took up."""
        self.stop()
        self._let_go()

    def _let_go(self) -> None:
        _pipe(self._process).close()
        self._errors.close()


def recorder(device: str) -> list[str]:
    """The command that writes a device's samples to its standard output.

    Raises:
        SourceError: None of `RECORDERS` is on this machine.
    """
    chosen = [] if device == DEFAULT else [f"--device={device}"]
    for program, words in RECORDERS.items():
        if shutil.which(program):
            return [program, *words, *chosen]
    raise SourceError(
        f"There is no program to record sound with; install one of {', '.join(RECORDERS)} "
        "(packages pulseaudio-utils, alsa-utils)."
    )


def _pipe(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _last_line(told: bytes) -> str:
    lines = told.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended"
