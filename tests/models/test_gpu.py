"""The whole way of frames on a GPU: every kind of model, LoRAs, batches, a stream with stability.

Each test runs twice: on the CPU, where a recorder stands for the GPU's runtime, and on a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import make_frames
from miniature import (
    make_controlnet,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sdxl,
    save_bundled_like,
)
from painting import OTHER, STYLE, Data, assert_alike, make_data, make_lora, paint, recipe
from replays import Recorder

from models import Engine, Style, load_engine
from models.acceleration.cuda.accelerate import accelerate_cuda
from models.acceleration.cuda.device import Cuda, Work
from models.structure import Structure, StructurePart
from models.weights.lora_switching import Loras
from stream import Stylizer

SIZE = (64, 64)


class CountingCuda(Cuda):
    """CUDA's runtime; `captures` counts."""

    captures = 0

    def capture(self, work: Work, pool: Any) -> Work:
        self.captures += 1
        return super().capture(work, pool)


@dataclass
class Gpu:
    """A device of torch, and a runtime for each engine on it."""

    device: torch.device

    def runtime(self) -> "CountingCuda | Recorder":
        return Recorder() if self.device.type == "cpu" else CountingCuda(self.device)

    def accelerated(self, engine: Engine) -> "tuple[Engine, CountingCuda | Recorder]":
        runtime = self.runtime()
        accelerate_cuda(engine, "off", runtime)
        assert engine.painter is not None
        return engine, runtime


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def gpu(request: pytest.FixtureRequest) -> Gpu:
    return Gpu(torch.device(request.param))


def of(make: Callable[..., Any], **options: Any) -> Callable[[Path, torch.device], Engine]:
    """Engines on a miniature pipeline."""
    changes = {"frame_is_scaled": False} if make is make_instruct_pix2pix else {}
    return lambda _, device: make_engine(make(**options).to(device), device=device, **changes)


def bundled_like(folder: Path, device: torch.device) -> Engine:
    name = save_bundled_like(folder)
    return load_engine(name, device=device, dtype=torch.float32, acceleration="off")


def with_stem(folder: Path, device: torch.device) -> Engine:
    name = save_bundled_like(folder, stem=True)
    return load_engine(name, device=device, dtype=torch.float32, acceleration="off")


def with_structure(_: Path, device: torch.device) -> Engine:
    engine = make_engine(make_lcm(guidance_width=None).to(device), device=device)
    kinds = ("canny", "lineart", "tile")
    unet = make_lcm(guidance_width=None).unet
    networks = [make_controlnet(unet, seed).to(device) for seed in range(len(kinds))]
    engine.structure = Structure(
        [StructurePart(kind, net, 0.5) for kind, net in zip(kinds, networks, strict=True)]
    )
    return engine


MODELS = {
    "structure": with_structure,
    "lcm": of(make_lcm),
    "lcm-lora": of(make_lcm, guidance_width=None),
    "tiny": of(make_lcm, vae="tiny"),
    "sdxl": of(make_sdxl),
    "pix2pix": of(make_instruct_pix2pix),
    "bundled": bundled_like,
    "stem": with_stem,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_every_model_is_painted_by_graphs(
    make: Callable[[Path, torch.device], Engine], gpu: Gpu, tmp_path: Path
) -> None:
    plain = make(tmp_path, gpu.device)
    engine, runtime = gpu.accelerated(make(tmp_path, gpu.device))
    styles = (STYLE, OTHER, replace(STYLE, num_inference_steps=1), STYLE)
    for style in styles:
        assert_alike(
            paint(engine, style, make_data(1, SIZE)), paint(plain, style, make_data(1, SIZE))
        )
    # one for each number of steps, and of a stem for each kind of marks
    kinds = {getattr(engine.encode_prompt(style).stem, "kinds", ()) for style in styles}
    assert runtime.captures == 2 + (len(kinds) - 1)
    frames = np.stack([make_data(seed, SIZE) for seed in range(3)])
    assert_alike(paint(engine, STYLE, frames), paint(plain, STYLE, frames))


def test_loras_change_without_a_capture(gpu: Gpu, tmp_path: Path) -> None:
    plain = MODELS["lcm"](tmp_path, gpu.device)
    engine, runtime = gpu.accelerated(MODELS["lcm"](tmp_path, gpu.device))
    first, captures = paint(engine, STYLE, make_data(1, SIZE)), runtime.captures
    worn = Loras(plain), Loras(engine)
    for loras in ([(make_lora(1), 1.0)], [(make_lora(2), 0.5), (make_lora(1), -0.5)], []):
        for each in worn:
            each.set(loras)
        painted = paint(engine, STYLE, make_data(1, SIZE))
        assert_alike(painted, paint(plain, STYLE, make_data(1, SIZE)))
        assert (np.abs(painted.astype(int) - first).max() > 8) == bool(loras)
    assert runtime.captures == captures


@pytest.mark.parametrize(
    ("stability", "blend"), [(0.0, "picture"), (0.6, "picture"), (0.6, "latent"), (0.6, "both")]
)
@pytest.mark.parametrize("look_ahead", [False, True])
def test_a_stream_is_that_of_the_plain_engine(
    gpu: Gpu, tmp_path: Path, stability: float, blend: Any, look_ahead: bool
) -> None:
    def painted(engine: Engine) -> list[Data]:
        stylizer = Stylizer(
            engine,
            STYLE,
            short_side_px=64,
            stability=stability,
            blend=blend,
            output_size="model",
            look_ahead=look_ahead,
            overlap=True,
        )
        shown = [one for frame in make_frames(4, SIZE) for one in stylizer.process(frame)]
        stylizer.style = OTHER
        shown += [one for frame in make_frames(3, SIZE) for one in stylizer.process(frame)]
        return [frame.data for frame in (*shown, *stylizer.process(None))]

    ours = painted(gpu.accelerated(MODELS["lcm"](tmp_path, gpu.device))[0])
    theirs = painted(MODELS["lcm"](tmp_path, gpu.device))
    assert len(ours) == 7
    for one, other in zip(ours, theirs, strict=True):
        assert_alike(one, other)


@pytest.mark.cuda
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("prompt", ["oil painting", "ink drawing", "ukiyo-e"])
def test_the_bundled_model_paints_on_a_gpu_what_it_does_on_the_cpu(prompt: str, steps: int) -> None:
    """In float16, through everything that `load_engine` chooses there."""
    style = Style(prompt, 0.6, steps)
    small = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    data = small.repeat(16, 0).repeat(16, 1)
    exact = load_engine("bundled", device="cpu", dtype=torch.float32)
    engine = load_engine("bundled", device="cuda", compile="off")
    assert_alike(paint(engine, style, data), paint(exact, style, data))
    assert engine.dtype == torch.float16 and engine.painter is not None


@pytest.mark.cuda
def test_changed_styles_take_no_more_memory(tmp_path: Path) -> None:
    device = torch.device("cuda")
    engine, _ = Gpu(device).accelerated(MODELS["sdxl"](tmp_path, device))
    styles = [replace(STYLE, seed=seed, prompt=f"oil {seed}") for seed in range(24)]
    taken = []
    for style in styles:
        paint(engine, style, make_data(1, SIZE))
        taken.append(torch.cuda.memory_allocated(device))
    assert taken[-1] <= taken[3]


@pytest.mark.cuda
def test_frames_on_their_way_on_a_gpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    engine, _ = Gpu(device).accelerated(MODELS["lcm"](tmp_path, device))
    recipes = [recipe(engine, style, SIZE) for style in (STYLE, OTHER)]
    frames = [make_data(index, SIZE) for index in range(6)]
    expected = [paint(engine, (STYLE, OTHER)[i % 2], frame) for i, frame in enumerate(frames)]
    begun = []
    for index, frame in enumerate(frames):
        how = recipes[index % 2]
        begun.append(engine.begin(frame, how.noise, how.conditioning, how.schedule))
    for picture, theirs in zip(begun, expected, strict=True):
        assert np.array_equal(picture(), theirs)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_a_frame_makes_nothing_wait_on_a_gpu(tmp_path: Path) -> None:
    device, data = torch.device("cuda"), make_data(1, SIZE)
    engine, _ = Gpu(device).accelerated(MODELS["lcm"](tmp_path, device))
    how = recipe(engine, STYLE, SIZE)
    engine.paint(data, how.noise, how.conditioning, how.schedule)
    try:
        torch.cuda.set_sync_debug_mode("error")
        picture = engine.begin(data, how.noise, how.conditioning, how.schedule)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert picture().shape == data.shape
