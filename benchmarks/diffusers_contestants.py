"""diffusers' img2img pipelines: as shipped, with TAESD, and compiled as Hugging Face advises.

They get prompt embeddings made before, and pictures in and out as PIL has them, which is their
default. The advice: huggingface.co/docs/diffusers/optimization/fp16, and the blog "Accelerating
Generative AI Part III: Diffusion" (pytorch.org), whose Inductor settings are used.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from contest import Contestant, Data, Paint, in_full_float32
from diffusers import (
    LCMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
)
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl_img2img
from diffusers.schedulers import scheduling_lcm
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from random_models import Case, RandomText, random_unet, random_vae, vae_kind, wants_text_time

ADVISED = {
    "conv_1x1_as_mm": True,
    "coordinate_descent_tuning": True,
    "epilogue_fusion": False,
    "coordinate_descent_check_all_directions": True,
}
"""Beside what mode "max-autotune" sets."""

DRAWING = (
    pipeline_stable_diffusion_img2img,
    pipeline_stable_diffusion_xl_img2img,
    scheduling_lcm,
)
"""Modules that draw noise."""


def diffusers_contestants(case: Case, *, compiled: bool) -> list[Contestant]:
    """The rows of diffusers' own pipelines.

    Args:
        case: What is painted.
        compiled: With a compiled row, whose set-up takes minutes.
    """
    found = [
        _contestant(case, "kl", "diffusers", note="another VAE"),
        _contestant(case, "tiny", "diffusers, TAESD"),
    ]
    if compiled:
        found.append(_contestant(case, "tiny", "diffusers, TAESD, compiled", compiled=True))
    return found


def _contestant(
    case: Case, vae: Literal["tiny", "kl"], name: str, *, note: str = "", compiled: bool = False
) -> Contestant:
    exact = replace(case, dtype=torch.float32)
    # a batch of theirs draws noise for each frame, ours has the same for all
    is_alone = vae == "kl" or case.batch > 1
    return Contestant(
        name,
        load=lambda: make_pipeline(case, vae),
        prepare=lambda pipeline: _painter(case, pipeline, compiled=compiled),
        note=note,
        compare=_with_our_noise,
        reference=(lambda: _reference(exact, vae)) if is_alone else None,
        work=case.work(vae),
    )


def make_pipeline(case: Case, vae: Literal["tiny", "kl"]) -> Any:
    """diffusers' own class, random weights, no text encoder."""
    kind = vae_kind(case.architecture, vae)
    parts: dict[str, Any] = {
        "vae": random_vae(kind, case.device, case.dtype),
        "unet": random_unet(case.architecture, case.device, case.dtype),
        "text_encoder": None,
        "tokenizer": None,
        "scheduler": LCMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1
        ),
    }
    if wants_text_time(case.architecture):
        pipeline: Any = StableDiffusionXLImg2ImgPipeline(
            **parts, text_encoder_2=None, tokenizer_2=None, add_watermarker=False
        )
    else:
        pipeline = StableDiffusionImg2ImgPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _painter(case: Case, pipeline: Any, *, compiled: bool) -> Paint:
    style = case.style
    if compiled:
        _compile(pipeline)
    text = RandomText(case.architecture).encode(style.prompt)
    settings = {"prompt_embeds": _for_batch(text.prompt_embeds, case)}
    if text.text_embeds is not None:
        settings["pooled_prompt_embeds"] = _for_batch(text.text_embeds, case)
    # these pipelines cut their timesteps by strength after picking them
    steps = round(style.num_inference_steps / style.strength)

    def paint(data: Data) -> Data:
        if compiled:
            torch.compiler.cudagraph_mark_step_begin()
        painted = pipeline(
            image=[Image.fromarray(frame) for frame in data],
            strength=style.strength,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(style.seed),
            **settings,
        ).images
        return np.stack([np.asarray(picture) for picture in painted])

    return paint


def _reference(case: Case, vae: Literal["tiny", "kl"]) -> Paint:
    """Their own picture in float32."""
    paint = _painter(case, make_pipeline(case, vae), compiled=False)
    return in_full_float32(_with_our_noise(paint))


def _compile(pipeline: Any) -> None:
    for module in (pipeline.unet, pipeline.vae):
        torch.nn.Module.to(module, memory_format=torch.channels_last)
    pipeline.unet.fuse_qkv_projections()
    options = {**torch._inductor.list_mode_options("max-autotune"), **ADVISED}
    pipeline.unet = torch.compile(pipeline.unet, fullgraph=True, options=options)
    pipeline.vae.decode = torch.compile(pipeline.vae.decode, fullgraph=True, options=options)


def _for_batch(tensor: torch.Tensor, case: Case) -> torch.Tensor:
    return tensor.to(case.device, case.dtype).repeat(case.batch, *[1] * (tensor.ndim - 1))


def _with_our_noise(paint: Paint) -> Paint:
    """The same with noise drawn in float32 and rounded, as ours is; for the comparison alone."""

    def compare(data: Data) -> Data:
        with _float32_noise():
            return paint(data)

    return compare


@contextmanager
def _float32_noise() -> Iterator[None]:
    def draw(*args: Any, dtype: torch.dtype | None = None, **kwargs: Any) -> torch.Tensor:
        return randn_tensor(*args, dtype=torch.float32, **kwargs).to(dtype)

    patches = [patch.object(module, "randn_tensor", draw) for module in DRAWING]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
