"""What can paint a frame on a CPU: plain torch, bfloat16, Inductor, OpenVINO alone, ours."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from contest import Contestant, Paint, Unavailable
from painters import painter
from roofline import count_work
from torch import Tensor, nn

from models import Engine, Style
from models.acceleration.choice import accelerate
from models.acceleration.cpu.openvino import OpenVinoCall, Precision, best_precision
from models.acceleration.cpu.threads import physical_cores

MakeEngine = Callable[[], Engine]
Size = tuple[int, int]


def cpu_contestants(
    make_engine: MakeEngine, style: Style, size: Size, *, inductor: bool
) -> list[Contestant]:
    """All of them, the plain path in float32 first; `make_engine` makes a plain engine.

    Args:
        make_engine: In float32.
        style: What is painted.
        size: (width, height).
        inductor: With the compiled row, whose set-up takes a minute.
    """
    work = count_work(make_engine(), style, size, 1)

    def row(name: str, prepare: Callable[[Engine], Engine]) -> Contestant:
        return Contestant(
            name, make_engine, lambda engine: _paint(prepare(engine), style, size), work=work
        )

    found = [
        row("eager float32", lambda engine: engine),
        row("eager bfloat16", in_bfloat16),
        row("eager float32, rewritten", lambda engine: _accelerated(engine, torch.float32)),
        row("eager bfloat16, rewritten", lambda engine: _accelerated(engine, torch.bfloat16)),
        row("OpenVINO f32, UNet as it is", lambda engine: openvino(engine, style, "f32")),
        row("OpenVINO bf16, UNet as it is", lambda engine: openvino(engine, style, "bf16")),
        row("OpenVINO, no integers, rewritten", without_integers),
        row("ours (auto)", lambda engine: _accelerated(engine, None)),
    ]
    if inductor:
        found.insert(2, row("Inductor float32, frozen", inductor_frozen))
    return found


def _paint(engine: Engine, style: Style, size: Size) -> Paint:
    return painter(engine, style, size)


def _accelerated(engine: Engine, dtype: torch.dtype | None) -> Engine:
    """By the choice itself where no dtype is given, else in torch."""
    accelerate(engine, "eager" if dtype else "auto", dtype)
    return engine


def without_integers(engine: Engine) -> Engine:
    """Ours, exact.

    Raises:
        ImportError: openvino is not installed.
    """
    exact = torch.bfloat16 if best_precision() == "bf16" else torch.float32
    accelerate(engine, "openvino", exact)
    return engine


def in_bfloat16(engine: Engine) -> Engine:
    """As diffusers would be set to it: the modules converted, nothing else."""
    networks: Any = engine.networks
    stem = [] if networks.stem is None else [networks.stem.features.stem]
    for module in (networks.predict.unet, networks.encode.vae, *stem):
        nn.Module.to(module, torch.bfloat16)
    for call in (networks.encode, networks.predict, networks.decode):
        call.dtype = torch.bfloat16
    engine.dtype = torch.bfloat16
    return engine


def inductor_frozen(engine: Engine) -> Engine:
    """torch.compile with weights as constants.

    Raises:
        Unavailable: There is no C++ compiler.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++") if name):
        raise Unavailable("no C++ compiler: install g++")
    torch._inductor.config.freezing = True
    networks = engine.networks
    encode, predict, decode = (
        torch.compile(call, dynamic=False)
        for call in (networks.encode, networks.predict, networks.decode)
    )
    stem = networks.stem
    if stem is not None:
        stem = replace(stem, features=torch.compile(stem.features, dynamic=False))
    engine.networks = replace(networks, encode=encode, predict=predict, decode=decode, stem=stem)
    return engine


class _TensorsOnly(nn.Module):
    """A predictor of whose conditions those that are given are tensors."""

    def __init__(self, predictor: Any) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, latents: Tensor, timestep: Tensor, *conditions: Tensor) -> Tensor:
        prediction: Tensor = self.predictor(latents, timestep, *conditions)
        return prediction


def openvino(engine: Engine, style: Style, precision: Precision) -> Engine:
    """The three modules as they are, for models whose added conditions are none.

    A stem and its planes stay in torch.

    Raises:
        ImportError: openvino is not installed.
    """
    networks: Any = engine.networks
    side = engine.size_multiple
    latents = torch.zeros(1, *engine.latent_shape((side, side)))
    seen = torch.zeros(1, networks.predict.unet.config.in_channels, *latents.shape[2:])
    given = _given(engine, style)

    def call(module: nn.Module, *example_inputs: Tensor) -> OpenVinoCall:
        return OpenVinoCall(
            module, example_inputs, precision=precision, threads=physical_cores(), on_failure=_fail
        )

    predict = call(_TensorsOnly(networks.predict), seen, torch.tensor([499]), *given)
    engine.networks = replace(
        networks,
        encode=call(networks.encode, torch.zeros(1, 3, side, side)),
        predict=lambda *inputs: predict(*(tensor for tensor in inputs if tensor is not None)),
        decode=call(networks.decode, latents),
    )
    torch.set_num_threads(1)
    return engine


def _given(engine: Engine, style: Style) -> list[Tensor]:
    """The conditions that this model takes, as `Engine.denoise` hands them over."""
    conditioning = engine.encode_prompt(style)
    timestep_cond = engine.timestep_cond(conditioning, engine.schedule(style))
    return [t for t in (conditioning.prompt_embeds, timestep_cond) if t is not None]


def _fail(reason: str) -> None:
    raise RuntimeError(reason)
