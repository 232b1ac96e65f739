"""A GPU's runtime on the CPU, as strict as the real one: what is captured runs without its Python.

`Recorder.capture` keeps the operations of a function and the memory that they read and write, and a
replay does these again: a number that was a Python number when it was captured stays what it was.
Its streams run as late as events allow, or (with a random generator) here and there earlier, so
what is not joined by an event happens in the wrong order.
"""

import random
from typing import Any

import torch
from painting import divided
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import Engine
from models.acceleration.cuda.device import Work
from models.acceleration.cuda.graphs import FrameGraphs

WAITING_OPERATIONS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"}


class Recorder:
    """`models.acceleration.cuda.device.Device` on the CPU.

    Attributes:
        captures: How many functions were captured.
        waits: How often the host waited for an event.
    """

    name = "a recorder"

    def __init__(self, order: random.Random | None = None) -> None:
        self.captures = 0
        self.waits = 0
        self._order = order
        self.upload, self.compute, self.download = (_Stream() for _ in range(3))

    def launch(self, stream: "_Stream", work: Work) -> None:
        stream.add(work)
        if self._order is not None and self._order.random() < 0.5:
            streams = (self.upload, self.compute, self.download)
            self._order.choice(streams).run()

    def record(self, stream: "_Stream") -> "_Event":
        return _Event(self, stream)

    def wait(self, stream: "_Stream", event: "_Event") -> None:
        stream.add(event.reach)

    def aside(self, work: Work) -> None:
        work()

    def seconds(self, work: Work) -> float:
        self.compute.run()
        work()
        return 1.0

    def host(self, shape: tuple[int, ...]) -> Tensor:
        return torch.full(shape, 77, dtype=torch.uint8)

    def pool(self) -> object:
        return object()

    def capture(self, work: Work, pool: object) -> Work:
        self.settle()
        recording = _Recording()
        with recording:
            work()
        recording.spoil()
        return recording.replay

    def settle(self) -> None:
        """What begins a capture: all that is queued is done first, as `torch.cuda.graph` has it."""
        self.captures += 1
        for stream in (self.upload, self.compute, self.download):
            stream.run()


class Repeater(Recorder):
    """The same for functions whose operations cannot be seen (compiled ones): runs them anew."""

    def capture(self, work: Work, pool: object) -> Work:
        self.settle()
        return work


def graphed(engine: Engine, device: Recorder | None = None) -> Engine:
    """An engine whose frames are replayed."""
    divided(engine).painter = FrameGraphs(engine, device or Recorder())
    return engine


class _Stream:
    def __init__(self) -> None:
        self._queue: list[Work] = []
        self.added = self.done = 0

    def add(self, work: Work) -> None:
        self._queue.append(work)
        self.added += 1

    def run(self, until: int | None = None) -> None:
        until = self.added if until is None else until
        while self.done < until:
            work = self._queue.pop(0)
            work()
            self.done += 1


class _Event:
    def __init__(self, device: Recorder, stream: _Stream) -> None:
        self._device = device
        self._stream = stream
        self._place = stream.added

    def reach(self) -> None:
        self._stream.run(self._place)

    def synchronize(self) -> None:
        self._device.waits += 1
        self.reach()


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operations of a function with the tensors they read and wrote."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._operations: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.name() not in WAITING_OPERATIONS, "the host waits"
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        writes = any(a.alias_info and a.alias_info.is_write for a in func._schema.arguments)
        given = {place(tensor) for tensor in tensors((args, kwargs))}
        made = [tensor for tensor in tensors(result) if place(tensor) not in given]
        if writes or made:  # else it is a view, which stays one
            self._operations.append((func, args, kwargs, [] if writes else made))
        return result

    def spoil(self) -> None:
        """A capture computes nothing: what was made in it is worth nothing until a replay."""
        with torch.inference_mode():
            for _, _, _, made in self._operations:
                for tensor in made:
                    tensor.fill_(torch.nan if tensor.is_floating_point() else 1)

    @torch.inference_mode()
    def replay(self) -> None:
        for func, args, kwargs, made in self._operations:
            result = func(*args, **kwargs)
            for ours, new in zip(made, tensors(result) if made else (), strict=True):
                ours.copy_(new)


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
