"""Miniature engines, and what their frames are painted by: for every test of whole frames."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sdxl,
    save_bundled_like,
)
from numpy.typing import NDArray
from torch import Tensor, nn

from models import Engine, Style, load_engine
from models.acceleration.cuda.whole_frame import FrameFunction, Recipe
from models.acceleration.rewrites import split
from models.networks import Predictor
from models.weights.lora import LoraFile

Data = NDArray[np.uint8]

STYLE = Style("oil painting", 0.6, 2, guidance_scale=4.0, seed=5)
OTHER = replace(STYLE, prompt="neon", strength=0.9, guidance_scale=7.0, seed=9)
CLOSE = 1
"""uint8 levels: the same number may round to either side of a half."""


LEAST_PSNR_DB = 35.0


def divided(engine: Engine) -> Engine:
    assert isinstance(engine.networks.predict, Predictor)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    return engine


def make_bundled_like(folder: Path) -> Engine:
    return load_engine(save_bundled_like(folder), device="cpu", acceleration="off")


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "lcm": lambda _: make_engine(make_lcm()),
    "tiny": lambda _: make_engine(make_lcm(vae="tiny", guidance_width=None)),
    "sample": lambda _: make_engine(make_lcm(prediction_type="sample")),
    "sdxl": lambda _: make_engine(make_sdxl()),
    "pix2pix": lambda _: make_engine(make_instruct_pix2pix(), frame_is_scaled=False),
    "bundled": make_bundled_like,
}


def make_data(seed: int = 2, size: tuple[int, int] = SIZE) -> Data:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def recipe(engine: Engine, style: Style, size: tuple[int, int] = SIZE) -> Recipe:
    return Recipe(engine.noise(style, size), engine.encode_prompt(style), engine.schedule(style))


def paint(engine: Engine, style: Style, data: Data | None = None) -> Data:
    data = make_data() if data is None else data
    how = recipe(engine, style, (data.shape[-2], data.shape[-3]))
    return engine.paint(data, how.noise, how.conditioning, how.schedule)


def assert_same(ours: Data, theirs: Data) -> None:
    assert theirs.std() > 1  # a picture
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= CLOSE


def assert_alike(ours: Data, theirs: Data) -> None:
    """As one picture: kernels differ in TF32 and in float16."""
    assert ours.shape == theirs.shape
    error = np.square(ours.astype(float) - theirs).mean()
    assert 10 * np.log10(255**2 / max(error, 1e-9)) >= LEAST_PSNR_DB


def ready(engine: Engine) -> Engine:
    """Split and channels_last, as on a GPU."""
    networks: Any = engine.networks
    convert: Any = nn.Module.to
    for module in (networks.encode.vae, networks.predict.unet):
        convert(module, memory_format=torch.channels_last)
    return divided(engine)


def make_frame(engine: Engine, batch: int = 1, size: tuple[int, int] = SIZE) -> FrameFunction:
    return FrameFunction(engine, (batch, size[1], size[0]), recipe(engine, STYLE, size))


LORA_LAYERS = {
    "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": (16, 16),  # fused: a view
    "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k": (16, 16),  # once a style
    "unet.mid_block.resnets.0.time_emb_proj": (16, 32),
    "unet.down_blocks.0.resnets.0.conv1": (8, 8, 3, 3),
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj": (16, 16),
}


def make_lora(seed: int, layers: dict[str, Any] = LORA_LAYERS) -> LoraFile:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return 0.3 * torch.randn(shape, generator=generator)

    tensors: dict[str, Tensor] = {}
    for name, (out, into, *kernel) in layers.items():
        tensors[f"{name}.lora_A.weight"] = random(4, into, *kernel)
        tensors[f"{name}.lora_B.weight"] = random(out, 4, *(1 for _ in kernel))
    return LoraFile(f"lora {seed}", tensors)
