"""Painter: the interface of fast paths that paint whole frames in place of single network calls."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.conditioning import Conditioning
from models.schedule import Schedule
from models.temporal import Remembered

Painting = Callable[[], NDArray[np.uint8]]
"""A picture to come: uint8 RGB; the first call waits for it."""


class Painter(Protocol):
    """Whole frames, bytes to bytes, by a faster way than call after call.

    Attributes:
        in_flight: Frames that are worth having on their way beside the caller's own work.
    """

    in_flight: int

    def begin(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        cell_px: int | None = None,
        remembered: Remembered | None = None,
    ) -> Painting:
        """As `Engine.begin`."""

    def close(self) -> None:
        """End what it has running beside."""


class LoraSwitch(Protocol):
    """Changes the LoRAs of an engine while it paints: `models.weights.lora_choice.LoraChoice`."""

    def attach(self, engine: Any) -> None:
        """Begin, on an engine that has its fast path."""

    def choose(self, asked: str) -> None:
        """Have what `Style.loras` asks for."""
