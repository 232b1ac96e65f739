"""A checkpoint in one .safetensors file, as model-sharing sites offer them.

diffusers takes it apart. Such a file has the weights alone: configs and tokenizers are those of the
model that it was made from, a few files of which come from the hub once.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from models.errors import ModelFormatError
from models.files import NETWORKS, pipeline_files
from models.hub import Hub, HubName
from models.presets import SD15, SDXL
from models.sources import loading

BASES = {
    "cond_stage_model.transformer.text_model.": SD15,
    "conditioner.embedders.1.model.": SDXL,
}
"""What the names of some weights begin with -> the pipeline that such a file was made from."""


def open_checkpoint(path: Path, hub: Hub, dtype: torch.dtype) -> tuple[Path, dict[str, Any]]:
    """A folder of configs and tokenizers, and the networks by their subfolders in it.

    Raises:
        ModelFormatError: It is no whole checkpoint of the SD 1.5 or SDXL kind, or damaged.
        ModelNotFoundError: The configs are neither in the cache nor to be had.
    """
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    base = _base(path)
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
    return folder, {role: network for role, network in networks.items() if network is not None}


def _base(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
    except (OSError, SafetensorError) as err:
        raise ModelFormatError(f"{path} cannot be read: {err}; fetch it again.") from err
    for beginning, base in BASES.items():
        if any(name.startswith(beginning) for name in names):
            return base
    raise ModelFormatError(
        f"{path} is no whole checkpoint of the SD 1.5 or SDXL kind; "
        "a LoRA goes to --lora, other models are given as a diffusers folder."
    )
