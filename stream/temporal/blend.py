"""Blend: how much of its painted history each cell keeps, and Temporal, the state of one stream.

    x~_t = x_t + a (x~_{t-1} - x_t),   a = c · exp(-dt / tau)

x_t is what the model made of frame t alone, c the cell's confidence that nothing changed there
(`gate`), tau the time constant behind the knob `stability`. A cell that changed has c = 0 and
shows x_t itself: nothing lags, nothing ghosts. After a cut everything does.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.frame import Size
from stream.temporal import gate, shots

if TYPE_CHECKING:
    from torch import Tensor

STABILITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
TIME_CONSTANTS_S = (0.0, 0.060, 0.140, 0.240, 0.400)
"""tau at each of the stabilities above; linear in between."""

LONGEST_GAP_S = 1.0
"""A frame that comes later than this after the one before starts afresh."""


def check_stability(stability: float) -> float:
    """Return `stability`.

    Raises:
        ValueError: It is outside [0, 1].
    """
    if not 0 <= stability <= 1:
        raise ValueError(f"got stability={stability}, expected 0 to 1")
    return stability


def history_weight(dt_s: float, stability: float) -> float:
    """exp(-dt/tau): the share of the history that is left after `dt_s`, at any frame rate."""
    tau_s = float(np.interp(stability, STABILITIES, TIME_CONSTANTS_S))
    return float(np.exp(-dt_s / tau_s)) if tau_s > 0 else 0.0


def blend(latents: "Tensor", history: "Tensor", weight: "Tensor") -> "Tensor":
    """x + a (history - x): exactly x where a is 0, and where the two are equal.

    Args:
        latents, history: (1, C, h, w).
        weight: (h, w) in [0, 1].
    """
    return latents + weight * (history - latents)


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is to be done with the history for one frame.

    Attributes:
        weight: float32 (h, w), the share of the history that each cell keeps; ``None`` takes the
            new latents as they are, bit for bit.
        is_cut: The frame starts a new shot.
    """

    weight: NDArray[np.float32] | None = None
    is_cut: bool = False


class Temporal:
    """The memory of one stream: what was painted last and what it was painted from.

    For each frame in order: `decide` (on the host), `mix`, `update`. Not thread-safe; one per
    stream.
    """

    def __init__(self) -> None:
        self._history: Tensor | None = None
        self._look: gate.Look | None = None
        self._reference: NDArray[np.float32] | None = None
        self._thumbnail: NDArray[np.uint8] | None = None
        self._time_s = 0.0

    def reset(self) -> None:
        """Forget everything; the next frame is painted as if it were the first."""
        self._history = None
        self._look = None
        self._reference = None
        self._thumbnail = None

    def decide(
        self, data: NDArray[np.uint8], grid: Size, time_s: float, stability: float
    ) -> Decision:
        """Look at the next frame and say how much of the history each cell may keep.

        Args:
            data: uint8 RGB (H, W, 3) at the model's size.
            grid: (w, h) of the latents.
            time_s: The frame's media time.
            stability: 0 (off) to 1.
        """
        if stability == 0:
            self.reset()
            return Decision()
        dt_s = time_s - self._time_s
        previous, reference, seen = self._look, self._reference, self._thumbnail
        look, thumbnail = gate.look_at(data, grid), shots.thumbnail(data)
        self._look, self._thumbnail, self._time_s = look, thumbnail, time_s
        self._reference = look.cells
        if (
            previous is None
            or reference is None
            or seen is None
            or self._history is None
            or not 0 < dt_s <= LONGEST_GAP_S
        ):
            return Decision()
        if shots.content_difference(thumbnail, seen) > shots.CUT_DIFFERENCE:
            return Decision(is_cut=True)
        confidence = _confidence(look, previous, reference)
        weight = confidence * np.float32(history_weight(dt_s, stability))
        # the reference is mixed as the latents are: it is what the history was painted from
        self._reference = look.cells + weight[..., np.newaxis] * (reference - look.cells)
        return Decision(weight)

    def mix(self, latents: "Tensor", decision: Decision) -> "Tensor":
        """The new latents (1, C, h, w) with what is kept of the history."""
        if decision.weight is None or self._history is None:
            return latents
        import torch  # here: what imports this file must stay cheap to import

        # 4 bytes a cell, staged by the driver: without `non_blocking` it would wait for the model
        weight = torch.from_numpy(decision.weight).to(latents, non_blocking=True)
        return blend(latents, self._history, weight)

    def update(self, latents: "Tensor") -> None:
        """Keep a copy of what was shown: the history of the next frame."""
        self._history = latents.clone()


def _confidence(
    look: gate.Look, previous: gate.Look, reference: NDArray[np.float32]
) -> NDArray[np.float32]:
    pixels = gate.pixel_change(look.luma, previous.luma, look.grid)
    means = gate.mean_change(look.cells, reference)
    return gate.confidence(means, pixels, gate.sensor_noise(look.luma, pixels), look.cell_px)
