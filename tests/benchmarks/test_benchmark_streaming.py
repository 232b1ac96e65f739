"""The benchmarks of the streaming layer and of whole files, on small pictures and fake models."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streaming
import throughput
from fakes import FakeEngine
from material import cut, write_clip
from streaming import DeviceEngine, FreeEngine, MemorySource, make_ways, measure

from stream import Frame, ManualClock, open_source

COUNT = 5
SIZE = (64, 48)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 256, (COUNT, SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return [Frame(data, index, streaming.Fraction(1, 24)) for index, data in enumerate(pictures)]


class CountingEngine(FreeEngine):
    """Counts the pictures that it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def paint(self, data: np.ndarray, *_: object) -> np.ndarray:
        self.count += 1
        return data

    def picture(self, data: np.ndarray, *_: object) -> np.ndarray:
        return self.paint(data)

    def begin(self, data: np.ndarray, *_: object, **__: object) -> Callable[[], np.ndarray]:
        painted = self.paint(data)
        return lambda: painted


@pytest.mark.parametrize(
    "name",
    [
        *("bare engine", "stylizer", "session", "stylizer, stable", "stylizer, latent"),
        *("session, stable", "session, look-ahead"),
    ],
)
def test_each_way_paints_every_frame(frames: list[Frame], name: str) -> None:
    engine = CountingEngine()
    make_ways(engine, frames)[name]()
    assert engine.count == COUNT


def test_a_device_paints_while_the_host_works(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(50.0)
    time = SimpleNamespace(perf_counter=clock.now_s, sleep=clock.advance)
    monkeypatch.setattr(streaming, "time", time)
    engine, data = DeviceEngine(0.3), np.zeros((4, 4, 3), np.uint8)
    waits = [engine.begin(data) for _ in range(2)]
    assert clock.now_s() == 50
    clock.advance(0.2)  # the host's work
    ends_s = [clock.now_s() for wait in waits if wait() is data]
    assert ends_s == pytest.approx([50.3, 50.6])


def test_costs_are_beside_the_bare_engine(
    frames: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {"bare engine": 1.0, "session": 1.5}
    monkeypatch.setattr(streaming, "make_ways", lambda engine, frames: {n: n for n in ways})
    monkeypatch.setattr(streaming, "timed_ms", lambda name, count: (ways[name], 2 * ways[name]))
    found = measure(FreeEngine(), frames, rounds=3)
    assert found["bare engine"] == {"p50_ms": 1.0}
    assert found["session"]["cost_ms"] == found["session"]["cost_p95_ms"] == 0.5
    assert found["session"]["processor_cost_ms"] == 1.0


def test_a_source_from_memory_ends(frames: list[Frame]) -> None:
    source = MemorySource(frames)
    assert [frame.pts for frame in source] == list(range(COUNT))
    assert source.read() is None and source.info.size == SIZE


@pytest.mark.parametrize("size", [(10, 10), (20, 5), (5, 20)])
def test_the_middle_is_cut_out_in_the_shape_asked_for(size: tuple[int, int]) -> None:
    data = np.zeros((48, 64, 3), np.uint8)
    data[20:28, 28:36] = 255
    kept = cut(data, size)
    height, width = kept.shape[:2]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.1)
    assert width == 64 or height == 48
    assert np.argwhere(kept[..., 0]).mean(axis=0) == pytest.approx((height / 2, width / 2), abs=1)


def test_a_file_is_painted_whole_and_its_stages_shown(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", SIZE, COUNT)
    with open_source(tmp_path / "clip.mp4") as source:
        assert source.info.size == SIZE
    engine = FakeEngine()
    run = throughput.run_file(tmp_path / "clip.mp4", engine, engine.default_style)
    assert run["frames_out"] == COUNT and run["processor_ms"] > 0
    row = {"size": SIZE, "fps_wished": None, "fps": run["fps"], "processor_ms": 1.0}
    table = throughput.file_table(
        [{**row, "stages": throughput.median_stages([run["stages"]] * 2)}]
    )
    stages = list(table.columns[0].cells)
    assert stages[:2] == ["frames a second", "wished for"]
    assert {"read, ms", "write, ms", "denoise, ms"} <= {*stages} or "paint, ms" in stages
