"""Loads an IP-Adapter into a UNet, and the image encoder whose pictures it reads."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import ModelFormatError
from models.image_encoder import ImageEncoder
from models.image_prompt import install
from models.presets import IMAGE_ADAPTERS, ImageAdapter
from models.weights.file_selection import PICKLE_SUFFIXES, encoder_choice
from models.weights.folders import Component, load_module, loading, locate
from models.weights.hub import Hub, HubName

PARTS = ("image_proj", "ip_adapter")


def known_adapter(cross_attention_dim: object, name: str) -> ImageAdapter:
    """The adapter that is known for a kind of UNet.

    Args:
        cross_attention_dim: Of the UNet's config.
        name: The model's, for messages.

    Raises:
        ModelFormatError: None is.
    """
    adapter = IMAGE_ADAPTERS.get(cross_attention_dim) if type(cross_attention_dim) is int else None
    if adapter is None:
        raise ModelFormatError(
            f"{name} takes no style picture: IP-Adapters are known for SD 1.5 and SDXL."
        )
    return adapter


def load_image_adapter(
    adapter: ImageAdapter, unet: Any, hub: Hub, device: torch.device, dtype: torch.dtype
) -> ImageEncoder:
    """Put the adapter into the UNet, in place.

    Raises:
        ModelNotFoundError: A part is neither here nor on the hub.
        ModelFormatError: It is pickled, damaged, or made for another UNet or encoder.
    """
    from transformers import CLIPVisionModelWithProjection

    projection, attention = _read(adapter.source, hub)
    place = locate(adapter.encoder)
    folder = hub.folder(place, encoder_choice(adapter)) if isinstance(place, HubName) else place
    part = Component(folder, adapter.encoder_folder, adapter.encoder)
    vision = load_module(CLIPVisionModelWithProjection, part, device, dtype)
    encoder = ImageEncoder(vision, projection, adapter.source)
    install(unet, attention, adapter.source)
    return encoder


def _read(source: str, hub: Hub) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The two parts of an adapter's file."""
    from safetensors import safe_open

    place = locate(source)
    path: Path = hub.file(place) if isinstance(place, HubName) else place
    if path.suffix in PICKLE_SUFFIXES or not path.is_file():
        raise ModelFormatError(
            f"{source} is no .safetensors file; give an IP-Adapter as one, with image_encoder/ "
            "beside it."
        )
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in PARTS}
    with loading(source), safe_open(path, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118
            part, _, rest = key.partition(".")
            if part in parts:
                parts[part][rest] = file.get_tensor(key)
    if not all(parts.values()):
        raise ModelFormatError(f"{source} is no IP-Adapter; its file has no {' and '.join(PARTS)}.")
    return parts["image_proj"], parts["ip_adapter"]
