"""Compiled networks paint the same, are kept under the right name, and never hold a frame up."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature import SIZE, make_engine, make_instruct_pix2pix, make_lcm, make_sdxl, make_unet
from replays import Repeater
from test_acceleration_graphs import (
    STYLE,
    assert_same,
    divided,
    make_bundled_like,
    make_data,
    paint,
    recipe,
)
from torch import Tensor, nn

from models import Engine
from models.acceleration import blueprint as blueprints
from models.acceleration import compiled
from models.acceleration.artifacts import MOST_KEPT, Artifacts, CompiledPart
from models.acceleration.blueprint import (
    PART_NAMES,
    Blueprint,
    UncompilableError,
    inputs_of,
    make_blueprint,
    weights_of,
)
from models.acceleration.build import build, compile_part
from models.acceleration.compiled import BuildingProcess, CompiledNetworks
from models.acceleration.cuda import accelerate_cuda
from models.acceleration.frame import FrameFunction, Parts
from models.acceleration.graphs import FrameGraphs

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="Inductor compiles C++ on a CPU, and there is neither g++ nor clang++",
)

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "lcm": lambda _: make_engine(make_lcm()),
    "tiny": lambda _: make_engine(make_lcm(vae="tiny", guidance_width=None)),
    "sdxl": lambda _: make_engine(make_sdxl()),
    "pix2pix": lambda _: make_engine(make_instruct_pix2pix(), frame_is_scaled=False),
    "bundled": make_bundled_like,
}


def ready(engine: Engine) -> Engine:
    """Split and channels_last, as on a GPU."""
    networks: Any = engine.networks
    convert: Any = nn.Module.to
    for module in (networks.encode.vae, networks.predict.unet):
        convert(module, memory_format=torch.channels_last)
    return divided(engine)


def make_frame(engine: Engine, batch: int = 1, size: tuple[int, int] = SIZE) -> FrameFunction:
    return FrameFunction(engine, (batch, size[1], size[0]), recipe(engine, STYLE, size))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return ready(make_engine(make_lcm()))


# what is compiled


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_what_is_traced_without_weights_computes_the_same(
    make: Callable[[Path], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor as inductor

    traced: list[tuple[Any, list[Tensor]]] = []

    class Artifact:
        def save(self, path: str, format: str) -> None:
            Path(path).touch()

    def standalone_compile(program: Any, inputs: list[Tensor], **_: object) -> Artifact:
        traced.append((program, inputs))
        return Artifact()

    monkeypatch.setattr(inductor, "standalone_compile", standalone_compile)
    engine = ready(make(tmp_path / "model"))
    frame = make_frame(engine, batch=2)
    blueprint = make_blueprint(engine, frame)
    build(Artifacts(tmp_path / "cache").begin(blueprint))
    for name, (program, expected) in zip(PART_NAMES, traced, strict=True):
        part: Any = getattr(frame.parts, name)
        inputs = [
            torch.rand(shape).mul(99).to(dtype) for shape, dtype in inputs_of(name, blueprint)
        ]
        given = [*inputs, *weights_of(part).values()]
        for ours, theirs in zip(given, expected, strict=True):
            assert (ours.shape, ours.stride(), ours.dtype) == (
                theirs.shape,
                theirs.stride(),
                theirs.dtype,
            )
        with torch.inference_mode():
            torch.testing.assert_close(program(*given)[0], part(*inputs), rtol=0, atol=1e-4)


class _Mixer(nn.Module):
    """Small, with a bias of few elements, which Inductor would like to bake in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, latents: Tensor, held: Tensor) -> Tensor:
        mixed: Tensor = self.conv(latents) + held[:, :, None, None]
        return mixed * torch.sigmoid(mixed)


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # of torch's own modules, which Inductor imports
def test_compiled_on_a_cpu_paints_the_same_and_sees_weights_written_in_place(
    tmp_path: Path,
) -> None:
    import torch._inductor as inductor

    convert: Any = nn.Module.to
    with torch.device("meta"):
        hollow = convert(_Mixer(), memory_format=torch.channels_last).requires_grad_(False)
    shapes = [((1, 4, 8, 8), torch.float32), ((1, 4), torch.float32)]
    path = str(tmp_path / "mixer.bin")
    compile_part(hollow, shapes, "cpu").save(path=path, format="binary")
    own = convert(_Mixer(), memory_format=torch.channels_last).requires_grad_(False)
    artifacts: Any = inductor
    artifact = artifacts.CompiledArtifact.load(path=path, format="binary")
    part = CompiledPart(artifact, list(weights_of(own).values()))
    # of another layout than it was compiled for
    latents = torch.rand(1, 4, 8, 8).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for factor in (1.0, 1.5):
            for parameter in own.parameters():
                parameter.mul_(factor)
            inputs = latents, torch.rand(1, 4)
            torch.testing.assert_close(part(*inputs), own(*inputs), rtol=0, atol=1e-4)


# the name in the cache


def test_key_is_the_same_for_other_weights(engine: Engine) -> None:
    key = make_blueprint(engine, make_frame(engine)).key
    pipeline = make_lcm()
    pipeline.register_modules(unet=make_unet(seed=7, time_cond_proj_dim=8))
    other = ready(make_engine(pipeline, name="another"))
    assert make_blueprint(other, make_frame(other)).key == key
    blueprint = make_blueprint(engine, make_frame(engine))
    keys = {replace(blueprint, device=device).key for device in ("cuda:0", "cuda:1")}
    assert len(keys) == 1


def test_key_is_another_for_other_kernels(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = make_blueprint(engine, make_frame(engine))
    lcm = ready(make_engine(make_lcm(vae="tiny")))
    half = ready(make_engine(make_lcm(), dtype=torch.bfloat16))
    others = [
        make_blueprint(engine, make_frame(engine, size=(32, 48))),
        make_blueprint(engine, make_frame(engine, batch=2)),
        make_blueprint(lcm, make_frame(lcm)),
        make_blueprint(half, make_frame(half)),
    ]
    for function in ("_machine", "_code"):
        with monkeypatch.context() as patch:
            patch.setattr(blueprints, function, lambda *_: "another")
            others.append(make_blueprint(engine, make_frame(engine)))
    monkeypatch.setattr(torch, "__version__", "3.0")
    others.append(make_blueprint(engine, make_frame(engine)))
    assert len({blueprint.key, *(other.key for other in others)}) == len(others) + 1


def test_blueprint_survives_json(engine: Engine) -> None:
    blueprint = make_blueprint(engine, make_frame(engine))
    assert Blueprint.from_json(blueprint.to_json()) == blueprint


# on disk


@pytest.fixture
def cache(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "compiled")


def fill(folder: Path, text: str = "kernels") -> None:
    for name in PART_NAMES:
        (folder / f"{name}.bin").write_text(f"{text} {name}")


def test_what_was_kept_is_found(engine: Engine, cache: Artifacts, tmp_path: Path) -> None:
    blueprint = make_blueprint(engine, make_frame(engine))
    assert cache.find(blueprint) is None
    folder = cache.begin(blueprint)
    fill(folder)
    assert not cache.has(blueprint)  # not whole yet
    place = cache.keep(folder, blueprint)
    assert cache.find(blueprint) == place
    assert [path.name for path in (tmp_path / "compiled").iterdir()] == [blueprint.key]


@pytest.mark.parametrize("damage", ["changed", "gone", "digests"])
def test_damaged_folder_is_removed(engine: Engine, cache: Artifacts, damage: str) -> None:
    blueprint = make_blueprint(engine, make_frame(engine))
    folder = cache.begin(blueprint)
    fill(folder)
    place = cache.keep(folder, blueprint)
    match damage:
        case "changed":
            (place / "body.bin").write_text("kernels of another")
        case "gone":
            (place / "body.bin").unlink()
        case "digests":
            (place / "digests.json").write_text("{")
    assert cache.find(blueprint) is None
    assert not place.exists()


def test_folders_used_longest_ago_go(engine: Engine, cache: Artifacts) -> None:
    blueprint = make_blueprint(engine, make_frame(engine))
    made = [replace(blueprint, machine=str(index)) for index in range(MOST_KEPT + 1)]
    for one in made:
        folder = cache.begin(one)
        fill(folder)
        cache.keep(folder, one)
        assert cache.find(made[0]) is not None  # used again and again
        import os

        os.utime(cache.find(made[0]) or "", (2e9, 2e9))
    assert not cache.has(made[1])
    assert all(cache.has(one) for one in (made[0], *made[2:]))


# beside the frames


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

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.calls: list[str] = []

    def __call__(self, folder: Path, own: Parts) -> Parts:
        assert (folder / "body.bin").read_text() == "kernels body"
        if self.fails:
            self.fails -= 1
            raise RuntimeError("made for another machine")
        return Parts(*(self._counted(name, getattr(own, name)) for name in PART_NAMES))

    def _counted(self, name: str, part: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: Tensor) -> Tensor:
            self.calls.append(name)
            return part(*inputs)

        return call


@pytest.fixture
def make_compiled(cache: Artifacts) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(build: Any, load: _Load, mode: Any = "now") -> Engine:
        engine = ready(make_engine(make_lcm()))
        device = Repeater()
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
    make_compiled: Callable[..., Engine],
) -> None:
    build, load = _Build(), _Load()
    engine = make_compiled(build, load)
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    assert load.calls[-4:] == ["opening", "body", "body", "closing"]  # two steps
    assert engine.notes == ["paints with compiled kernels"]
    paint(engine, replace(STYLE, num_inference_steps=1))  # the same networks in another graph
    assert load.calls[-3:] == ["opening", "body", "closing"]
    assert len(build.folders) == 1


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
    assert jobs(engine)[0].done.wait(60)
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
    assert jobs(engine)[0].done.wait(60)
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


def test_damaged_cache_is_made_again(
    make_compiled: Callable[..., Engine], cache: Artifacts, tmp_path: Path
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
    assert not worker._thread.is_alive()
    assert build.is_cancelled or not build.folders
    assert not list(tmp_path.glob("compiled/*"))  # nothing half made stays
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    engine.close()


def test_compiler_in_a_process_of_its_own_fails_in_words(engine: Engine, cache: Artifacts) -> None:
    folder = cache.begin(make_blueprint(engine, make_frame(engine)))
    facts = json.loads((folder / "blueprint.json").read_text())
    facts["vae"]["latent_channels"] = "many"
    (folder / "blueprint.json").write_text(json.dumps(facts))
    assert BuildingProcess(folder).wait() == 1
    assert compiled._last_words(folder).startswith("TypeError: ")


def test_compiler_in_a_process_of_its_own_can_be_ended(engine: Engine, cache: Artifacts) -> None:
    building = BuildingProcess(cache.begin(make_blueprint(engine, make_frame(engine))))
    building.cancel()
    assert building.wait() != 0


def test_latents_scaled_by_channel_are_refused(engine: Engine) -> None:
    frame = make_frame(engine)
    opening: Any = frame.parts.opening
    vae = opening.encode.vae
    config, vae._internal_dict = vae.config, {**vae.config, "latents_mean": [0.0] * 4}
    try:
        with pytest.raises(UncompilableError, match="channel by channel"):
            make_blueprint(engine, frame)
    finally:
        vae._internal_dict = config


# what an engine on a GPU is given


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path))
    return tmp_path


def test_engine_of_a_gpu_paints_the_same_in_buckets(folder: Path) -> None:
    engine, plain = make_engine(make_lcm()), make_engine(make_lcm())
    accelerate_cuda(engine, "auto", Repeater())
    data = make_data(1, (64, 64))
    assert_same(paint(engine, STYLE, data), paint(plain, STYLE, data))
    assert engine.size_multiple == 64
    assert engine.notes == ["paints a frame by one CUDA graph, in float32, channels_last"]
    with pytest.raises(ValueError, match="expected multiples of 64"):
        paint(engine, STYLE, make_data(1, (48, 64)))
    engine.close()


def test_without_a_cache_folder_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLAPRIMA_CACHE", "")
    engine = make_engine(make_lcm())
    accelerate_cuda(engine, "auto", Repeater())
    assert "kernels are not compiled: ALLAPRIMA_CACHE is empty" in engine.notes


def test_unknown_unet_is_painted_call_by_call(folder: Path) -> None:
    pipeline = make_lcm()
    unknown = make_unet(time_cond_proj_dim=8, down_block_types=("DownBlock2D", "AttnDownBlock2D"))
    pipeline.register_modules(unet=unknown)
    engine = make_engine(pipeline)
    before = paint(engine, STYLE)
    accelerate_cuda(engine, "auto", Repeater())
    assert engine.painter is None and "call by call" in engine.notes[0]
    assert np.abs(paint(engine, STYLE).astype(int) - before.astype(int)).max() <= 1
