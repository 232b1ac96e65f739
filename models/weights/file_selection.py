"""Selects the files of a model's repository or folder that are needed. Works on names alone."""

import difflib
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import ModelFormatError, ModelNotFoundError
from models.presets import ImageAdapter, Preset

INDEX_NAME = "model_index.json"
LORA_NAME = "pytorch_lora_weights.safetensors"
ADAPTER_NAME, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
"""What peft writes: the weights of one network, and beside them the alpha that belongs to them."""

PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl"})
NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")
TOKENIZERS = ("tokenizer", "tokenizer_2")

Choose = Callable[[Sequence[str]], list[str]]
"""From the names of all files of a repository, those that are wanted; refuses what has them not."""

_WEIGHTS = re.compile(
    r"(?:diffusion_pytorch_model|model)(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?\.safetensors"
)
_SHARDS = re.compile(
    r"(?:diffusion_pytorch_model|model)\.safetensors\.index(?:\.(?P<variant>\w+))?\.json"
)


def wanted_parts(preset: Preset) -> list[tuple[str, Choose]]:
    """Every place that a preset's files come from, and which of the files there."""
    parts = [(preset.source, pipeline_choice(preset))]
    if preset.unet:
        parts.append((preset.unet, list))
    if preset.vae:
        parts.append((preset.vae, vae_choice(preset.vae)))
    for lora in preset.loras:
        source, _ = parse_lora(lora)
        parts.append((source, lora_choice(source)))
    if preset.image_adapter is not None:
        adapter = preset.image_adapter
        parts += [(adapter.source, list), (adapter.encoder, encoder_choice(adapter))]
    parts += [(source, structure_choice(source)) for source in preset.structures]
    return parts


def structure_choice(source: str) -> Choose:
    """A network in a folder or repository of its own."""
    return lambda names: network_files(names, source)


def encoder_choice(adapter: ImageAdapter) -> Choose:
    """The image encoder of an IP-Adapter."""
    return lambda names: network_files(names, adapter.encoder, adapter.encoder_folder)


def pipeline_choice(preset: Preset) -> Choose:
    """Of a preset's pipeline, all but the weights that come from elsewhere."""
    replaced = {"unet": preset.unet, "vae": preset.vae}
    without = [network for network, other in replaced.items() if other]
    return lambda names: pipeline_files(
        names, preset.source, variant=preset.variant, without=without
    )


def vae_choice(source: str) -> Choose:
    """A VAE of its own, or that of a whole pipeline."""
    return lambda names: network_files(names, source, vae_subfolder(names), variant=None)


def vae_subfolder(names: Sequence[str]) -> str:
    """Where the VAE is in a folder: "vae" in a pipeline's, else the folder itself."""
    return "vae" if "vae/config.json" in names else ""


def named_path(name: str) -> Path:
    """The path that a name means, whether there is something or not.

    Raises:
        ModelNotFoundError: No path can have that name, or one may not look there.
    """
    try:
        path = Path(name).expanduser()
        (path / INDEX_NAME).lstat()  # tells of a folder, too, whether one may look into it
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError) as err:  # too long, forbidden; a home of nobody
        reason = (err.strerror or err) if isinstance(err, OSError) else err
        raise ModelNotFoundError(f"{name} cannot be looked for ({reason}); check it.") from err
    return path


def lora_choice(source: str, file: str | None = None) -> Choose:
    """The one file of a LoRA, or the one that is named, after peft's settings for it, if any."""

    def choose(names: Sequence[str]) -> list[str]:
        chosen = lora_file(names, source) if file is None else named_file(names, source, file)
        settings = str(PurePosixPath(chosen).with_name(ADAPTER_CONFIG))
        return [settings, chosen] if settings in names else [chosen]

    return choose


def named_file(names: Sequence[str], source: str, file: str) -> str:
    """The file itself.

    Raises:
        ModelFormatError: It is not among the names; the message has the nearest.
    """
    if file not in names:
        near = ", ".join(difflib.get_close_matches(file, names, n=3, cutoff=0.3))
        raise ModelFormatError(f"{source} has no file {file}; the nearest: {near}.")
    return file


def parse_lora(spec: str) -> tuple[str, float]:
    """Split "ID[:weight]" into (ID, weight); the weight is 1 without one.

    Raises:
        ValueError: The weight is no finite number.
    """
    head, colon, tail = spec.rpartition(":")
    try:
        weight = float(tail) if colon else 1.0
    except ValueError:
        if not head.endswith(".safetensors"):  # a colon of the path's own
            return spec, 1.0
        weight = math.nan
    if not math.isfinite(weight):
        raise ValueError(f"got LoRA weight {tail!r} in {spec!r}, expected a finite number")
    return (head, weight) if colon else (spec, weight)


def pipeline_files(
    names: Sequence[str], source: str, *, variant: str | None, without: Sequence[str] = ()
) -> list[str]:
    """The files of a diffusers pipeline that are loaded: configs, weights, tokenizers.

    The index comes last: fetched in this order, a folder that has it has everything.

    Args:
        names: All there are.
        source: For messages.
        variant: Which weights are liked best ("fp16"); others are taken where there are none.
        without: Networks whose weights come from elsewhere.

    Raises:
        ModelFormatError: It is no pipeline, or a network has no safetensors weights.
    """
    if INDEX_NAME not in names:
        raise ModelFormatError(
            f"{source} has no {INDEX_NAME}; give a whole diffusers pipeline, as `save_pretrained` "
            "writes it (a LoRA goes to loras=..., an autoencoder to vae=...)."
        )
    wanted: list[str] = []
    for folder in (*NETWORKS, *TOKENIZERS, "scheduler"):
        inside = [name for name in names if name.startswith(f"{folder}/")]
        if folder in TOKENIZERS:
            wanted += inside
        else:
            wanted += [name for name in inside if name.endswith("config.json")]
        if inside and folder in NETWORKS and folder not in without:
            wanted += network_files(names, source, folder, variant=variant)
    return [*dict.fromkeys(wanted), INDEX_NAME]


def missing_parts(index: Any, names: Sequence[str]) -> list[str]:
    """The parts that a pipeline's index has, and of which there is no file at all.

    Other programs fetch the index first, and may have been cut short.
    """
    named = index.items() if isinstance(index, dict) else ()
    parts = [part for part, told in named if isinstance(told, list) and told[-1:] != [None]]
    served = {*NETWORKS, *TOKENIZERS, "scheduler"}
    there = {name.partition("/")[0] for name in names}
    return [part for part in parts if part in served - there]


def network_files(
    names: Sequence[str], source: str, folder: str = "", *, variant: str | None = None
) -> list[str]:
    """The config and weights of one network in a folder ("" is the repository itself).

    Raises:
        ModelFormatError: There are none, or none but pickled ones.
    """
    chosen = best_variant(names, folder, variant)
    inside = _inside(names, folder)
    weights = [
        name
        for pattern in (_WEIGHTS, _SHARDS)
        for name in inside
        if (match := pattern.fullmatch(name)) and match["variant"] == chosen
    ]
    place = f"{source} ({folder})" if folder else source
    if not weights or any("-of-" in name for name in weights) != weights[-1].endswith(".json"):
        pickled = [name for name in inside if f".{name.rpartition('.')[2]}" in PICKLE_SUFFIXES]
        if pickled:
            raise ModelFormatError(
                f"{place} has only pickled weights ({pickled[0]}), which are never loaded because "
                "they can run code; convert them once with "
                "`save_pretrained(..., safe_serialization=True)`."
            )
        raise ModelFormatError(f"{place} has no weights (a .safetensors file); fetch them again.")
    prefix = f"{folder}/" if folder else ""
    return [f"{prefix}{name}" for name in ("config.json", *weights)]


def best_variant(names: Sequence[str], folder: str, liked: str | None) -> str | None:
    """The variant of a network's weights to load: as liked, else plain, else what there is."""
    found = [match["variant"] for name in _inside(names, folder) if (match := _weights(name))]
    if liked in found or not found:
        return liked
    return None if None in found else found[0]


def lora_file(names: Sequence[str], source: str) -> str:
    """The weights of a LoRA among the files of its folder or repository.

    Raises:
        ModelFormatError: There is none, or several and none has the usual name.
    """
    files = [name for name in _inside(names, "") if name.endswith(".safetensors")]
    if LORA_NAME in files:
        return LORA_NAME
    if len(files) != 1:
        few = f": {', '.join(files[:4])}" + (" ..." if len(files) > 4 else "") if files else ""
        raise ModelFormatError(
            f"{source} has {len(files)} .safetensors files, expected one{few}; "
            f"name the file itself, as {source}/FILE.safetensors."
        )
    return files[0]


def _inside(names: Sequence[str], folder: str) -> list[str]:
    """The files directly in a folder, without its name."""
    prefix = f"{folder}/" if folder else ""
    inner = [name[len(prefix) :] for name in names if name.startswith(prefix)]
    return [name for name in inner if "/" not in name]


def _weights(name: str) -> re.Match[str] | None:
    return _WEIGHTS.fullmatch(name) or _SHARDS.fullmatch(name)
