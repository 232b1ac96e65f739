"""Loads the components of a model from a folder, and explains what is wrong where that fails.

Safetensors only: no pickle is ever unpickled, whatever a folder holds. `hub.py` makes a folder
of what is on the hub; here nothing touches the network.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from models.errors import ModelFormatError, ModelNotFoundError, is_out_of_memory
from models.weights.file_selection import PICKLE_SUFFIXES, best_variant, named_path, network_files
from models.weights.hub import HubName, file_names


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a model.

    Attributes:
        folder: The model's folder.
        subfolder: Of the component in it, "" for the folder itself.
        name: What the model is called in messages.
        variant: Which weights are liked best.
    """

    folder: Path
    subfolder: str
    name: str
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.subfolder})" if self.subfolder else self.name


def load_module(
    cls: Any,
    component: Component,
    device: torch.device,
    dtype: torch.dtype,
    weights: Path | None = None,
) -> Any:
    """Load a network by its library's `from_pretrained`, in evaluation mode, on the device.

    Args:
        cls: The network's class, of diffusers, transformers or our own.
        component: Its config and, without `weights`, its weights.
        device, dtype: Where it goes and what it computes in.
        weights: A .safetensors file with its weights, for a network that is published without a
            config of its own.

    Raises:
        ModelFormatError: A file is missing, damaged, pickled, or does not fit the config.
    """
    if weights is not None:
        module, missing = _from_file(cls, component, dtype, weights)
    else:
        names = file_names(component.folder)
        if any(name.startswith(component.subfolder) for name in names):
            network_files(names, component.name, component.subfolder, variant=component.variant)
        with loading(str(component)):
            module, info = cls.from_pretrained(
                component.folder,
                subfolder=component.subfolder,
                variant=best_variant(names, component.subfolder, component.variant),
                use_safetensors=True,
                output_loading_info=True,
                torch_dtype=dtype,
                local_files_only=True,
            )
        missing = sorted(info["missing_keys"])
    if missing:
        raise ModelFormatError(
            f"{component} lacks {len(missing)} weights (the first: {missing[0]}); "
            "its files are damaged or incomplete, fetch them again."
        )
    return module.to(device).eval().requires_grad_(False)


def _from_file(
    cls: Any, component: Component, dtype: torch.dtype, weights: Path
) -> tuple[torch.nn.Module, list[str]]:
    from safetensors.torch import load_file

    with loading(f"{component} with the weights {weights.name}"):
        config = cls.load_config(
            component.folder, subfolder=component.subfolder, local_files_only=True
        )
        module: torch.nn.Module = cls.from_config(config).to(dtype)
        keys = module.load_state_dict(load_file(weights), strict=False)
        if keys.unexpected_keys:
            raise ValueError(f"the file has {keys.unexpected_keys[0]}, which the network has not")
    return module, sorted(keys.missing_keys)


def locate(source: str) -> Path | HubName:
    """What the name of a LoRA, VAE or UNet means: a path that is there, or a place on the hub.

    Raises:
        ModelNotFoundError: Neither; the hub is not asked for what can only be a file.
    """
    path = named_path(source)
    if path.exists():
        return path
    name = HubName.parse(source)
    is_file_name = path.suffix in PICKLE_SUFFIXES | {".safetensors"}
    if name is None or (is_file_name and name.file is None):
        raise ModelNotFoundError(
            f"There is no file or folder {source}, and it is no hub id of the form "
            '"owner/name"; check the path.'
        )
    return name


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Around a library's loader: its errors become one sentence of ours, the cause attached.

    Raises:
        ModelFormatError: A file is missing, damaged or does not fit its config.
    """
    try:
        with _quiet():
            yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as err:
        if is_out_of_memory(err):
            raise MemoryError(str(err)) from err  # explained by whoever loads
        detail = " ".join(str(err).split())
        raise ModelFormatError(f"{what} cannot be loaded: {detail}") from err


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        # diffusers 0.42 passes huggingface_hub 2 an argument that it no longer has
        warnings.filterwarnings("ignore", message=".*local_dir_use_symlinks.*")
        # said where the user has switched them off by an environment variable
        warnings.filterwarnings("ignore", message="Cannot (en|dis)able progress bars")
        if shown:
            transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                transformers_logging.enable_progress_bar()
