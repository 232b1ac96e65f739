"""OutputFrames: turns painted pictures into output frames, in order and resized to the output size.

Needs no model, and may run in another thread than the one that paints. Called by `stylizer.py`.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.frame import Frame, Size
from stream.stats import Stats
from stream.stylizer.causal_order import Later
from stream.stylizer.prepared_style import Latest
from stream.stylizer.regions import composed


class OutputFrames:
    """Finishes the frames of one stream. Not thread-safe.

    Args:
        stats: Where stage times go.
    """

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._ready: deque[Frame] = deque()
        # the painted picture, which keeps its id from being used again, and the resized one
        self._output: Latest[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = Latest()

    def take(self, later: Sequence[Later], size: Size, *, is_end: bool) -> Iterable[Frame]:
        """Do what is left to do for a painted frame.

        Args:
            later: What that is.
            size: (width, height) of the output.
            is_end: Give out all that is ready, each brought to its size when it is taken;
                otherwise one frame at most, so that whoever writes them has no rush.
        """
        for step in later:
            self._ready.extend(step())
        if is_end:
            rest, self._ready = self._ready, deque()
            return map(partial(self._brought, size=size), rest)
        return [self._brought(self._ready.popleft(), size)] if self._ready else []

    def _brought(self, frame: Frame, size: Size) -> Frame:
        """The frame at the output's size; a picture shown again is not resized again."""
        data = frame.data
        with self._stats.stage("finish"):
            self._output.make(id(data), lambda: (data, geometry.resize(data, size)))
            brought = self._output.value[1]
            if frame.mask is None or frame.unpainted is None:
                return frame.replace(brought)
            around = geometry.resize(frame.unpainted, size)
            return frame.replace(composed(around, brought, frame.mask), mask=None, unpainted=None)


class Painted(NamedTuple):
    """What `Stylizer.paint` leaves to `Stylizer.finish`.

    Attributes:
        output_frames: Of its stream.
        later: What is left to do.
        size: (width, height) of the output; ``None`` where there was no frame yet.
        is_end: Whether the stream ends here.
    """

    output_frames: OutputFrames
    later: Sequence[Later]
    size: Size | None
    is_end: bool = False
