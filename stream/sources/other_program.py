"""OtherProgramSource: what the sources of NDI, Spout and Syphon have in common.

A read waits for the next picture; one that does not come in time means that the program is gone,
and `ReconnectingSource` opens it again. Pictures have the size of the first.
"""

import threading
from abc import abstractmethod
from contextlib import ExitStack
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from stream.clock import Clock
from stream.errors import SourceError
from stream.frame import Frame
from stream.geometry import fit
from stream.sources.base import Source
from stream.video_info import VideoInfo

Data = NDArray[np.uint8]

TIME_BASE = Fraction(1, 90_000)

FIRST_S = 5.0
"""How long the first picture is waited for."""

STALL_S = 1.8
"""How long a program may pause before it is taken for gone; noticed within 2 s."""

COLOURS, OPAQUE = 3, 255

LOOK_S = 0.1
"""How long one look for a picture takes at most."""


class OtherProgramSource(Source):
    """RGB frames of another program. Not thread-safe, but for `interrupt`.

    Subclasses open what they need, then call `_begin`.
    """

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self.notes: list[str] = []
        self._name = name
        self._clock = clock or Clock()
        self._stopped = threading.Event()
        self._first: Data | None = None
        self._first_s: float | None = None

    @abstractmethod
    def _receive(self, limit_s: float) -> Data | None:
        """The next picture, uint8 RGB (H, W, 3), or with its opacity (H, W, 4); ``None`` where
        none came in time.

        Raises:
            SourceError: The program is gone.
        """

    def _rate(self) -> Fraction | None:
        """Frames a second, where the program says."""
        return None

    def _begin(self) -> None:
        """Wait for the first picture, which tells the size.

        Raises:
            SourceError: None came.
        """
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            first = self._awaited(FIRST_S)
            if first is None:
                raise SourceError(f"{self._name} gives no pictures; check that it plays.")
            on_failure.pop_all()
        self._first, self._first_s = first, self._clock.now_s()
        size = first.shape[1], first.shape[0]
        self.info = VideoInfo(size=size, time_base=TIME_BASE, rate=self._rate())

    def _awaited(self, limit_s: float) -> Data | None:
        end_s = self._clock.now_s() + limit_s
        while not self._stopped.is_set():
            data = self._receive(LOOK_S)
            if data is not None:
                return data
            if self._clock.now_s() >= end_s:
                break
        return None

    def read(self) -> Frame | None:
        data, self._first = self._first, None
        if data is None:
            data = self._awaited(STALL_S)
        if data is None:
            if self._stopped.is_set():
                return None
            self.close()
            raise SourceError(f"{self._name} gives no pictures any more; check that it runs.")
        since_s = self._clock.now_s() - (self._first_s or 0.0)
        pts = round(since_s * TIME_BASE.denominator)
        data, alpha = _on_black(data)
        fitted = np.ascontiguousarray(fit(data, self.info.size))
        is_kept = alpha is not None and fitted.shape[:2] == data.shape[:2]
        return Frame(fitted, pts, TIME_BASE, alpha=alpha if is_kept else None)

    def interrupt(self) -> None:
        self._stopped.set()


def _on_black(data: Data) -> tuple[Data, Data | None]:
    """A picture as it shows on black, and its opacity, if it is transparent anywhere."""
    if data.shape[2] == COLOURS:
        return data, None
    alpha = data[..., COLOURS]
    if alpha.min() == OPAQUE:
        return np.ascontiguousarray(data[..., :COLOURS]), None
    opacity = alpha[..., None].astype(np.uint16)
    shown = (data[..., :COLOURS] * opacity + OPAQUE // 2) // OPAQUE
    return shown.astype(np.uint8), np.ascontiguousarray(alpha)
