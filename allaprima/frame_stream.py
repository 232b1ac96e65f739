"""FrameStream: NumPy frames of one size, in order of time, through one stylizer."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from allaprima.options import own_words
from allaprima.painted_stream import Picture

if TYPE_CHECKING:
    from stream import Stylizer

TIME_BASE = Fraction(1, 90_000)
"""Seconds per unit of the time stamps that frames are given."""


class FrameStream:
    """Frames of one size, in order of time, through one stylizer."""

    def __init__(
        self, stylizer: "Stylizer", frame_s: float, prepare: "Callable[[Stylizer], None]"
    ) -> None:
        self._stylizer = stylizer
        self._frame_s = frame_s
        self._prepare = prepare
        self._shape: tuple[int, ...] | None = None
        self._next_s = 0.0

    def push(self, frame: Picture, time_s: float | None) -> list[Picture]:
        """Take a frame; the painted ones that are ready come back."""
        from stream import Frame

        self._prepare(self._stylizer)
        self._check(frame)
        time_s = self._next_s if time_s is None else time_s
        if not math.isfinite(time_s):
            raise ValueError(f"got time_s={time_s}, expected seconds")
        self._next_s = time_s + self._frame_s
        data = self._own(frame)
        with own_words():
            ready = self._stylizer.process(Frame(data, round(time_s / TIME_BASE), TIME_BASE))
        self._shape = frame.shape
        return [one.data.copy() for one in ready]

    def finish(self) -> Iterator[Picture]:
        """The stream has ended: the frames that were held back."""
        for one in self._stylizer.process(None):
            yield one.data.copy()

    def _check(self, frame: Picture) -> None:
        if not isinstance(frame, np.ndarray):
            kind = type(frame).__name__
            raise TypeError(f"got a frame of type {kind}, expected a NumPy array (uint8, RGB)")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(
                f"got a frame of {frame.dtype} {frame.shape}, expected uint8 RGB (height, width, 3)"
            )
        if not frame.size:
            raise ValueError(f"got a frame of shape {frame.shape}, expected one pixel or more")
        if self._shape not in (None, frame.shape):
            assert self._shape is not None
            raise ValueError(
                f"got a frame of {frame.shape[1]}x{frame.shape[0]} after frames of "
                f"{self._shape[1]}x{self._shape[0]}, expected one size; call reset() before "
                "another, or begin a new stream"
            )

    def _own(self, frame: Picture) -> Picture:
        """The frame in memory that nobody else writes to: it is compared with the next one."""
        size = frame.shape[1], frame.shape[0]
        if self._stylizer.sizes(size).model == size:
            return np.array(frame, order="C")
        return np.ascontiguousarray(frame)  # a resized copy is made of it at once
