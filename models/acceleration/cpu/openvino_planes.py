"""OpenVinoPlanes: the field planes of `models.fields` through OpenVINO, by the kinds of marks.

Their traces are kept beside the compiled plans: tracing takes a second at every start, and OpenVINO
compiles what is traced anew anew, because the names in it differ.
"""

import shutil
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from models.acceleration.cpu.openvino import OpenVinoCall, Shapes, seal
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
        self._making: dict[tuple[str, ...], threading.Lock] = {}

    def preparation(
        self, kinds: tuple[str, ...], image: tuple[int, ...]
    ) -> Callable[[], object] | None:
        """What an image of this shape would have to wait for, as `OpenVinoCall.preparation`."""
        plane = (1, 1, image[2] // 2, image[3] // 2)
        shapes = (image, plane, (1, len(kinds))) if kinds else (image, plane)
        call = self._known.get(kinds)
        return None if call is not None and call.has(shapes) else partial(self._make, kinds, shapes)

    def _make(self, kinds: tuple[str, ...], shapes: Shapes) -> None:
        self(kinds).prepare(shapes)

    def __call__(self, kinds: tuple[str, ...]) -> OpenVinoCall:
        if kinds in self._known:
            return self._known[kinds]
        with self._making.setdefault(kinds, threading.Lock()):
            if kinds not in self._known:
                self._known[kinds] = self._kept(kinds) or self._call(kinds, _examples(kinds))
        return self._known[kinds]

    def _kept(self, kinds: tuple[str, ...]) -> OpenVinoCall | None:
        """From its kept trace, which is made first if need be; ``None`` where none can be written.

        Without a folder the trace goes through a passing one: what is read computes the last bits
        otherwise than what was traced, and every start is to paint the same bytes.
        """
        plans = self._given[2]
        with suppress(OSError, RuntimeError), ExitStack() as stack:
            folder = plans or Path(stack.enter_context(TemporaryDirectory()))
            trace = folder / f"fields-{'-'.join(kinds) or 'unmarked'}.xml"
            if not (trace.is_file() and trace.with_suffix(".bin").is_file()):
                _keep(self._call(kinds, _examples(kinds)), trace)
            return self._call(kinds, trace)
        return None

    def _call(
        self, kinds: tuple[str, ...], traced: tuple[torch.Tensor, ...] | Path
    ) -> OpenVinoCall:
        threads, on_failure, plans = self._given
        return OpenVinoCall(
            CarriedFields(kinds),
            traced,
            precision="f32",
            threads=threads,
            on_failure=on_failure,
            plans=plans,
        )


def _examples(kinds: tuple[str, ...]) -> tuple[torch.Tensor, ...]:
    side = 2 * EXAMPLE_PLANE_SIDE
    shapes: list[tuple[int, ...]] = [(1, 3, side, side), (1, 1, side // 2, side // 2)]
    shapes += [(1, len(kinds))] if kinds else []
    return tuple(torch.zeros(shape) for shape in shapes)


def _keep(call: OpenVinoCall, trace: Path) -> None:
    """Write a trace whole or not at all: another process may be starting.

    Raises:
        OSError, RuntimeError: It cannot be written.
    """
    fresh = trace.with_name(f".{uuid.uuid4().hex}")
    try:
        fresh.mkdir()
        call.save(fresh / trace.name)
        for suffix in (".bin", ".xml"):  # who finds the .xml finds both
            (fresh / trace.name).with_suffix(suffix).replace(trace.with_suffix(suffix))
        seal(trace.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
