"""Networks compiled beside the frames take over, and never hold a frame up."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from miniature import make_engine, make_lcm
from painting import (
    STYLE,
    assert_same,
    make_data,
    make_frame,
    paint,
    ready,
)
from replays import Repeater
from torch import Tensor

from models import Engine
from models.acceleration.cuda import compiling as compiled
from models.acceleration.cuda.compile_spec import (
    PART_NAMES,
    make_compile_spec,
)
from models.acceleration.cuda.compiling import BuildingProcess, CompiledNetworks
from models.acceleration.cuda.device import Work
from models.acceleration.cuda.graphs import FrameGraphs
from models.acceleration.cuda.inductor_cache import InductorCache
from models.acceleration.cuda.whole_frame import Parts


@pytest.fixture
def cache(tmp_path: Path) -> InductorCache:
    return InductorCache(tmp_path / "compiled")


def fill(folder: Path, text: str = "kernels") -> None:
    for name in PART_NAMES:
        (folder / f"{name}.bin").write_text(f"{text} {name}")


class _Build:
    """A compiler that waits for its cue."""

    def __init__(self, *, code: int = 0, waits: bool = False) -> None:
        self.folders: list[Path] = []
        self.is_cancelled = False
        self._code = code
        self._cue = threading.Event()
        if not waits:
            self._cue.set()

    def __call__(self, folder: Path) -> "_Build":
        self.folders.append(folder)
        return self

    def wait(self) -> int:
        self._cue.wait()
        folder = self.folders[-1]
        (folder / compiled.LOG_NAME).write_text("lines\nno such compiler\n\n")
        if self._code == 0:
            fill(folder)
        return -9 if self.is_cancelled else self._code

    def cancel(self) -> None:
        self.is_cancelled = True
        self._cue.set()


class _Load:
    """Loads the engine's own networks, counted."""

    def __init__(self, *, fails: int = 0, error: type[RuntimeError] = RuntimeError) -> None:
        self.fails = fails
        self.error = error
        self.calls: list[str] = []

    def __call__(self, folder: Path, own: Parts) -> Parts:
        assert (folder / "body.bin").read_text() == "kernels body"
        if self.fails:
            self.fails -= 1
            raise self.error("made for another machine")
        return Parts(*(self._counted(name, getattr(own, name)) for name in PART_NAMES))

    def _counted(self, name: str, part: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: Tensor) -> Tensor:
            self.calls.append(name)
            return part(*inputs)

        return call


@pytest.fixture
def make_compiled(cache: InductorCache) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(build: Any, load: Any, mode: Any = "now", device: Any = None) -> Engine:
        engine = ready(make_engine(make_lcm()))
        device = device or Repeater()
        networks = CompiledNetworks(engine, device, cache, mode, build, load)
        engine.painter = FrameGraphs(engine, device, networks)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def jobs(engine: Engine) -> list[Any]:
    painter: Any = engine.painter
    return list(painter._compiled._jobs.values())


def test_now_paints_the_first_frame_with_compiled_networks(
    make_compiled: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    build, load = _Build(), _Load()
    engine = make_compiled(build, load)
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    assert load.calls[-4:] == ["opening", "body", "body", "closing"]  # two steps
    assert engine.notes == ["paints with compiled kernels"]
    paint(engine, replace(STYLE, num_inference_steps=1))  # the same networks in another graph
    assert load.calls[-3:] == ["opening", "body", "closing"]
    assert len(build.folders) == 1
    assert [r.getMessage() for r in caplog.records if "compiling" in r.getMessage()] == [
        "compiling kernels for 64x48: this takes minutes, once on this machine"
    ]


def test_later_start_compiles_nothing(make_compiled: Callable[..., Engine]) -> None:
    build = _Build()
    for _ in range(2):
        paint(make_compiled(build, _Load()), STYLE)
    assert len(build.folders) == 1


def test_auto_paints_on_and_swaps_between_frames(
    make_compiled: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "FRAMES_BEFORE_BUILDING", 3)
    build, load = _Build(waits=True), _Load()
    engine = make_compiled(build, load, "auto")
    plain = make_engine(make_lcm())
    for index in range(5):  # the fourth asks for it; none waits
        assert_same(paint(engine, STYLE, make_data(index)), paint(plain, STYLE, make_data(index)))
    assert not load.calls and len(jobs(engine)) == 1
    build._cue.set()
    assert jobs(engine)[0].done.wait(600)
    load.calls.clear()  # of the trial
    for index in range(5):
        assert_same(paint(engine, STYLE, make_data(index)), paint(plain, STYLE, make_data(index)))
    assert load.calls.count("opening") >= 5
    assert engine.notes == ["paints with compiled kernels"]


def test_a_few_frames_start_no_compiler(make_compiled: Callable[..., Engine]) -> None:
    build = _Build()
    engine = make_compiled(build, _Load(), "auto")
    for index in range(5):
        paint(engine, STYLE, make_data(index))
    assert not build.folders


def test_what_is_on_disk_is_taken_at_once(make_compiled: Callable[..., Engine]) -> None:
    paint(make_compiled(_Build(), _Load()), STYLE)
    build, load = _Build(), _Load()
    engine = make_compiled(build, load, "auto")
    paint(engine, STYLE)
    assert jobs(engine)[0].done.wait(600)
    paint(engine, STYLE)
    assert load.calls and not build.folders


@pytest.mark.parametrize(
    ("build", "load", "reason"),
    [
        (_Build(code=3), _Load(), "the compiler ended with 3: no such compiler"),
        (_Build(), _Load(fails=9), "made for another machine"),
    ],
    ids=["build", "load"],
)
def test_failure_is_said_once_and_painting_goes_on(
    make_compiled: Callable[..., Engine], build: _Build, load: _Load, reason: str
) -> None:
    engine = make_compiled(build, load)
    for _ in range(3):
        assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    assert engine.notes == [f"kernels are not compiled: {reason}"]
    assert len(build.folders) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unforeseen_error_leaves_nobody_waiting(make_compiled: Callable[..., Engine]) -> None:
    load = _Load()
    errors: list[type[BaseException]] = [ZeroDivisionError]

    def fails_first(folder: Path, own: Parts) -> Parts:
        if errors:
            raise errors.pop()
        return load(folder, own)

    engine = make_compiled(_Build(), fails_first)
    paint(engine, STYLE)
    assert engine.notes == ["kernels are not compiled: it was broken off"]
    paint(engine, STYLE, make_data(1, (32, 32)))  # another shape, another try
    assert load.calls


def test_damaged_cache_is_made_again(
    make_compiled: Callable[..., Engine], cache: InductorCache, tmp_path: Path
) -> None:
    build = _Build()
    paint(make_compiled(build, _Load()), STYLE)
    next(tmp_path.glob("compiled/*/body.bin")).write_text("half")
    paint(make_compiled(build, _Load()), STYLE)
    assert len(build.folders) == 2
    load = _Load(fails=1)  # whole, but for another Inductor
    engine = make_compiled(build, load)
    paint(engine, STYLE)
    assert len(build.folders) == 3
    assert load.calls and engine.notes == ["paints with compiled kernels"]


def test_too_little_memory_is_no_fault_of_the_files(make_compiled: Callable[..., Engine]) -> None:
    build = _Build()
    paint(make_compiled(build, _Load()), STYLE)
    engine = make_compiled(build, _Load(fails=1, error=torch.OutOfMemoryError))
    paint(engine, STYLE)
    assert any("not compiled" in note for note in engine.notes)
    paint(make_compiled(build, _Load()), STYLE)
    assert len(build.folders) == 1


def test_networks_that_cannot_be_captured_are_tried_once(
    make_compiled: Callable[..., Engine],
) -> None:
    class Full(Repeater):
        def capture(self, work: Work, pool: object) -> Work:
            if self.captures:
                self.captures += 1
                raise torch.OutOfMemoryError("full")
            return super().capture(work, pool)

    paint(make_compiled(_Build(), _Load()), STYLE)
    device = Full()
    engine = make_compiled(_Build(), _Load(), "auto", device)
    paint(engine, STYLE)
    assert jobs(engine)[0].done.wait(600)
    for index in range(5):
        assert_same(
            paint(engine, STYLE, make_data(index)),
            paint(make_engine(make_lcm()), STYLE, make_data(index)),
        )
    assert device.captures <= 2  # one where the compiler was done before the first picture


def test_close_ends_the_compiler_and_its_thread(
    make_compiled: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiled, "FRAMES_BEFORE_BUILDING", 0)
    build = _Build(waits=True)
    engine = make_compiled(build, _Load(), "auto")
    paint(engine, STYLE)
    painter: Any = engine.painter
    worker = painter._compiled._worker
    engine.close()
    assert worker._threads and not any(thread.is_alive() for thread in worker._threads)
    assert build.is_cancelled or not build.folders
    assert not list(tmp_path.glob("compiled/*"))  # nothing half made stays
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    engine.close()


@pytest.mark.slow
def test_compiler_in_a_process_of_its_own_fails_in_words(
    cache: InductorCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the user's own code has a package of that name."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    engine = ready(make_engine(make_lcm()))
    folder = cache.begin(make_compile_spec(engine, make_frame(engine)))
    facts = json.loads((folder / "blueprint.json").read_text())
    facts["vae"]["latent_channels"] = "many"
    (folder / "blueprint.json").write_text(json.dumps(facts))
    assert BuildingProcess(folder).wait() == 1
    assert compiled._last_words(folder).startswith("TypeError: ")


@pytest.mark.slow
def test_compiler_in_a_process_of_its_own_can_be_ended(cache: InductorCache) -> None:
    engine = ready(make_engine(make_lcm()))
    building = BuildingProcess(cache.begin(make_compile_spec(engine, make_frame(engine))))
    building.cancel()
    assert building.wait() != 0


@pytest.mark.slow
def test_compiler_ends_with_the_process_that_started_it(cache: InductorCache) -> None:
    engine = ready(make_engine(make_lcm()))
    folder = cache.begin(make_compile_spec(engine, make_frame(engine)))
    building = BuildingProcess(folder)
    stdin: Any = building._process.stdin
    stdin.close()  # what is left of a process that was killed
    assert building.wait() == 1
    assert compiled._last_words(folder) == "without a word"
