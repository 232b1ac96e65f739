"""Batches: paints pictures several at a time behind an interface for single pictures.

A batch starts when it is full, or when one of its pictures is needed earlier; then it is padded
with copies of its last picture. Every call of the engine so has one shape, which is captured or
compiled once. Called by `stylizer.py`.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from models import Advance
from stream.stylizer.causal_order import Data, Painting
from stream.temporal.noise import Places

BeginBatch = Callable[[Data, Sequence[Places | None], Sequence[Advance | None]], Painting]
"""Begins to paint uint8 (B, H, W, 3), each picture under noise from its own places; an engine that
remembers is told how the stream goes on with each."""


class Batches:
    """`stream.stylizer.causal_order.Begin` for one picture, by calls for several. Not thread-safe.

    Args:
        begin: BeginBatchs to paint uint8 (B, H, W, 3).
        size: B.
    """

    def __init__(self, begin: BeginBatch, size: int) -> None:
        self._begin = begin
        self._size = size
        self._batch = Batch(begin, size)

    def begin(
        self, data: Data, places: Places | None = None, advance: Advance | None = None
    ) -> Painting:
        """Take the next picture, (H, W, 3); all of a batch have one size and one style."""
        if self._batch.is_begun:
            self._batch = Batch(self._begin, self._size)
        return self._batch.add(data, places, advance)


class Batch:
    """Pictures that are painted together; see `Batches`."""

    def __init__(self, begin: BeginBatch, size: int) -> None:
        self._begin = begin
        self._size = size
        self._data: list[Data] = []
        self._places: list[Places | None] = []
        self._advances: list[Advance | None] = []
        self._painting: Painting | None = None
        self._painted: Data | None = None

    @property
    def is_begun(self) -> bool:
        return self._painting is not None

    def add(
        self, data: Data, places: Places | None = None, advance: Advance | None = None
    ) -> Painting:
        """Take a picture of a batch that is not begun."""
        index = len(self._data)
        self._data.append(data)
        self._places.append(places)
        self._advances.append(advance)
        if len(self._data) == self._size:
            self._painting = self._started()
        return partial(self._picture, index)

    def _started(self) -> Painting:
        data, self._data = self._data, []
        rest = self._size - len(data)
        last = self._advances[-1]
        unseen = None if last is None else last._replace(counts=0.0)
        return self._begin(
            np.stack(data + [data[-1]] * rest),
            self._places + [self._places[-1]] * rest,
            self._advances + [unseen] * rest,
        )

    def _picture(self, index: int) -> Data:
        if self._painted is None:
            self._painting = self._painting or self._started()
            self._painted = self._painting()
        picture: Data = self._painted[index]
        return picture
