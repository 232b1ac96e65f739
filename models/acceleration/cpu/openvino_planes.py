"""OpenVinoPlanes: the field planes of `models.fields` through OpenVINO, by the kinds of marks."""

from collections.abc import Callable
from pathlib import Path

import torch

from models.acceleration.cpu.openvino import OpenVinoCall
from models.fields import CarriedFields

EXAMPLE_PLANE_SIDE = 32


class OpenVinoPlanes:
    """`StemNetworks.planes_of` through OpenVINO, in float32: places are finer than bfloat16 tells.

    Args:
        threads: How many.
        on_failure: Told why, where OpenVINO refuses shapes.
        plans: As `OpenVinoCall` takes it.
    """

    def __init__(
        self, threads: int, on_failure: Callable[[str], None], plans: Path | None = None
    ) -> None:
        self._given = threads, on_failure, plans
        self._known: dict[tuple[str, ...], OpenVinoCall] = {}

    def __call__(self, kinds: tuple[str, ...]) -> OpenVinoCall:
        if kinds not in self._known:
            threads, on_failure, plans = self._given
            side = 2 * EXAMPLE_PLANE_SIDE
            shapes: list[tuple[int, ...]] = [(1, 3, side, side), (1, 1, side // 2, side // 2)]
            shapes += [(1, len(kinds))] if kinds else []
            self._known[kinds] = OpenVinoCall(
                CarriedFields(kinds),
                tuple(torch.zeros(shape) for shape in shapes),
                precision="f32",
                threads=threads,
                on_failure=on_failure,
                plans=plans,
            )
        return self._known[kinds]
