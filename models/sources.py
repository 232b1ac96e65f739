"""Parts of a model in a folder or on the hub: safetensors only, and errors a person can act on.

`models.loading` says which part it wants; here it is loaded by its own library, and what the hub,
the disk and the file formats can do wrong becomes one sentence.
"""

import errno
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from models.errors import ModelError, ModelFormatError, ModelNotFoundError
from models.presets import nearest_presets

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
PICKLE_SUFFIXES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl"})


@dataclass(frozen=True, slots=True)
class Part:
    """Where one part of a model is: a hub id or folder, and the subfolder in it."""

    source: str
    subfolder: str | None = None
    revision: str | None = None
    variant: str | None = None

    def __str__(self) -> str:
        return f"{self.source} ({self.subfolder})" if self.subfolder else self.source

    @property
    def folder(self) -> Path | None:
        """The local folder, ``None`` for a part on the hub."""
        root = Path(self.source).expanduser()
        if not root.is_dir():
            return None
        return root / self.subfolder if self.subfolder else root


def load_module(cls: Any, part: Part, device: torch.device, dtype: torch.dtype) -> Any:
    """Load a network by its library's `from_pretrained`, in evaluation mode, on the device.

    Raises:
        ModelNotFoundError, ModelFormatError, ModelError: As `loading` says.
    """
    refuse_pickle(part)
    with loading(part):
        module, info = cls.from_pretrained(
            part.source,
            subfolder=part.subfolder or "",
            revision=part.revision or "main",
            variant=part.variant,
            use_safetensors=True,
            output_loading_info=True,
            torch_dtype=dtype,
        )
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelFormatError(
            f"{part} lacks {len(missing)} weights (the first: {missing[0]}); "
            "its files are damaged or incomplete, fetch them again."
        )
    return module.to(device).eval().requires_grad_(False)


def require_source(source: str) -> None:
    """Check that a LoRA's or VAE's name is a path that is there, or may be a hub id.

    Raises:
        ModelNotFoundError: Neither; the hub is not asked for what can only be a file.
    """
    path = Path(source).expanduser()
    is_file_name = path.suffix in PICKLE_SUFFIXES | {".safetensors"}
    if not path.exists() and (is_file_name or not HUB_ID.fullmatch(source)):
        raise ModelNotFoundError(
            f"There is no file or folder {source}, and it is no hub id of the form "
            '"owner/name"; check the path.'
        )


def refuse_pickle(part: Part) -> None:
    """Refuse a local part that has nothing but pickled weights; they could run any code.

    Raises:
        ModelFormatError: With the way to convert them.
    """
    folder = part.folder
    if folder is None or not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLE_SUFFIXES)
    if pickled:
        raise ModelFormatError(
            f"{part} has only pickled weights ({pickled[0]}), which are never loaded because they "
            "can run code; convert them once with `save_pretrained(..., safe_serialization=True)`."
        )


@contextmanager
def loading(part: Part) -> Iterator[None]:
    """Around a library's loader: its errors become one sentence of ours, the cause attached.

    Local parts load without progress bars; a download shows the hub's.

    Raises:
        ModelNotFoundError: The hub has no such model, guards it, or is out of reach.
        ModelFormatError: A file is missing, damaged or does not fit its config.
        ModelError: The disk is full.
    """
    try:
        with _quiet(part):
            yield
    except (OSError, ValueError, KeyError, SafetensorError, EntryNotFoundError) as err:
        raise _explain(err, part) from err


@contextmanager
def _quiet(part: Part) -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    hide = part.folder is not None and transformers_logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        # diffusers 0.42 passes huggingface_hub 2 an argument that it no longer has
        warnings.filterwarnings("ignore", message=".*local_dir_use_symlinks.*")
        # said where the user has switched them off by an environment variable
        warnings.filterwarnings("ignore", message="Cannot (en|dis)able progress bars")
        if hide:
            transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            if hide:
                transformers_logging.enable_progress_bar()


def _explain(err: BaseException, part: Part) -> ModelError:
    chain = list(_causes(err))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
            return ModelError(f"The disk is full; make room, then fetch {part.source} again.")
    for kinds, sentence in _HUB_SENTENCES:
        if any(isinstance(cause, kinds) for cause in chain) and part.folder is None:
            nearest = ", ".join(nearest_presets(part.source))
            return ModelNotFoundError(sentence.format(source=part.source, nearest=nearest))
    detail = " ".join(str(err).split())
    return ModelFormatError(f"{part} cannot be loaded: {detail}")


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


_HUB_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (GatedRepoError,),
        "{source} is gated: accept its licence on its page on the hub, "
        "then log in with `hf auth login`.",
    ),
    (
        (RepositoryNotFoundError, HFValidationError),
        "The hub has no model {source} (or it is private); the nearest presets are {nearest}.",
    ),
    ((RevisionNotFoundError,), "{source} has no such revision on the hub."),
    (
        (OfflineModeIsEnabled,),
        "{source} is not in the local cache and offline mode is on; "
        "unset HF_HUB_OFFLINE once to fetch it, or give a local folder.",
    ),
    (
        (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError, TimeoutError),
        "{source} is not in the local cache and the hub cannot be reached; "
        "check the network, or give a local folder.",
    ),
)
