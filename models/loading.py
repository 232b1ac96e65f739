"""From a model's name to an `Engine`: presets, local diffusers folders, the hub.

    name ──find_preset──► Preset ──loaders──► UNet, VAE, text, scheduler config ──► Engine

The parts come through the real diffusers and transformers loaders, one by one. Safetensors only:
no pickle is ever unpickled, whatever a folder holds. Nothing here runs per frame.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models.acceleration import Acceleration
from models.acceleration.choice import accelerate, check_acceleration, loading_dtype
from models.conditioning import PromptEncoder, TextStage
from models.engine import Engine
from models.errors import ModelFormatError, ModelNotFoundError, explained_memory_errors
from models.lora import fuse_lora, parse_lora, read_lora
from models.networks import TIME_ID_COUNT, Networks, make_networks
from models.presets import BUNDLED_FOLDER, PRESETS, Preset, nearest_presets
from models.schedule import ScheduleConfig
from models.sources import HUB_ID, Part, load_module, loading, require_source
from models.style import Style

logger = logging.getLogger(__name__)

INDEX_NAME = "model_index.json"
FALLBACK_SIZE_PX = 512
LCM_GUIDANCE = 8.0
"""What the LCM paper's examples use; for full LCMs without a preset."""

NOT_DISTILLED = (
    "nothing says that this model was distilled for few steps; "
    "if the picture is blurred, add an LCM-LoRA made for it"
)

UNSCALED_FRAME_PIPELINES = frozenset(
    {"StableDiffusionInstructPix2PixPipeline", "StableDiffusionXLInstructPix2PixPipeline"}
)
"""Pipelines whose UNet was trained on frame latents without the VAE's scaling factor."""


def load_engine(
    name: str,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    loras: Sequence[str] = (),
    vae: str | None = None,
    acceleration: Acceleration = "auto",
) -> Engine:
    """Load a model, ready to run (call `Engine.warm_up` before the first frame counts).

    Args:
        name: "bundled", another name in `PRESETS`, a local diffusers folder, or "owner/name" on
            the hub.
        device: ``None`` takes CUDA, else MPS, else the CPU.
        dtype: What the networks compute in; ``None`` is float16, on the CPU what is fastest there.
        loras: More LoRAs to fuse, each "ID[:weight]", ID a .safetensors file, a folder or hub id.
        vae: Folder or hub id of another VAE, e.g. "madebyollin/taesd".
        acceleration: "auto" takes the fastest path that works here and notes which (with `dtype`
            given: the plain one); "off" is the plain path, float32 on the CPU; "openvino" and
            "eager" (torch, channels_last) ask for one, both on the CPU only. On the CPU all but
            "off" set torch's thread count for the process.

    Raises:
        ModelNotFoundError: No such preset, folder or hub id, or the hub is out of reach.
        ModelFormatError: A part is missing, damaged, pickled or of a kind that is not served.
        ModelMemoryError: The device is too small.
        ValueError: No such device, a LoRA's weight is no number, or an acceleration that is not
            known, is not for this device, or cannot compute in `dtype`.
        ImportError: "openvino" was asked for and is not installed.
    """
    preset = find_preset(name)
    target = choose_device(device)
    check_acceleration(acceleration, target, dtype)
    preset = replace(preset, vae=vae or preset.vae, loras=(*preset.loras, *loras))
    with explained_memory_errors(target):
        engine = _Loader(preset, target, loading_dtype(acceleration, target, dtype)).engine()
        accelerate(engine, acceleration, dtype)
    return engine


def find_preset(name: str) -> Preset:
    """The preset of that name, or one made up for a local folder or a hub id.

    Raises:
        ModelNotFoundError: It is none of these (the message has the nearest presets).
        ModelFormatError: It is a file; single-file checkpoints are not served.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name).expanduser()
    if path.is_dir():
        return Preset(name, str(path), style=Style(strength=0.5, num_inference_steps=2))
    if path.is_file():
        raise ModelFormatError(
            f"{name} is a single file; give a diffusers folder (one with {INDEX_NAME}) instead."
        )
    if HUB_ID.fullmatch(name):
        return Preset(name, name, style=Style(strength=0.5, num_inference_steps=2))
    nearest = ", ".join(nearest_presets(name))
    raise ModelNotFoundError(
        f"There is no model {name!r}: it is no preset (nearest: {nearest}), no folder, "
        'and no hub id of the form "owner/name".'
    )


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
        raise ValueError(f"got device={str(device)!r}, expected one of {', '.join(present)}")
    return torch.device(device)


class _Loader:
    """Loads the parts of one preset; lives for one `load_engine`."""

    def __init__(self, preset: Preset, device: torch.device, dtype: torch.dtype) -> None:
        self.preset = preset
        self.device = device
        self.dtype = dtype
        self.notes: list[str] = []
        self.index = self._load_index()

    def engine(self) -> Engine:
        preset = self.preset
        unet, vae, stages = self._load_unet(), self._load_vae(), self._load_text()
        self._fuse_loras(unet, stages)
        networks = make_networks(unet, vae)
        _check_text_time(unet, stages, networks)
        schedule_config, scheduler_class = self._load_schedule_config()
        distilled = networks.guidance_width is not None or scheduler_class == "LCMScheduler"
        if not distilled and not preset.loras and preset.name not in PRESETS:
            self.notes.append(NOT_DISTILLED)
        style = preset.style
        if preset.name not in PRESETS and networks.guidance_width is not None:
            style = replace(style, guidance_scale=LCM_GUIDANCE)
        return Engine(
            networks,
            PromptEncoder(stages, pooled=networks.wants_text_time),
            schedule_config,
            name=preset.name,
            device=self.device,
            dtype=self.dtype,
            default_style=style,
            native_size=preset.native_size or _own_size(networks),
            frame_is_scaled=self._frame_is_scaled(),
            notes=tuple(self.notes),
        )

    def _load_index(self) -> dict[str, Any]:
        from diffusers import DiffusionPipeline

        preset = self.preset
        folder = Path(preset.source)
        if folder == BUNDLED_FOLDER and not (folder / INDEX_NAME).is_file():
            raise ModelNotFoundError(
                "The bundled model is not in this installation; install allaprima again, "
                "or make it with `python -m models.training`."
            )
        if folder.is_dir() and not (folder / INDEX_NAME).is_file():
            raise ModelFormatError(
                f"{preset.source} has no {INDEX_NAME}; give the folder of a whole diffusers "
                "pipeline, as `save_pretrained` writes it."
            )
        with loading(Part(preset.source, revision=preset.revision)):
            index: dict[str, Any] = DiffusionPipeline.load_config(
                preset.source, revision=preset.revision
            )
        if not isinstance(index, dict):
            raise ModelFormatError(f"{preset.name} has a damaged {INDEX_NAME}; fetch it again.")
        if "unet" not in index:
            raise ModelFormatError(
                f"{preset.name} is a {index.get('_class_name')} without a UNet; "
                "use a model of the SD 1.5, SD 2.1 or SDXL kind."
            )
        return index

    def _own(self, subfolder: str) -> Part:
        preset = self.preset
        return Part(preset.source, subfolder, revision=preset.revision, variant=preset.variant)

    def _load_unet(self) -> Any:
        from diffusers import UNet2DConditionModel

        part = Part(self.preset.unet) if self.preset.unet else self._own("unet")
        return load_module(UNet2DConditionModel, part, self.device, self.dtype)

    def _load_vae(self) -> Any:
        if self.preset.vae is None:
            part = self._own("vae")
        else:
            require_source(self.preset.vae)
            inner = Path(self.preset.vae).expanduser() / "vae"
            part = Part(self.preset.vae, "vae" if inner.is_dir() else None)
        vae_class, config = _vae_class(part)
        dtype = self.dtype
        if dtype == torch.float16 and self._overflows(config):
            dtype = torch.float32
            self.notes.append(
                "the VAE overflows in float16 and runs in float32, slowly; "
                'a tiny one ("madebyollin/taesdxl") or a float16 fix of it is faster'
            )
        return load_module(vae_class, part, self.device, dtype)

    def _overflows(self, config: dict[str, Any]) -> bool:
        """SDXL's own VAE: `force_upcast` says so (of SD 1.5 it says so too, without need)."""
        is_sdxl = bool(self.index.get("text_encoder_2"))
        return (
            is_sdxl
            and config.get("_class_name") == "AutoencoderKL"
            and bool(config.get("force_upcast", True))
        )

    def _load_text(self) -> tuple[TextStage, ...]:
        from transformers import CLIPTokenizer

        stages = []
        for suffix in ("", "_2"):
            _, class_name = self.index.get(f"text_encoder{suffix}") or (None, None)
            if class_name is None:
                continue
            part = self._own(f"tokenizer{suffix}")
            with loading(part):
                tokenizer = CLIPTokenizer.from_pretrained(
                    part.source, subfolder=part.subfolder, revision=part.revision
                )
            text_encoder = load_module(
                _text_encoder_class(class_name),
                self._own(f"text_encoder{suffix}"),
                self.device,
                self.dtype,
            )
            _check_vocabulary(tokenizer, text_encoder, part)
            stages.append(TextStage(tokenizer, text_encoder))
        if not stages:
            raise ModelFormatError(f"{self.preset.name} has no text encoder; use a whole pipeline.")
        return tuple(stages)

    def _fuse_loras(self, unet: Any, stages: tuple[TextStage, ...]) -> None:
        roles = ("text_encoder", "text_encoder_2")
        encoders = zip(roles, (stage.text_encoder for stage in stages), strict=False)
        modules = {"unet": unet, **dict(encoders)}
        for spec in self.preset.loras:
            source, weight = parse_lora(spec)
            count = fuse_lora(read_lora(source), modules, weight)
            logger.info("fused %d layers of %s with weight %g", count, source, weight)

    def _load_schedule_config(self) -> tuple[ScheduleConfig, str | None]:
        from diffusers import LCMScheduler

        part = self._own("scheduler")
        with loading(part):
            config = LCMScheduler.load_config(
                part.source, subfolder=part.subfolder, revision=part.revision
            )
            return ScheduleConfig.from_config(config), config.get("_class_name")

    def _frame_is_scaled(self) -> bool:
        if self.index.get("is_cosxl_edit"):
            return True
        return self.index.get("_class_name") not in UNSCALED_FRAME_PIPELINES


def _vae_class(part: Part) -> tuple[Any, dict[str, Any]]:
    from diffusers import AutoencoderKL, AutoencoderTiny

    with loading(part):
        config: dict[str, Any] = AutoencoderKL.load_config(
            part.source, subfolder=part.subfolder, revision=part.revision
        )
    match config.get("_class_name"):
        case "AutoencoderKL":
            return AutoencoderKL, config
        case "AutoencoderTiny":
            return AutoencoderTiny, config
        case "AutoencoderPatch":
            from models.autoencoder import AutoencoderPatch

            return AutoencoderPatch, config
        case other:
            raise ModelFormatError(
                f"{part} is a VAE of class {other}; "
                "use an AutoencoderKL, AutoencoderTiny or AutoencoderPatch."
            )


def _text_encoder_class(class_name: str) -> Any:
    import transformers

    match class_name:
        case "CLIPTextModel":
            return transformers.CLIPTextModel
        case "CLIPTextModelWithProjection":
            return transformers.CLIPTextModelWithProjection
        case _:
            raise ModelFormatError(
                f"The text encoder is a {class_name}; use a model with CLIP text encoders."
            )


def _check_vocabulary(tokenizer: Any, text_encoder: Any, part: Part) -> None:
    # transformers makes a tokenizer of special tokens alone when it finds no files, without a word
    got, expected = len(tokenizer), text_encoder.config.vocab_size
    if not expected / 2 < got <= expected:
        raise ModelFormatError(
            f"{part} knows {got} tokens, its text encoder {expected}; "
            "its files are incomplete or of another model, fetch them again."
        )


def _check_text_time(unet: Any, stages: tuple[TextStage, ...], networks: Networks) -> None:
    if not networks.wants_text_time:
        return
    pooled_width = stages[-1].text_encoder.config.projection_dim
    got = TIME_ID_COUNT * unet.config.addition_time_embed_dim + pooled_width
    if got != unet.config.projection_class_embeddings_input_dim:
        raise ModelFormatError(
            f"The UNet wants {unet.config.projection_class_embeddings_input_dim} added conditions, "
            f"this pipeline gives {got}; use an SDXL base model (refiners are not served)."
        )


def _own_size(networks: Networks) -> int:
    if networks.sample_size is None:
        return FALLBACK_SIZE_PX
    return networks.sample_size * networks.spatial_factor
