"""A loaded miniature put to work: one painting, and a LoRA that fits it."""

from pathlib import Path
from typing import Any

import torch
from miniature import SIZE
from safetensors.torch import save_file
from torch import Tensor

from models import Engine, Style

STYLE = Style("oil painting", 0.6, 2, seed=1)


def paint(engine: Engine, style: Style = STYLE) -> Tensor:
    image = torch.linspace(-1, 1, 3 * SIZE[0] * SIZE[1]).reshape(1, 3, SIZE[1], SIZE[0])
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    latents = engine.denoise(
        engine.encode(image),
        noise,
        conditioning,
        engine.schedule(style),
        features=engine.features(image, noise, conditioning),
    )
    return engine.decode(latents)


def write_lora(pipeline: Any, path: Path, layout: str) -> str:
    """A random LoRA over the attention and convolutions of a UNet, in kohya's or peft's layout."""
    tensors: dict[str, Tensor] = {}
    for name, layer in pipeline.unet.named_modules():
        if not name.endswith(("to_q", "to_v", "to_out.0", "conv1", "proj_in")):
            continue
        kernel = layer.weight.shape[2:]
        down = torch.randn(2, layer.weight.shape[1], *kernel) * 0.3
        up = torch.randn(layer.weight.shape[0], 2, *(1,) * len(kernel)) * 0.3
        if layout == "kohya":
            flat = "lora_unet_" + name.replace(".", "_")
            tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
            tensors[f"{flat}.alpha"] = torch.tensor(1.0)
        else:
            tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return str(path)
