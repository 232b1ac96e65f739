"""Buffers: preallocated arrays that are reused for every frame.

The system maps a new array of a picture's size page by page, and at 512x512 that takes longer than
the arithmetic on it.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Buffers:
    """Memory by name; each holds what was last written to it. Not thread-safe."""

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """An array in the memory of that name, with what is left there, until it is taken again.

        The memory grows when more is asked for than ever before.
        """
        count = math.prod(shape)
        memory = self._memory.get(name)
        if memory is None or memory.size < count or memory.dtype != dtype:
            memory = self._memory[name] = np.empty(count, dtype)
        return memory[:count].reshape(shape)
