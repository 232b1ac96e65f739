"""StreamDiffusion 0.1.1 itself: the package from PyPI, as shipped and with its modules compiled.

    pip install --no-deps streamdiffusion==0.1.1

It pins a diffusers of 2023; without its dependencies it runs on the current one. Called as its
README does: PIL pictures in and out, one step or a batch of denoising steps, in which a picture
comes out as many frames later as there are steps more than one. Where the package
cannot be imported, or does not serve the case, the row says so; nothing stands in for it.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np
import torch
from contest import Contestant, Data, Paint, Unavailable
from diffusers_contestants import make_pipeline
from PIL import Image
from random_models import Case, RandomText, wants_text_time

from models.schedule import ScheduleConfig, make_schedule

VERSION = "0.1.1"
INSTALL = f"pip install --no-deps streamdiffusion=={VERSION}"
SCHEDULE_STEPS = 50
"""What its README prepares, of which `t_index_list` picks."""

GUIDANCE = 1.2
"""Its default, which "self" uses and "none" does not."""


def streamdiffusion_contestants(case: Case, *, compiled: bool) -> list[Contestant]:
    """Its rows.

    Args:
        case: What is painted.
        compiled: With a compiled row, whose set-up takes minutes.
    """
    found = [_contestant(case, "none"), _contestant(case, "self")]
    if compiled:
        found.append(_contestant(case, "none", compiled=True))
    return found


def _contestant(case: Case, cfg_type: str, *, compiled: bool = False) -> Contestant:
    late = case.style.num_inference_steps - 1
    notes = [f"{late} frame(s) late"] * (late > 0) + ["guided: no PSNR"] * (cfg_type != "none")
    return Contestant(
        f"StreamDiffusion {VERSION}, {cfg_type}" + (", compiled" if compiled else ""),
        load=lambda: _load(case),
        prepare=lambda loaded: _painter(case, *loaded, cfg_type, compiled=compiled),
        note="; ".join(notes),
        is_comparable=cfg_type == "none",
        work=case.work("tiny"),
    )


def _load(case: Case) -> tuple[ModuleType, Any]:
    """The package and a pipeline for it to take apart."""
    package = _import()
    if wants_text_time(case.architecture):
        raise Unavailable("it does not serve SDXL: its UNet is called without added conditions")
    if case.batch > 1 and case.style.num_inference_steps > 1:
        raise Unavailable("it gives one picture a call where steps are batched")
    pipeline = make_pipeline(case, "tiny")
    text = RandomText(case.architecture).encode(case.style.prompt)
    embeds = text.prompt_embeds.to(case.device, case.dtype)
    pipeline.encode_prompt = lambda **_: (embeds, embeds)
    return package, pipeline


def _import() -> ModuleType:
    """
    Raises:
        Unavailable: It is not there, is another version, or cannot be imported.
    """
    try:
        found = version("streamdiffusion")
    except PackageNotFoundError as err:
        raise Unavailable(f"not installed: {INSTALL}") from err
    if found != VERSION:
        raise Unavailable(f"version {found} is installed: {INSTALL}")
    try:
        return import_module("streamdiffusion")
    except ImportError as err:
        raise Unavailable(f"it cannot be imported here: {err}") from err


def _to_pictures(stream: Any) -> Callable[[torch.Tensor], list[Image.Image]]:
    """Its own way; without torchvision, which that imports, the equal one of its processor."""
    try:
        postprocess = import_module("streamdiffusion.image_utils").postprocess_image
    except ImportError:
        postprocess = stream.image_processor.postprocess
    return lambda painted: list(postprocess(painted, output_type="pil"))


def _painter(
    case: Case,
    package: ModuleType,
    pipeline: Any,
    cfg_type: str,
    *,
    compiled: bool,
) -> Paint:
    style = case.style
    stream = package.StreamDiffusion(
        pipeline,
        t_index_list=step_indices(case),
        torch_dtype=case.dtype,
        width=case.size[0],
        height=case.size[1],
        frame_buffer_size=case.batch,
        cfg_type=cfg_type,
    )
    stream.prepare(
        style.prompt, num_inference_steps=SCHEDULE_STEPS, guidance_scale=GUIDANCE, seed=style.seed
    )
    if compiled:
        _compile(stream)
    to_pictures = _to_pictures(stream)

    def paint(data: Data) -> Data:
        if compiled:
            torch.compiler.cudagraph_mark_step_begin()
        painted = stream([Image.fromarray(frame) for frame in data])
        return np.stack([np.asarray(picture) for picture in to_pictures(painted)])

    return paint


def _compile(stream: Any) -> None:
    """The generous peer: what it calls, each as one graph."""
    settings: dict[str, Any] = {"mode": "max-autotune", "fullgraph": True}
    for module in (stream.unet, stream.vae):
        torch.nn.Module.to(module, memory_format=torch.channels_last)
    stream.unet = torch.compile(stream.unet, **settings)
    stream.vae.encode = torch.compile(stream.vae.encode, **settings)
    stream.vae.decode = torch.compile(stream.vae.decode, **settings)


def step_indices(case: Case) -> list[int]:
    """Where our timesteps stand in its schedule of 50."""
    config, style = ScheduleConfig(), case.style
    ours = make_schedule(config, style.num_inference_steps, style.strength)
    whole = [step.timestep for step in make_schedule(config, SCHEDULE_STEPS, 1.0).steps]
    return [whole.index(step.timestep) for step in ours.steps]
