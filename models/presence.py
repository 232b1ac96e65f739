"""Whether a preset's parts are on this machine; nothing is loaded, nothing fetched.

Looks for one telling file of each part, in a local folder or in the hub's cache.
"""

from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from models.presets import Preset

WEIGHTS = "diffusion_pytorch_model"
LORA_WEIGHTS = "pytorch_lora_weights.safetensors"


def is_present(preset: Preset) -> bool:
    """True if `load_engine(preset.name)` needs no network."""
    suffix = f".{preset.variant}.safetensors" if preset.variant else ".safetensors"
    unet = (preset.unet, "") if preset.unet else (preset.source, "unet/")
    vae = (preset.vae, "") if preset.vae else (preset.source, "vae/")
    files = [
        (preset.source, "model_index.json"),
        (unet[0], f"{unet[1]}{WEIGHTS}{suffix}"),
        (vae[0], f"{vae[1]}{WEIGHTS}{'.safetensors' if preset.vae else suffix}"),
        *((lora.partition(":")[0], LORA_WEIGHTS) for lora in preset.loras),
    ]
    return all(_is_here(source, name, preset.revision) for source, name in files)


def _is_here(source: str, name: str, revision: str | None) -> bool:
    if Path(source).is_dir():
        return (Path(source) / name).is_file()
    if source.count("/") != 1:  # neither a folder nor a hub id
        return False
    return isinstance(try_to_load_from_cache(source, name, revision=revision), str)
