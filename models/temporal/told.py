"""What the engine is told of a stream with its frames, as tensors."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.advance import Advance
from models.temporal.memory import Memory

COUNT = len(Advance._fields)
"""Numbers of an `Advance`."""


class Told(NamedTuple):
    """An `Advance` on the device: the same numbers as tensors without a dimension."""

    kept: Tensor
    dt_s: Tensor
    starts: Tensor
    counts: Tensor
    settle_s: Tensor
    cut_difference: Tensor
    agree_levels: Tensor
    most_contrast: Tensor
    repaints: Tensor

    @classmethod
    def read(cls, row: Tensor) -> "Told":
        """From a row (`COUNT`,)."""
        return cls(*torch.unbind(row))


class Remembered(NamedTuple):
    """What a call of the engine is given of a stream.

    Attributes:
        memory: The stream's.
        advances: One for each frame of the call.
    """

    memory: Memory
    advances: Sequence[Advance]

    def rows(self) -> Tensor:
        """The advances as float32 (B, `COUNT`), on the host."""
        return torch.tensor([list(advance) for advance in self.advances], dtype=torch.float32)
