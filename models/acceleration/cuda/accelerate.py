"""Accelerates an engine on an NVIDIA GPU: split UNet, channels_last, one graph launch a frame.

UNet, VAE ──channels_last, split──► engine ──FrameGraphs──► `Engine.painter`
"""

import logging
import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from models.acceleration import CompileMode
from models.acceleration.cache.folder import FOLDER_VARIABLE, cache_folder
from models.acceleration.cuda.compiling import CompiledNetworks
from models.acceleration.cuda.device import Cuda, Device
from models.acceleration.cuda.fp16_accumulation import approximation_for
from models.acceleration.cuda.graphs import FrameGraphs
from models.acceleration.cuda.inductor_cache import InductorCache
from models.acceleration.rewrites import UnsupportedUNetError, split
from models.engine import Engine
from models.networks import LatentEncoder, Predictor

BUCKET_PX = 64
"""Sides of a frame are multiples of it, so that few sizes, and few graphs, serve all pictures."""


def accelerate_cuda(
    engine: Engine, compile: CompileMode = "auto", device: Device | None = None
) -> None:
    """Put the fastest path into an engine as it was loaded, plain, and note which.

    Args:
        engine: Of plain networks, on a GPU.
        compile: Whether and when its networks are compiled.
        device: The GPU's runtime; ``None`` is CUDA's.
    """
    networks = engine.networks
    assert isinstance(networks.encode, LatentEncoder)
    assert isinstance(networks.predict, Predictor)
    # not diffusers' own, which warns of layers to keep in float32 where there are none
    convert: Any = nn.Module.to
    modules = [networks.encode.vae, networks.predict.unet]
    if networks.stem is not None:
        modules.append(networks.stem.features)
    for module in modules:
        convert(module, memory_format=torch.channels_last)
    try:
        engine.networks = replace(networks, predict=split(networks.predict))
    except UnsupportedUNetError as err:
        engine.note(f"the UNet is not rewritten, so frames are painted call by call: {err}")
        return
    engine.size_multiple = math.lcm(engine.size_multiple, BUCKET_PX)
    device = device or Cuda(engine.device)
    engine.painter = FrameGraphs(
        engine,
        device,
        _compiled(engine, compile, device),
        approximation_for(device.name, engine.dtype),
    )
    name = str(engine.dtype).removeprefix("torch.")
    engine.computation.path = f"CUDA graph, {name}, compile={compile}"
    engine.note(f"paints a frame by one CUDA graph, in {name}, channels_last", logging.INFO)


def _compiled(engine: Engine, compile: CompileMode, device: Device) -> CompiledNetworks | None:
    if compile == "off":
        return None
    try:
        root = cache_folder()
    except OSError as err:
        engine.note(f"kernels are not compiled: {err}; {FOLDER_VARIABLE} names a folder")
        return None
    if root is None:
        engine.note(f"kernels are not compiled: {FOLDER_VARIABLE} is empty", logging.INFO)
        return None
    return CompiledNetworks(engine, device, InductorCache(root / "compiled"), compile)
