"""ScreenSource: the screen, or a region of it, by X11. The grabbing is a process of its own.

spec                       what it grabs
-------------------------  -------------------------------------------
screen                     the whole of it
screen:640x360+100+50      a region: size, and where its top left is
"""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.sources.base import Source
from stream.video_info import VideoInfo

SPEC = re.compile(r"screen(:(?P<size>\d+x\d+)(\+(?P<x>\d+)\+(?P<y>\d+))?)?")
PROGRAM = Path(__file__).with_name("screen_process.py")
"""Run as a file: as a module it would import this package first, and OpenCV with it."""

RATE = 24.0
END_S = 5.0
"""How long the grabbing process may take to end; it is killed after that."""


class ScreenSource(Source):
    """RGB frames of an X11 screen. Not thread-safe.

    Args:
        spec: As in the table above.
        rate: Frames a second, 24 if not given.

    Raises:
        SourceError: The spec is not understood, there is no X display, or the region is off it.
    """

    def __init__(self, spec: str, rate: float | None = None) -> None:
        self.notes: list[str] = []
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        command = _command(spec, rate or RATE)
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        size = self._read_size()
        self._count = 0
        per_second = Fraction(rate or RATE).limit_denominator(1001)
        self.info = VideoInfo(size=size, time_base=1 / per_second, rate=per_second)

    def _read_size(self) -> Size:
        words = self._pipe().readline().split()
        if len(words) != 2:
            self.close()
            raise SourceError(
                f"{self._spec} cannot be grabbed from display {os.environ.get('DISPLAY')}; check "
                "that the region lies on it."
            )
        return int(words[0]), int(words[1])

    def _pipe(self) -> IO[bytes]:
        assert self._process is not None and self._process.stdout is not None
        return self._process.stdout

    def read(self) -> Frame | None:
        if self._process is None:
            return None
        width, height = self.info.size
        pixels = self._pipe().read(width * height * 3)
        if len(pixels) < width * height * 3:
            self.close()
            raise SourceError(f"{self._spec} is gone; check that the display is still there.")
        self._count += 1
        data = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        return Frame(data, self._count - 1, self.info.time_base)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdout is not None:
            process.stdout.close()
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _command(spec: str, rate: float) -> list[str]:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise SourceError(f"{spec!r} is not understood; write it like screen:640x360+100+50.")
    display = os.environ.get("DISPLAY")
    if not display or sys.platform != "linux":
        raise SourceError(
            "There is no X display to grab (DISPLAY is not set); start it from a desktop session."
        )
    place = f"{display}+{match['x'] or 0},{match['y'] or 0}"
    size = [match["size"]] if match["size"] else []
    return [sys.executable, "-P", str(PROGRAM), place, f"{rate:g}", *size]
