"""Device: the few functions of a GPU's runtime that a frame needs, and their CUDA implementation.

Three streams (upload, compute, download), events between them, host memory that a copy need not
wait for, and capture. Behind a protocol, so that the order of things is proven without a GPU
(tests/support/replays.py records and replays on a CPU, and runs every stream as late as it may).
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

Work = Callable[[], None]

HEAD_START_CYCLES = 1_000_000
"""Of the GPU's clock: half a millisecond or more."""


class Event(Protocol):
    """A point in a stream's work."""

    def synchronize(self) -> None:
        """Let the host wait until the work before it is done."""


class Device(Protocol):
    """A GPU as a frame sees it. Streams are opaque; work in one runs in order.

    Attributes:
        name: What its maker calls it.
        upload, compute, download: The three streams. `compute` is the calling thread's current
            one, so what torch did there before needs no event.
    """

    name: str
    upload: Any
    compute: Any
    download: Any

    def launch(self, stream: Any, work: Work) -> None:
        """Have `work` done in a stream; the host does not wait for it."""

    def record(self, stream: Any) -> Event:
        """An event after all work that the stream was given so far."""

    def wait(self, stream: Any, event: Event) -> None:
        """Let a stream, not the host, wait for an event."""

    def aside(self, work: Work) -> None:
        """Do `work` on a stream of its own and wait for it; also from another thread."""

    def seconds(self, work: Work) -> float:
        """Do `work` on the compute stream and say how long the device was at it."""

    def host(self, shape: tuple[int, ...]) -> Tensor:
        """A uint8 tensor in page-locked host memory."""

    def pool(self) -> Any:
        """Memory to share between captures of which one is replayed at a time."""

    def capture(self, work: Work, pool: Any) -> Work:
        """Record `work` without doing it; what comes back does it, in one launch."""


class Cuda:
    """`Device` by torch.cuda.

    Args:
        device: Which GPU; streams are made on it.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda: Any = torch.cuda  # partly without types
        self._device = device
        self.name = self._cuda.get_device_name(device)
        self.compute = self._cuda.current_stream(device)
        self.upload = self._cuda.Stream(device)
        self.download = self._cuda.Stream(device)
        self._side = self._cuda.Stream(device)  # torch's own for captures is on the first GPU used
        # what Triton does to find its quickest variant, in `aside`, would end any capture
        self._alone = threading.Lock()

    def launch(self, stream: Any, work: Work) -> None:
        with self._cuda.device(self._device), self._cuda.stream(stream):
            work()

    def record(self, stream: Any) -> Event:
        event: Event = stream.record_event()
        return event

    def wait(self, stream: Any, event: Event) -> None:
        stream.wait_event(event)

    def aside(self, work: Work) -> None:
        stream = self._cuda.Stream(self._device)
        with self._alone:
            self.launch(stream, work)
            stream.synchronize()

    def seconds(self, work: Work) -> float:
        start, end = (self._cuda.Event(enable_timing=True) for _ in range(2))
        # while it sleeps, all is queued: launches must not be what is timed
        self.launch(self.compute, lambda: self._cuda._sleep(HEAD_START_CYCLES))
        start.record(self.compute)
        self.launch(self.compute, work)
        end.record(self.compute)
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000

    def host(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)

    def pool(self) -> Any:
        return self._cuda.graph_pool_handle()

    def capture(self, work: Work, pool: Any) -> Work:
        graph = self._cuda.CUDAGraph()
        # another thread's calls (a decoder's, a compiler's) must not spoil this capture
        mode = {"pool": pool, "stream": self._side, "capture_error_mode": "thread_local"}
        with (
            self._alone,
            self._cuda.device(self._device),
            self._cuda.stream(self.compute),  # a capture that fails does not go back to it
            self._cuda.graph(graph, **mode),
        ):
            work()
        replay: Work = graph.replay
        return replay
