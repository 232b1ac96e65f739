"""Buffers: memory that is used again for every frame.

A fresh array of a picture's size is memory that the system has to map page by page, and at 512x512
that takes longer than the arithmetic on it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Buffers:
    """Named arrays; each holds what was last written to it. Not thread-safe."""

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """The array of that name, with what is left in it; a new one where another shape or type
        is asked for than before.
        """
        array = self._memory.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._memory[name] = np.empty(shape, dtype)
        return array
