"""What is compiled computes what the networks do, and has a name that tells it from others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from miniature import make_engine, make_lcm, make_unet
from painting import (
    ENGINES,
    make_frame,
    ready,
)
from torch import Tensor, nn

from models import Engine
from models.acceleration.cuda import compile_spec as blueprints
from models.acceleration.cuda.compile_process import PATCHES, build, compile_part
from models.acceleration.cuda.compile_spec import (
    PART_NAMES,
    CompileSpec,
    UncompilableError,
    inputs_of,
    make_compile_spec,
    weights_of,
)
from models.acceleration.cuda.inductor_cache import CompiledPart, InductorCache

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="Inductor compiles C++ on a CPU, and there is neither g++ nor clang++",
)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return ready(make_engine(make_lcm()))


@pytest.mark.slow
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
    blueprint = make_compile_spec(engine, frame)
    build(InductorCache(tmp_path / "cache").begin(blueprint))
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
@pytest.mark.parametrize("patches", [{}, PATCHES["cuda"]], ids=["cpu", "as for cuda"])
def test_compiled_on_a_cpu_paints_the_same_and_sees_weights_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patches: dict[str, bool]
) -> None:
    import torch._inductor as inductor

    monkeypatch.setitem(PATCHES, "cpu", patches)
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
    key = make_compile_spec(engine, make_frame(engine)).key
    pipeline = make_lcm()
    pipeline.register_modules(unet=make_unet(seed=7, time_cond_proj_dim=8))
    other = ready(make_engine(pipeline, name="another"))
    assert make_compile_spec(other, make_frame(other)).key == key


def test_key_is_another_for_other_kernels(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    lcm = ready(make_engine(make_lcm(vae="tiny")))
    half = ready(make_engine(make_lcm(), dtype=torch.bfloat16))
    others = [
        make_compile_spec(engine, make_frame(engine, size=(32, 48))),
        make_compile_spec(engine, make_frame(engine, batch=2)),
        make_compile_spec(lcm, make_frame(lcm)),
        make_compile_spec(half, make_frame(half)),
    ]
    others.append(replace(blueprint, device="cuda:1"))
    for function in ("_machine", "_code"):
        with monkeypatch.context() as patch:
            patch.setattr(blueprints, function, lambda *_: "another")
            others.append(make_compile_spec(engine, make_frame(engine)))
    monkeypatch.setattr(torch, "__version__", "3.0")
    others.append(make_compile_spec(engine, make_frame(engine)))
    assert len({blueprint.key, *(other.key for other in others)}) == len(others) + 1


def test_blueprint_survives_json(engine: Engine) -> None:
    blueprint = make_compile_spec(engine, make_frame(engine))
    assert CompileSpec.from_json(blueprint.to_json()) == blueprint


def test_latents_scaled_by_channel_are_refused(engine: Engine) -> None:
    frame = make_frame(engine)
    opening: Any = frame.parts.opening
    vae = opening.encode.vae
    config, vae._internal_dict = vae.config, {**vae.config, "latents_mean": [0.0] * 4}
    try:
        with pytest.raises(UncompilableError, match="channel by channel"):
            make_compile_spec(engine, frame)
    finally:
        vae._internal_dict = config
