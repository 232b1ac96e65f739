"""What can paint frames on a GPU: diffusers, StreamDiffusion, and ours tier by tier."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from contest import Contestant, Data, Paint, Unavailable, in_full_float32
from diffusers_contestants import diffusers_contestants
from painters import painter, painter_in_flight
from random_models import Case, random_engine
from streamdiffusion_contestants import streamdiffusion_contestants

from models import Engine
from models.acceleration import CompileMode
from models.acceleration.cuda.accelerate import accelerate_cuda
from models.acceleration.cuda.device import Cuda, Device
from models.acceleration.rewrites import split

ONE_LATE = "a frame late: two on their way"
NOT_SO = ("not compiled", "cannot be captured", "cannot be taken", "no quicker", "not rewritten")
"""In notes of an engine that paints on without what its row is named by."""


def gpu_contestants(case: Case, *, compiled: bool) -> list[Contestant]:
    """All of them; ours in float32 first, as the reference of the pictures.

    Args:
        case: What they paint.
        compiled: torch.compile too, ours and theirs; takes minutes.
    """

    def plain(engine: Engine) -> Paint:
        return painter(engine, case.style, case.size)

    reference = _ours(replace(case, dtype=torch.float32), "ours, plain, float32", plain)
    reference.compare = in_full_float32
    found = [
        reference,
        *diffusers_contestants(case, compiled=compiled),
        *streamdiffusion_contestants(case, compiled=compiled),
        _ours(case, "ours, plain", plain),
        _ours(case, "ours, rewritten", lambda engine: plain(rewritten(engine))),
        *_graphed(case, "ours, one graph", "off"),
    ]
    if compiled:
        found += _graphed(case, "ours, compiled, one graph", "now")
    return found


def _graphed(case: Case, name: str, compile: CompileMode) -> list[Contestant]:
    """What `load_engine` gives on a GPU: each frame waited for, and with the next on its way."""

    def make(paint_by: Callable[..., Paint]) -> Callable[[Engine], Paint]:
        def graph(engine: Engine) -> Paint:
            accelerate_cuda(engine, compile, device_of(case))
            return _surely(engine, paint_by(engine, case.style, case.size))

        return graph

    waited = _ours(case, name, make(painter))
    return [waited, _ours(case, f"{name}, in flight", make(painter_in_flight), note=ONE_LATE)]


def _surely(engine: Engine, paint: Paint) -> Paint:
    """The same, but where the engine says that it paints on without, so does the row."""

    def checked(data: Data) -> Data:
        picture = paint(data)
        for note in engine.notes:
            if any(words in note for words in NOT_SO):
                raise Unavailable(note)
        return picture

    return checked


def device_of(case: Case) -> Device:
    """
    Raises:
        Unavailable: It is no CUDA device.
    """
    if case.device.type != "cuda":
        raise Unavailable("graphs need a CUDA device")
    return Cuda(case.device)


def _ours(
    case: Case, name: str, prepare: Callable[[Engine], Paint], *, note: str = ""
) -> Contestant:
    return Contestant(
        name,
        load=lambda: random_engine(case.architecture, case.device, case.dtype),
        prepare=prepare,
        note=note,
        work=case.work("tiny"),
    )


def rewritten(engine: Engine) -> Engine:
    """The exact rewrites, in channels_last."""
    networks: Any = engine.networks
    for module in (networks.encode.vae, networks.predict.unet):
        torch.nn.Module.to(module, memory_format=torch.channels_last)
    engine.networks = replace(networks, predict=split(networks.predict))
    return engine
