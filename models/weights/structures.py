"""Loads structure networks, ``KIND[=SOURCE][:WEIGHT]``: diffusers' T2I-Adapters and ControlNets."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from models.depth import DepthEstimator
from models.errors import ModelFormatError
from models.presets import DEPTH_MODEL, STRUCTURES
from models.structure import Structure, StructurePart
from models.structure_hints import DEPTH, KINDS
from models.weights.file_selection import structure_choice
from models.weights.folders import Component, load_module, loading, locate
from models.weights.hub import Hub, HubName


class AskedStructure(NamedTuple):
    """What one spec says; the source is "" for the one that is known."""

    kind: str
    source: str
    weight: float


def parse_structure(spec: str) -> AskedStructure:
    """Read ``canny``, ``canny:0.8`` or ``canny=FOLDER:0.8``.

    Raises:
        ValueError: There is no such kind, or the weight is no number of 0 or more.
    """
    head, colon, tail = spec.rpartition(":")
    try:
        weight = float(tail) if colon else 1.0
    except ValueError:
        head, weight = spec, 1.0  # a colon of the path's own
    kind, _, source = (head if colon else spec).partition("=")
    if kind not in KINDS:
        raise ValueError(f"got structure={spec}, expected {', '.join(KINDS)}")
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"got structure={spec}, expected a weight of 0 or more")
    return AskedStructure(kind, source, weight)


def known_structures(
    asked: Sequence[AskedStructure], text_width: Callable[[], object], name: str
) -> tuple[AskedStructure, ...]:
    """The same, each with its source.

    Args:
        text_width: Gives the `cross_attention_dim` of the UNet's config.
        name: The model's, for messages.

    Raises:
        ModelFormatError: For a kind none is known.
    """
    return tuple(
        each if each.source else each._replace(source=_known(each.kind, text_width(), name))
        for each in asked
    )


def known_depth(asked: Sequence[AskedStructure], source: str | None) -> str | None:
    """Where the network is that finds depth; ``None`` where nothing asks for depth.

    Args:
        source: The one that is named, if any.

    Raises:
        ValueError: It is named and nothing asks for depth.
    """
    if any(each.kind == DEPTH for each in asked):
        return source or DEPTH_MODEL.source
    if source is not None:
        raise ValueError(f"got depth_model={source}, expected it with a structure of depth")
    return None


def load_structure(
    asked: Sequence[AskedStructure],
    depth: str | None,
    unet: Any,
    hub: Hub,
    device: torch.device,
    dtype: torch.dtype,
) -> Structure | None:
    """Load the networks; ``None`` where none is asked for.

    Args:
        asked: Each with its source.
        depth: Where the network is that finds depth, as `known_depth` has it.

    Raises:
        ModelNotFoundError: One is neither here nor on the hub.
        ModelFormatError: One is pickled, damaged, or made for another UNet.
    """
    sources = [*(each.source for each in asked), *filter(None, [depth])]
    places = [locate(source) for source in sources]  # what cannot be is said before any is fetched
    folders = [
        hub.folder(place, structure_choice(source)) if isinstance(place, HubName) else place
        for source, place in zip(sources, places, strict=True)
    ]
    networks = [
        _load(Component(folder, "", each.source), unet, device, dtype)
        for each, folder in zip(asked, folders, strict=False)
    ]
    if not networks:
        return None
    estimator = None if depth is None else _load_depth(folders[-1], depth, device, dtype)
    return Structure(
        [
            StructurePart(each.kind, network, each.weight)
            for each, network in zip(asked, networks, strict=True)
        ],
        estimator,
    )


def _load_depth(
    folder: Path, source: str, device: torch.device, dtype: torch.dtype
) -> DepthEstimator:
    from transformers import AutoModelForDepthEstimation

    part = Component(folder, "", source)
    return DepthEstimator(load_module(AutoModelForDepthEstimation, part, device, dtype), source)


def _known(kind: str, cross_attention_dim: object, name: str) -> str:
    row = next(
        (r for (width, k), r in STRUCTURES.items() if (width, k) == (cross_attention_dim, kind)),
        None,
    )
    if row is None:
        raise ModelFormatError(
            f"{name} has no network for {kind} that is known here; name one, as in "
            f"{kind}=OWNER/NAME (a ControlNet or T2I-Adapter of its own kind)."
        )
    return row.source


def _load(part: Component, unet: Any, device: torch.device, dtype: torch.dtype) -> Any:
    from diffusers import ControlNetModel, T2IAdapter

    with loading(str(part)):
        config: Any = ControlNetModel.load_config(part.folder, local_files_only=True)
    is_xl = unet.config.addition_embed_type == "text_time"
    match config.get("_class_name"):
        case "ControlNetModel":
            fits = config.get("cross_attention_dim") == unet.config.cross_attention_dim
            kind: Any = ControlNetModel
        case "T2IAdapter":
            fits = (config.get("adapter_type") == "full_adapter_xl") == is_xl
            kind = T2IAdapter
        case other:
            raise ModelFormatError(
                f"{part} is of class {other}; use a ControlNetModel or a T2IAdapter."
            )
    if not fits:
        raise ModelFormatError(
            f"{part} was made for another UNet; take one of the model's own kind (SD 1.5 or SDXL)."
        )
    return load_module(kind, part, device, dtype)
