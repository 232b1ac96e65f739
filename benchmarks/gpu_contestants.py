"""What can paint a frame on a GPU: diffusers' pipelines as shipped, and our tiers.

diffusers' img2img pipelines get prompt embeddings made before and their own uint8 conversions, as a
program around them would write it. Ours: the plain engine, the same rewritten, and as one graph.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from contest import Contestant, Data, Paint
from cpu_contestants import painter
from diffusers import (
    LCMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionXLImg2ImgPipeline,
)
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from random_models import Architecture, RandomText, random_engine, random_unet, random_vae

from models import Engine, Style
from models.acceleration.graphs import FrameFunction, FrameGraph
from models.acceleration.rewrites import split

Size = tuple[int, int]


def gpu_contestants(
    architecture: Architecture, style: Style, size: Size, device: torch.device, *, compiled: bool
) -> list[Contestant]:
    """All of them; ours in float32 first, as the reference of the pictures.

    Args:
        architecture: Which model.
        style: Of all.
        size: (width, height).
        device: Where; on the CPU no graph is captured (a trial of this script).
        compiled: torch.compile too, ours and theirs; takes minutes.
    """
    half = torch.float16 if device.type == "cuda" else torch.float32

    def ours(kind: str, dtype: torch.dtype = half) -> Callable[[], Paint]:
        return lambda: _ours(random_engine(architecture, device, dtype), kind, style, size)

    def theirs(vae: str, compile: bool = False) -> Callable[[], Paint]:
        return lambda: _diffusers(architecture, vae, style, device, half, compile=compile)

    contestants = [
        Contestant("ours, plain, float32", ours("plain", torch.float32)),
        Contestant("diffusers, its own VAE", theirs("kl"), note="another VAE: no PSNR"),
        Contestant("diffusers, TAESD", theirs("tiny")),
        Contestant("ours, plain", ours("plain")),
        Contestant("ours, rewritten", ours("rewritten")),
        Contestant("ours, rewritten, one graph", ours("graph")),
    ]
    if compiled:
        contestants += [
            Contestant("diffusers, TAESD, compiled", theirs("tiny", compile=True)),
            Contestant("ours, rewritten, compiled, one graph", ours("compiled")),
        ]
    return contestants


def _ours(engine: Engine, kind: str, style: Style, size: Size) -> Paint:
    if kind == "plain":
        return painter(engine, style, size)
    networks: Any = engine.networks
    for module in (networks.encode.vae, networks.predict.unet):
        torch.nn.Module.to(module, memory_format=torch.channels_last)
    predict = split(networks.predict)
    if kind == "compiled":
        settings: dict[str, Any] = {"fullgraph": True, "dynamic": False}
        settings["mode"] = "max-autotune-no-cudagraphs"
        predict.body = torch.compile(predict.body, **settings)
        encode, decode = (torch.compile(m, **settings) for m in (networks.encode, networks.decode))
        networks = replace(networks, encode=encode, decode=decode)
    engine.networks = replace(networks, predict=predict)
    if kind == "rewritten":
        return painter(engine, style, size)
    frame = FrameFunction(engine, size, style)
    return FrameGraph(frame) if engine.device.type == "cuda" else _uncaptured(frame)


def _uncaptured(frame: FrameFunction) -> Paint:
    def paint(data: Data) -> Data:
        frame.data.copy_(torch.from_numpy(data))
        frame.run()
        return frame.output.cpu().numpy().copy()

    return paint


def _diffusers(
    architecture: Architecture,
    vae: str,
    style: Style,
    device: torch.device,
    dtype: torch.dtype,
    *,
    compile: bool,
) -> Paint:
    pipeline = _pipeline(architecture, vae, device, dtype)
    if compile:
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
        pipeline.unet.fuse_qkv_projections()
        settings: dict[str, Any] = {"mode": "max-autotune", "fullgraph": True}
        pipeline.unet = torch.compile(pipeline.unet, **settings)
        pipeline.vae.decode = torch.compile(pipeline.vae.decode, **settings)
    text = RandomText(architecture).encode(style.prompt)
    settings = {"prompt_embeds": text.prompt_embeds.to(device, dtype)}
    if text.text_embeds is not None:
        settings["pooled_prompt_embeds"] = text.text_embeds.to(device, dtype)
    # these pipelines cut their timesteps by strength after picking them
    steps = round(style.num_inference_steps / style.strength)

    def paint(data: Data) -> Data:
        painted = pipeline(
            image=Image.fromarray(data),
            strength=style.strength,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(style.seed),
            output_type="np",
            **settings,
        ).images[0]
        return (painted * 255).round().astype(np.uint8)

    return paint


def _pipeline(
    architecture: Architecture, vae: str, device: torch.device, dtype: torch.dtype
) -> Any:
    parts: dict[str, Any] = {
        "vae": random_vae(vae, device, dtype),
        "unet": random_unet(architecture, device, dtype),
        "text_encoder": None,
        "tokenizer": None,
        "scheduler": LCMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
        ),
    }
    if architecture == "sdxl":
        pipeline: Any = StableDiffusionXLImg2ImgPipeline(
            **parts, text_encoder_2=None, tokenizer_2=None, add_watermarker=False
        )
    else:
        pipeline = StableDiffusionImg2ImgPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.image_processor = VaeImageProcessor(vae_scale_factor=8)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
