"""CUDA's answers to what a frame needs of a GPU, held against a stand-in for torch.cuda."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from models.acceleration.cuda.device import Cuda


class _Stream:
    def __init__(self, device: object = None, name: str = "side") -> None:
        self.name = name
        self.calls: list[tuple[str, object]] = []

    def record_event(self) -> "_Event":
        return _Event(self)

    def wait_event(self, event: "_Event") -> None:
        self.calls.append(("wait", event.stream))

    def synchronize(self) -> None:
        self.calls.append(("synchronize", None))


class _Event:
    def __init__(self, stream: _Stream | None = None, enable_timing: bool = False) -> None:
        self.stream = stream
        self.is_timing = enable_timing
        self.is_waited_for = False

    def record(self, stream: _Stream) -> None:
        self.stream = stream

    def synchronize(self) -> None:
        self.is_waited_for = True

    def elapsed_time(self, end: "_Event") -> float:
        assert self.is_timing and end.is_timing and end.is_waited_for
        return 2.0


class _Graph:
    replays = 0

    def replay(self) -> None:
        self.replays += 1


class _FakeCuda:
    """Notes on which device and stream things happen."""

    CUDAGraph, Stream = _Graph, _Stream

    def __init__(self) -> None:
        self.main = _Stream(name="main")
        self.current: list[Any] = [self.main]
        self.devices: list[object] = []
        self.captured: list[dict[str, Any]] = []
        self.slept: list[Any] = []

    def Event(self, enable_timing: bool = False) -> _Event:
        return _Event(None, enable_timing)

    def current_stream(self, device: torch.device) -> _Stream:
        return self.main

    def get_device_name(self, device: torch.device) -> str:
        return f"GPU {device.index}"

    def graph_pool_handle(self) -> str:
        return "pool"

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        self.devices.append(device)
        yield

    def _sleep(self, cycles: int) -> None:
        self.slept.append(self.current[-1])

    @contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        before = list(self.current)
        self.current.append(stream)
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: _Graph, **settings: Any) -> Iterator[None]:
        """As torch's: a capture that fails leaves its stream the current one."""
        self.captured.append(settings)
        self.current.append(settings["stream"])
        yield
        self.current.pop()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> _FakeCuda:
    cuda = _FakeCuda()
    monkeypatch.setattr(torch, "cuda", cuda)
    return cuda


GPU = torch.device("cuda:1")


def test_work_runs_on_its_stream_and_gpu(fake: _FakeCuda) -> None:
    device, seen = Cuda(GPU), []
    for stream in (device.upload, device.compute, device.download):
        device.launch(stream, lambda: seen.append(fake.current[-1]))
    assert seen == [device.upload, fake.main, device.download]
    assert len({id(stream) for stream in seen}) == 3
    assert fake.devices == [GPU] * 3 and device.name == "GPU 1"


def test_streams_wait_for_streams_not_the_host(fake: _FakeCuda) -> None:
    device = Cuda(GPU)
    event: Any = device.record(device.upload)
    device.wait(device.compute, event)
    assert fake.main.calls == [("wait", device.upload)] and not event.is_waited_for


def test_capture_is_on_a_stream_of_this_gpu_and_bears_other_threads(fake: _FakeCuda) -> None:
    device = Cuda(GPU)
    runs: list[int] = []
    replay: Any = device.capture(lambda: runs.append(1), device.pool())
    (settings,) = fake.captured
    assert settings["pool"] == "pool" and settings["capture_error_mode"] == "thread_local"
    assert settings["stream"] not in (device.upload, device.compute, device.download)
    assert fake.devices == [GPU] and runs == [1]
    replay()
    assert replay.__self__.replays == 1


def test_a_failed_capture_leaves_the_thread_on_its_stream(fake: _FakeCuda) -> None:
    def fail() -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    device = Cuda(GPU)
    with pytest.raises(RuntimeError, match="not permitted"):
        device.capture(fail, device.pool())
    assert fake.current == [fake.main]
    device.capture(lambda: None, device.pool())  # and nobody waits for ever


def test_nothing_is_tried_aside_while_a_frame_is_captured(fake: _FakeCuda) -> None:
    device, order = Cuda(GPU), []
    aside = threading.Thread(target=device.aside, args=(lambda: order.append("aside"),))

    def work() -> None:
        aside.start()
        aside.join(0.2)
        order.append("captured")

    device.capture(work, device.pool())
    aside.join()
    assert order == ["captured", "aside"]


def test_work_aside_is_waited_for_and_timed_work_is_timed(fake: _FakeCuda) -> None:
    device, seen = Cuda(GPU), []
    device.aside(lambda: seen.append(fake.current[-1]))
    assert seen[0].calls == [("synchronize", None)] and seen[0] is not device.compute
    assert device.seconds(lambda: seen.append(SimpleNamespace())) == 0.002
    assert fake.slept == [device.compute]  # all is queued before it is timed
