"""Loads checkpoints and VAEs from a single .safetensors file, as model-sharing sites offer them.

diffusers takes it apart. Such a file has the weights alone: configs and tokenizers are those of the
model that it was made from, a few files of which come from the hub once.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from models.errors import ModelFormatError
from models.presets import SD15, SDXL
from models.weights.file_selection import NETWORKS, pipeline_files
from models.weights.folders import Component, load_module, loading
from models.weights.hub import Hub, HubName

BASES = {
    "cond_stage_model.transformer.text_model.": SD15,
    "conditioner.embedders.1.model.": SDXL,
}
"""What the names of some weights begin with -> the pipeline that such a file was made from."""


MARKS: dict[str, dict[str, Any]] = {
    "v_pred": {"prediction_type": "v_prediction"},
    "ztsnr": {"rescale_betas_zero_snr": True},
}
"""Empty weights by which a file tells how it was trained -> what that is in a scheduler's config
(the convention of NoobAI-XL, which ComfyUI reads too)."""


class Checkpoint(NamedTuple):
    """What one file has.

    Attributes:
        configs: A folder of configs and tokenizers.
        networks: By their subfolders in it.
        schedule: What is otherwise in the scheduler's config.
    """

    configs: Path
    networks: dict[str, Any]
    schedule: dict[str, Any]


def open_checkpoint(path: Path, hub: Hub, dtype: torch.dtype) -> Checkpoint:
    """Read a whole checkpoint.

    Raises:
        ModelFormatError: It is no whole checkpoint of the SD 1.5 or SDXL kind, or damaged.
        ModelNotFoundError: The configs are neither in the cache nor to be had.
    """
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    keys = _keys(path)
    base = _base(path, keys)
    folder = Path(base)
    if (name := HubName.parse(base)) is not None and not folder.is_dir():
        folder = hub.folder(
            name, lambda names: pipeline_files(names, base, variant=None, without=NETWORKS)
        )
    pipeline_class = StableDiffusionXLPipeline if base == SDXL else StableDiffusionPipeline
    with loading(path.name):
        pipeline = pipeline_class.from_single_file(
            str(path), config=str(folder), torch_dtype=dtype, local_files_only=True
        )
    networks = {role: pipeline.components.get(role) for role in NETWORKS}
    there = {role: network for role, network in networks.items() if network is not None}
    told = {key: value for mark in MARKS if mark in keys for key, value in MARKS[mark].items()}
    return Checkpoint(folder, there, told)


def open_vae(path: Path, configs: Component, device: torch.device, dtype: torch.dtype) -> Any:
    """An AutoencoderKL whose weights are in one file, in the original code's names or diffusers'.

    Args:
        configs: The VAE of the pipeline that it is for: its config is taken.

    Raises:
        ModelFormatError: It is damaged, or no such VAE.
    """
    from diffusers import AutoencoderKL

    keys = _keys(path)
    if any(key.startswith("encoder.down_blocks.") for key in keys):
        return load_module(AutoencoderKL, configs, device, dtype, path)
    if not any(key.endswith("encoder.down.0.block.0.conv1.weight") for key in keys):
        raise ModelFormatError(
            f"{path} is no VAE of the SD kind; a tiny one is given as a diffusers folder or hub id."
        )
    with loading(path.name):
        vae = AutoencoderKL.from_single_file(
            str(path),
            config=str(configs.folder),
            subfolder=configs.subfolder,
            torch_dtype=dtype,
            local_files_only=True,
        )
    return vae.to(device).eval().requires_grad_(False)


def _keys(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as file:
            return list(file.keys())
    except (OSError, SafetensorError) as err:
        raise ModelFormatError(f"{path} cannot be read: {err}; fetch it again.") from err


def _base(path: Path, keys: list[str]) -> str:
    for beginning, base in BASES.items():
        if any(key.startswith(beginning) for key in keys):
            return base
    raise ModelFormatError(
        f"{path} is no whole checkpoint of the SD 1.5 or SDXL kind; "
        "a LoRA goes to loras=..., other models are given as a diffusers folder."
    )
