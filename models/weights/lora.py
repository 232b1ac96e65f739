"""LoRA files fused into the weights: W += weight * alpha / rank * up @ down (arXiv 2106.09685).

What ``load_lora_weights`` + ``fuse_lora`` do in the classic LCM-LoRA snippet, done here in place,
because diffusers needs the `peft` package for it: a further core dependency, and adapter layers
around every linear, all to add one matrix product. Tested against the formula by hand and against
those two calls (tests/models/weights/test_lora_parity.py). Served: the kohya and diffusers/peft key
layouts (also SDXL files with the original repository's block names), linear and convolution layers.
DoRA and LyCORIS are refused. What `models.learning` writes also changes the stem and the decoder of
the bundled model, and says in its header which word a prompt has to say for it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import ModelFormatError
from models.weights.file_selection import (
    ADAPTER_CONFIG,
    ADAPTER_NAME,
    PICKLE_SUFFIXES,
    lora_choice,
    lora_file,
)
from models.weights.folders import loading, locate
from models.weights.hub import Hub, HubName, file_names

PEFT_PREFIX = "base_model.model."
WORD_KEY = "allaprima_word"
"""In a file's header: what a prompt says for its look."""

_PREFIXES = {
    "unet": ("lora_unet_", "unet."),
    "text_encoder": ("lora_te_", "lora_te1_", "text_encoder."),
    "text_encoder_2": ("lora_te2_", "text_encoder_2."),
    "stem": ("lora_stem_", "stem."),
    "vae": ("lora_vae_", "vae."),
}
_SUFFIXES = {
    "down": re.compile(
        r"(\.lora_down|[._]lora\.down|\.lora_linear_layer\.down|\.lora_A(\.\w+)?)\.weight$"
    ),
    "up": re.compile(r"(\.lora_up|[._]lora\.up|\.lora_linear_layer\.up|\.lora_B(\.\w+)?)\.weight$"),
    "alpha": re.compile(r"\.alpha$"),
}


@dataclass(frozen=True, slots=True, eq=False)
class LoraFile:
    """A LoRA as read.

    Attributes:
        name: For messages.
        tensors: The file's own keys.
        alphas: Network role -> alpha for layers without one of their own; the rank where absent.
        word: What a prompt says for its look, where the file tells.
    """

    name: str
    tensors: Mapping[str, Tensor]
    alphas: Mapping[str, float] = field(default_factory=dict)
    word: str | None = None


def read_lora(source: str, hub: Hub | None = None) -> LoraFile:
    """Read a LoRA: a .safetensors file, a folder with one, or a place on the hub.

    Raises:
        ModelNotFoundError: Neither here nor on the hub.
        ModelFormatError: It is pickled, damaged, of a kind that is not served, or there are several
            to choose from; or it is peft's and its settings are missing.
    """
    from safetensors import safe_open

    path = _find(source, hub or Hub())
    if path.suffix in PICKLE_SUFFIXES:
        raise ModelFormatError(
            f"{source} is pickled, which is never loaded because it can run code; "
            "use a .safetensors file of this LoRA."
        )
    with loading(source), safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        metadata: Mapping[str, str] = file.metadata() or {}
    alphas = _header_alphas(metadata, source)
    if path.name == ADAPTER_NAME or any(key.startswith(PEFT_PREFIX) for key in tensors):
        alphas = {**_config_alphas(path.with_name(ADAPTER_CONFIG), source), **alphas}
        if not alphas and not any(_SUFFIXES["alpha"].search(key) for key in tensors):
            raise ModelFormatError(
                f"{source} is a LoRA of peft's, and how strong it is ({ADAPTER_CONFIG} with its "
                "lora_alpha) is not beside it; fetch that file too."
            )
    return LoraFile(source, tensors, alphas, metadata.get(WORD_KEY) or None)


def _find(source: str, hub: Hub) -> Path:
    place = locate(source)
    if isinstance(place, HubName):
        if place.file is not None:
            return hub.folder(place, lora_choice(place.source, place.file)) / place.file
        place = hub.folder(place, lora_choice(source))
    return place / lora_file(file_names(place), source) if place.is_dir() else place


def fuse_lora(lora: LoraFile, modules: Mapping[str, nn.Module], weight: float) -> int:
    """Add a LoRA to the weights of the networks it is for, in place; returns the layers changed.

    Args:
        lora: From `read_lora`.
        modules: "unet", "text_encoder", "text_encoder_2", "stem", "vae" -> network.
        weight: How strongly; 1 is as trained.

    Raises:
        ModelFormatError: It is of another kind, or made for another model.
    """
    changes = lora_changes(lora, modules)
    for change in changes:
        change.add(weight)
    return len(changes)


@dataclass(frozen=True, slots=True, eq=False)
class LayerChange:
    """What a LoRA changes of one layer.

    Attributes:
        layer: A linear or convolution, whose weight is written to in place.
        down, up: (rank, ...) and (outputs, rank, ...).
        alpha: The change is alpha / rank times their product.
    """

    layer: nn.Linear | nn.Conv2d
    down: Tensor
    up: Tensor
    alpha: float

    def add(self, weight: float) -> None:
        """Add so much of it to the layer's weight."""
        parameter = self.layer.weight
        down, up = (one.to(parameter.device, torch.float32) for one in (self.down, self.up))
        # a k x k convolution after down, 1 x 1 after up: together one k x k convolution
        delta = (up.flatten(1) @ down.flatten(1)).reshape(parameter.shape)
        with torch.no_grad():
            parameter.copy_(parameter.float() + weight * self.alpha / len(down) * delta)


def lora_changes(lora: LoraFile, modules: Mapping[str, nn.Module]) -> list[LayerChange]:
    """What a LoRA changes of a model; takes and raises what `fuse_lora` does."""
    layers = {
        f"{role}:{_flat(path)}": layer
        for role, module in modules.items()
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    }
    groups = {
        key: group
        for key, group in _collect(lora, modules["unet"].config).items()
        if key.partition(":")[0] in modules
    }
    changes = []
    for key, group in groups.items():
        if key not in layers:
            raise ModelFormatError(
                f"The LoRA {lora.name} changes a layer that this model has not ({key}); "
                "use a LoRA made for this kind of model."
            )
        alpha = lora.alphas.get(key.partition(":")[0])
        changes.append(_change(layers[key], group, alpha, f"{lora.name}, {key}"))
    if not changes:
        raise ModelFormatError(f"The LoRA {lora.name} changes nothing in this model; use another.")
    return changes


def _header_alphas(metadata: Mapping[str, str], name: str) -> dict[str, float]:
    """alpha per network from the peft settings that diffusers writes into a file's header."""
    with loading(f"{name} (its lora_adapter_metadata)"):
        settings = _settings(metadata.get("lora_adapter_metadata", "{}"))
    found = {}
    for role in _PREFIXES:
        own = {key.removeprefix(f"{role}."): value for key, value in settings.items()}
        if (alpha := _alpha(own, name)) is not None:
            found[role] = alpha
    return found


def _config_alphas(config: Path, name: str) -> dict[str, float]:
    """alpha of the UNet from the settings that peft writes beside a file of its own."""
    if not config.is_file():
        return {}
    with loading(f"{name} ({ADAPTER_CONFIG})"):
        settings = _settings(config.read_text("utf-8"))
    alpha = _alpha(settings, name)
    return {} if alpha is None else {"unet": alpha}


def _settings(text: str) -> dict[str, Any]:
    settings = json.loads(text)
    if not isinstance(settings, dict):
        raise ValueError("it is no JSON object")
    return settings


def _alpha(settings: Mapping[str, Any], name: str) -> float | None:
    """alpha by peft's settings for one network."""
    for option in ("alpha_pattern", "use_dora", "use_rslora"):
        if settings.get(option):
            raise ModelFormatError(f"The LoRA {name} uses {option}, which is not served.")
    alpha = settings.get("lora_alpha")
    if alpha is None:
        return None
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise ModelFormatError(
            f"The LoRA {name} has lora_alpha={alpha!r}, expected a number; fetch it again."
        )
    return float(alpha)


def _collect(lora: LoraFile, unet_config: Any) -> dict[str, dict[str, Tensor]]:
    """Group a file's tensors: "role:flat layer path" -> "down", "up", "alpha" -> tensor."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in lora.tensors.items():
        role, path = _split_role(key)
        for kind, pattern in _SUFFIXES.items():
            if not pattern.search(path):
                continue
            flat = _flat(pattern.sub("", path))
            if role == "unet":
                flat = _from_original_names(flat, unet_config)
            found.setdefault(f"{role}:{flat}", {})[kind] = tensor
            break
        else:
            raise ModelFormatError(
                f"{lora.name} is not a plain LoRA (it has {key!r}); "
                "DoRA and LyCORIS are not served."
            )
    return found


def _split_role(key: str) -> tuple[str, str]:
    for role, prefixes in _PREFIXES.items():
        for prefix in prefixes:
            if key.startswith(prefix):
                return role, key[len(prefix) :]
    return "unet", key.removeprefix(PEFT_PREFIX)  # a file for a UNet alone


def _flat(path: str) -> str:
    """One spelling for all layouts: kohya's underscores, no wrappers' names."""
    flat = path.replace(".", "_").removeprefix("text_model_").replace("_processor_", "_")
    return re.sub(r"_to_out$", "_to_out_0", flat)


def _change(
    layer: nn.Linear | nn.Conv2d,
    group: Mapping[str, Tensor],
    default_alpha: float | None,
    name: str,
) -> LayerChange:
    if "down" not in group or "up" not in group:
        raise ModelFormatError(f"Half a layer is missing in the LoRA {name}; fetch it again.")
    down, up = group["down"], group["up"]
    rank = down.shape[0]
    if up.shape[1] != rank or up.shape[0] * down[0].numel() != layer.weight.numel():
        raise ModelFormatError(
            f"A layer has another shape in the model than in the LoRA {name}; "
            "use a LoRA made for this kind of model."
        )
    alpha = group["alpha"].item() if "alpha" in group else default_alpha
    return LayerChange(layer, down, up, rank if alpha is None else float(alpha))


_ORIGINAL = re.compile(r"(input_blocks|middle_block|output_blocks)_(\d+)_(?:(\d+)_)?(.*)")
_MIDDLE = ("mid_block_resnets_0", "mid_block_attentions_0", "mid_block_resnets_1")
_ORIGINAL_RESNET = {
    "in_layers_2": "conv1",
    "out_layers_3": "conv2",
    "emb_layers_1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
_ORIGINAL_HEAD = {
    "input_blocks_0_0": "conv_in",
    "out_2": "conv_out",
    "time_embed_0": "time_embedding_linear_1",
    "time_embed_2": "time_embedding_linear_2",
    "label_emb_0_0": "add_embedding_linear_1",
    "label_emb_0_2": "add_embedding_linear_2",
}


def _from_original_names(flat: str, config: Any) -> str:
    """Block names of the original SD/SDXL code -> diffusers' (others pass through).

    The original counts the blocks of a side in one list: input block 0 is the first convolution,
    then every level has `layers_per_block` layers and a down-sampler; output levels have one layer
    more, with the up-sampler at the end of the last.
    """
    if flat in _ORIGINAL_HEAD:
        return _ORIGINAL_HEAD[flat]
    match = _ORIGINAL.fullmatch(flat)
    if match is None or config is None:
        return flat
    side, block, inner, rest = match[1], int(match[2]), match[3], match[4]
    layers, up_blocks = config.layers_per_block, config.up_block_types
    if side == "middle_block" and block < len(_MIDDLE):
        head = _MIDDLE[block]
    elif inner is None or not isinstance(layers, int):
        return flat
    elif side == "input_blocks":
        head = _input_head(block - 1, int(inner), layers)
    elif side == "output_blocks" and block // (layers + 1) < len(up_blocks):
        attends = "CrossAttn" in up_blocks[block // (layers + 1)]
        head = _output_head(block, int(inner), layers, attends)
    else:
        return flat  # of a larger UNet
    if "resnets" in head:
        rest = _ORIGINAL_RESNET.get(rest, rest)
    elif "samplers" in head:
        rest = "conv"
    return f"{head}_{rest}"


def _input_head(block: int, inner: int, layers: int) -> str:
    level, layer = divmod(block, layers + 1)
    if layer == layers:
        return f"down_blocks_{level}_downsamplers_0"
    return f"down_blocks_{level}_{'attentions' if inner else 'resnets'}_{layer}"


def _output_head(block: int, inner: int, layers: int, attends: bool) -> str:
    level, layer = divmod(block, layers + 1)
    kinds = ["resnets", "attentions"] if attends else ["resnets"]
    if inner < len(kinds):
        return f"up_blocks_{level}_{kinds[inner]}_{layer}"
    return f"up_blocks_{level}_upsamplers_0"
