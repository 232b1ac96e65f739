"""Loads an `Engine` by a model's name: a preset, a local diffusers folder or file, or a hub id.

    name ──find_preset──► Preset ──`models.components`──► Engine ──► with the fast path that fits

The parts come through the real diffusers and transformers loaders, one by one. Safetensors only:
no pickle is ever unpickled, whatever a folder holds. Nothing here runs per frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

import torch

from models.acceleration import Acceleration, CompileMode
from models.acceleration.choice import accelerate, check_acceleration, loading_dtype
from models.acceleration.cpu.openvino_cache import load_cached
from models.engine import Engine
from models.errors import ModelFormatError, ModelNotFoundError, explained_memory_errors
from models.presets import BUNDLED_FOLDER, PRESETS, Preset, nearest_presets
from models.recipe import Recipe
from models.style import Style
from models.styles import STYLES
from models.weights.digest import weights_digest
from models.weights.file_selection import INDEX_NAME, PICKLE_SUFFIXES, named_path

if TYPE_CHECKING:
    from models.weights.download import OnDownload
    from models.weights.hub import HubName

FOLDER_STYLE = Style(strength=0.5, num_inference_steps=2)
"""For models that no row of the table tells of."""

NO_STYLE_PICTURE = (
    "The bundled model takes no style picture; `allaprima learn` makes a look of its own from "
    "pictures, or take an SD 1.5 or SDXL model."
)

NO_STRUCTURE = (
    "The bundled model takes no structure network: it keeps to the frame by itself; or take an "
    "SD 1.5 or SDXL model."
)


def load_engine(
    name: str,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    loras: Sequence[str] = (),
    vae: str | None = None,
    acceleration: Acceleration = "auto",
    compile: CompileMode = "auto",
    offline: bool = False,
    on_download: "OnDownload | None" = None,
    recipe: Recipe | None = None,
    image_adapter: str | bool = False,
    structures: Sequence[str] = (),
    depth_model: str | None = None,
    switchable_loras: bool = False,
) -> Engine:
    """Load a model, ready to run (call `Engine.warm_up` before the first frame counts).

    Args:
        name: "bundled", another name in `PRESETS`, a local diffusers folder or .safetensors
            checkpoint, or a place on the hub, ``owner/name[@revision][/file.safetensors]``.
        device: ``None`` takes CUDA, else MPS, else the CPU.
        dtype: What the networks compute in; ``None``: float16, on the CPU what is fastest there.
        loras: More LoRAs to fuse, each "ID[:weight]", ID a .safetensors file, a folder or hub id.
        vae: Folder or hub id of another VAE, e.g. "madebyollin/taesd".
        acceleration: "auto" takes the fastest path that works here (on the CPU, with `dtype` given:
            the plain one), "off" the plain one; "openvino" and "eager" (both on the CPU) ask for
            one. There all but "off" set torch's thread count for the process.
        compile: On CUDA, when faster kernels are compiled: "auto" beside, "now" before, "off".
        offline: Never ask the network; HF_HUB_OFFLINE in the environment says the same.
        on_download: Told how far a download is: (hub id, bytes here, bytes in all).
        recipe: With `acceleration` "auto", what to compute in, as far as it can be had here.
        image_adapter: An IP-Adapter, for pictures of a style: True is the known one, else a file.
        structures: ``KIND[=SOURCE][:WEIGHT]``, KIND canny, lineart, tile or depth, SOURCE a
            ControlNet or T2I-Adapter.
        depth_model: One of transformers' networks for depth, for that; ``None`` is the known one.
        switchable_loras: Let `Style.loras` switch `loras` (on a CPU torch paints then).

    Raises:
        ModelNotFoundError: No such preset, folder or hub id, or the hub is out of reach.
        ModelFormatError: A part is missing, damaged, pickled or of a kind that is not served.
        ModelMemoryError: The device is too small.
        ValueError: No such device, structure or acceleration, or none for this device or `dtype`.
        ImportError: "openvino" was asked for and is not installed.
    """
    preset, target = find_preset(name), choose_device(device)
    _check_bundled(preset, image_adapter, (*structures, *filter(None, [depth_model])))
    check_acceleration(acceleration, target, dtype, compile)
    preset = replace(preset, vae=vae or preset.vae, loras=(*preset.loras, *loras))
    fast = target.type == "cpu" and acceleration in ("auto", "openvino")
    is_kept = fast and name == "bundled" and not any((vae, *loras, dtype))
    rest = loading_dtype(acceleration, target, dtype), (offline, on_download)
    held = image_adapter, structures, depth_model, len(loras) if switchable_loras else 0
    plain = cache(lambda: _plain_engine(preset, target, *rest, held))
    with explained_memory_errors(target):
        engine = _kept_engine(preset, plain, recipe) if is_kept else None
        engine = engine or _accelerated(plain(), acceleration, dtype, compile, recipe)
    _name_looks(engine)
    return engine


def _accelerated(
    engine: Engine,
    acceleration: Acceleration,
    dtype: torch.dtype | None,
    compile: CompileMode,
    recipe: Recipe | None,
) -> Engine:
    accelerate(engine, acceleration, dtype, compile, recipe)
    if engine.loras is not None:
        engine.loras.attach(engine)
    return engine


def _check_bundled(preset: Preset, image_adapter: str | bool, structures: Sequence[str]) -> None:
    is_bundled = preset.source == str(BUNDLED_FOLDER)
    if is_bundled and (image_adapter or structures):
        raise ModelFormatError(NO_STYLE_PICTURE if image_adapter else NO_STRUCTURE)


def _kept_engine(
    preset: Preset, plain: Callable[[], Engine], recipe: Recipe | None
) -> Engine | None:
    engine = load_cached(preset, plain, recipe)
    if engine is not None:
        engine.computation.digest_weights = cache(partial(weights_digest, preset))
    return engine


def _name_looks(engine: Engine) -> None:
    """Let the bundled model say its looks and its LoRAs'; others know more than a list could."""
    known = (look for style in STYLES for look in (style.prompt, *style.synonyms))
    engine.looks = (*known, *engine.looks) if engine.name == "bundled" else ()


def _plain_engine(
    preset: Preset,
    device: torch.device,
    dtype: torch.dtype,
    fetching: "tuple[bool, OnDownload | None]",
    held: tuple[str | bool, Sequence[str], str | None, int],
) -> Engine:
    from models.components import Loader
    from models.weights.hub import Hub  # a kept model needs no hub, whose library is slow to import

    hub = Hub(offline=fetching[0], on_download=fetching[1])
    loader = Loader(preset, device, dtype, hub, *held)
    engine = loader.engine()
    engine.computation.digest_weights = cache(partial(weights_digest, loader.preset))
    return engine


def find_preset(name: str) -> Preset:
    """The preset of that name, or one made up for a local folder or a hub id.

    Raises:
        ModelNotFoundError: It is none of these (the message has the nearest presets).
        ModelFormatError: It is a file of a kind that is not served.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = named_path(name)
    if path.is_dir():
        return Preset(name, str(path), style=FOLDER_STYLE)
    if path.is_file() and path.suffix != ".safetensors":
        raise ModelFormatError(
            f"{name} is no .safetensors file; give one, or a diffusers folder (with {INDEX_NAME})."
        )
    if path.is_file():
        return Preset(name, str(path), style=FOLDER_STYLE)
    from models.weights.hub import HubName

    place = HubName.parse(name)
    is_file_name = path.suffix in PICKLE_SUFFIXES | {".safetensors"}
    if is_file_name and (place is None or place.file is None):
        raise ModelNotFoundError(f"There is no file {name}; check the path.")
    if place is not None:
        return _row_of(place) or Preset(name, name, style=FOLDER_STYLE)
    raise ModelNotFoundError(
        f"There is no model {name!r}: it is no preset ({nearest_presets(name)}), no folder, "
        'and no hub id of the form "owner/name".'
    )


def _row_of(place: "HubName") -> Preset | None:
    """The preset that is just this place on the hub, at its own revision or at none."""
    from models.weights.hub import HubName

    for preset in PRESETS.values():
        own = HubName.parse(preset.source) if not (preset.unet or preset.loras) else None
        if own is not None and place in (own, replace(own, revision=None)):
            return preset
    return None


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device asked for, or the best there is.

    Raises:
        ValueError: This machine has no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device is None:
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    present = ["cpu"] + ["cuda"] * cuda + ["mps"] * mps
    kind = str(device).partition(":")[0]
    if kind not in present:
        why = f": {_no_cuda()}" if kind == "cuda" else ""
        raise ValueError(f"got device={str(device)!r}, expected {' or '.join(present)}{why}")
    chosen = torch.device(device)
    if kind == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        raise ValueError(f"got device={str(device)!r}, expected cuda:0 to cuda:{count - 1}")
    return chosen


def _no_cuda() -> str:
    """Why torch sees no NVIDIA GPU, as far as it knows."""
    if torch.version.cuda is None:
        return "this PyTorch is built without CUDA; where there is a GPU, install one with it"
    return (
        f"PyTorch for CUDA {torch.version.cuda} sees no GPU; where there is one, update its driver"
    )
