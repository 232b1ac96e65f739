"""The components of one model, found and loaded by diffusers and transformers: an `Engine` of them.

preset ──► folders (from the hub where need be) ──► UNet, VAE, text encoders, scheduler config
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.acceleration.cpu.quantization import RANGES_NAME, read_ranges
from models.conditioning import PromptEncoder, TextStage
from models.engine import Engine
from models.errors import ModelFormatError, ModelNotFoundError
from models.image_encoder import ImageEncoder
from models.networks import TIME_ID_COUNT, Networks, make_networks
from models.presets import BUNDLED_FOLDER, PRESETS, ImageAdapter, Preset
from models.schedule import ScheduleConfig
from models.weights.classes import text_encoder_class, vae_class
from models.weights.file_selection import (
    INDEX_NAME,
    parse_lora,
    pipeline_choice,
    vae_choice,
    vae_subfolder,
)
from models.weights.folders import Component, load_module, loading, locate
from models.weights.hub import Hub, HubName, file_names
from models.weights.image_adapter import known_adapter, load_image_adapter
from models.weights.lora import fuse_lora, read_lora
from models.weights.lora_choice import LoraChoice, named_loras
from models.weights.single_file import Checkpoint, open_checkpoint, open_vae
from models.weights.structures import known_depth, known_structures, load_structure, parse_structure

logger = logging.getLogger(__name__)

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


class Loader:
    """Loads the components of one preset; lives for one `load_engine`."""

    def __init__(
        self,
        preset: Preset,
        device: torch.device,
        dtype: torch.dtype,
        hub: Hub,
        image_adapter: str | bool = False,
        structures: Sequence[str] = (),
        depth_model: str | None = None,
        switchable: int = 0,
    ) -> None:
        self.preset = preset
        self.device = device
        self.dtype = dtype
        self.hub = hub
        self.notes: list[str] = []
        self.checkpoint: Checkpoint | None = None  # where all is in one file
        # what cannot be is said first; then all is fetched; only then is it loaded
        asked = [parse_structure(spec) for spec in structures]
        self.depth_model = known_depth(asked, depth_model)
        named = [parse_lora(spec) for spec in preset.loras]
        for source in (*(source for source, _ in named), preset.vae, preset.unet):
            if source:
                locate(source)
        self.folder = self._find_folder()
        self.vae_component = self._find_vae(preset.vae) if preset.vae else None
        self.unet_weights = self._find_unet_weights()
        loras = [(read_lora(source, hub), weight) for source, weight in named]
        fixed = len(loras) - switchable  # the last ones are the user's
        self.loras, self.switchable = loras, named_loras(loras[fixed:])
        self.fused = loras[:fixed]
        self.index = self._load_index()
        if image_adapter:
            self.preset = replace(preset, image_adapter=self._image_adapter(image_adapter))
        self.structures = known_structures(asked, self._text_width, preset.name)
        sources = *(each.source for each in self.structures), *filter(None, [self.depth_model])
        self.preset = replace(self.preset, structures=sources)

    def engine(self) -> Engine:
        preset = self.preset
        unet, vae, stages = self._load_unet(), self._load_vae(), self._load_text()
        stem = self._load_stem()
        self._fuse_loras({"unet": unet, "vae": vae, "stem": stem}, stages)
        image_encoder = self._load_image_encoder(unet)
        networks = make_networks(unet, vae, stem)
        _check_text_time(unet, stages, networks)
        schedule_config = self._load_schedule_config(networks)
        style = preset.style
        if preset.name not in PRESETS and networks.guidance_width is not None:
            style = replace(style, guidance_scale=LCM_GUIDANCE)
        words = [(lora.word, weight) for lora, weight in self.loras if lora.word and weight > 0]
        if words:  # what the LoRAs were made for, unless the user asks for something else
            prompt = " | ".join(f"{word}:{part:g}" for word, part in words)
            style = replace(style, prompt=prompt if len(words) > 1 else words[0][0])
        if preset.commercial_use is False:
            self.notes.append(f"commercial use of this model is not free: {preset.licence}")
        elif preset.commercial_use is None and preset.name in PRESETS:
            self.notes.append(
                f"whether commercial use of this model is free is not known: {preset.licence}"
            )
        engine = Engine(
            networks,
            PromptEncoder(stages, pooled=networks.wants_text_time),
            schedule_config,
            name=preset.name,
            device=self.device,
            dtype=self.dtype,
            default_style=style,
            native_size=preset.native_size or _own_size(networks),
            frame_is_scaled=self._frame_is_scaled(),
            no_prompt_is_zeros=networks.wants_text_time
            and bool(self.index.get("force_zeros_for_empty_prompt", True)),
            notes=(*self.notes, *self.hub.notes),
        )
        engine.activation_ranges = self._load_ranges()
        engine.image_encoder = image_encoder
        kept = [word for word, _ in words]
        kept += [one.file.word for one in self.switchable if one.file.word]
        engine.looks = tuple(dict.fromkeys(word.lower() for word in kept))
        if self.switchable:
            engine.loras = LoraChoice(self.switchable)
            names = tuple(one.name for one in self.switchable)
            engine.default_style = replace(engine.default_style, lora_names=names)
        held = self.structures, self.depth_model
        engine.structure = load_structure(*held, unet, self.hub, self.device, self.dtype)
        return engine

    def _image_adapter(self, asked: str | bool) -> ImageAdapter:
        """What is to read style pictures: that of a file, or the known one."""
        if isinstance(asked, str):
            locate(asked)
            return ImageAdapter.of_file(asked)
        return known_adapter(self._text_width(), self.preset.name)

    def _text_width(self) -> object:
        """Of the text embeddings that the UNet takes, as its config says."""
        from diffusers import UNet2DConditionModel

        with loading(str(self._own("unet"))):
            config: Any = UNet2DConditionModel.load_config(
                self.folder, subfolder="unet", local_files_only=True
            )
        return config.get("cross_attention_dim")

    def _load_image_encoder(self, unet: Any) -> ImageEncoder | None:
        adapter = self.preset.image_adapter
        if adapter is None:
            return None
        return load_image_adapter(adapter, unet, self.hub, self.device, self.dtype)

    def _load_ranges(self) -> dict[str, NDArray[np.float32]]:
        """What was measured of the folder's own weights, for a CPU; nothing once others are in."""
        if self.device.type != "cpu" or self.loras or self.vae_component or self.unet_weights:
            return {}
        with loading(f"{self.preset.name} ({RANGES_NAME})"):
            return read_ranges(self.folder)

    def _find_folder(self) -> Path:
        preset = self.preset
        folder = Path(preset.source).expanduser()
        if folder == BUNDLED_FOLDER and not (folder / INDEX_NAME).is_file():
            raise ModelNotFoundError(
                "The bundled model is not in this installation; install allaprima again, "
                "or make it with `python -m models.training`."
            )
        name = None if folder.exists() else HubName.parse(preset.source)
        if name is not None and name.file is not None:
            folder = self.hub.file(name)
        if folder.is_file():
            self.checkpoint = open_checkpoint(folder, self.hub, self.dtype)
            return self.checkpoint.configs
        if name is not None:
            return self.hub.folder(name, pipeline_choice(preset))
        if not (folder / INDEX_NAME).is_file():
            raise ModelFormatError(
                f"{preset.source} has no {INDEX_NAME}; give the folder of a whole diffusers "
                "pipeline, as `save_pretrained` writes it."
            )
        return folder

    def _load_index(self) -> dict[str, Any]:
        from diffusers import DiffusionPipeline

        with loading(self.preset.name):
            index: dict[str, Any] = DiffusionPipeline.load_config(
                self.folder, local_files_only=True
            )
        if not isinstance(index, dict):
            raise ModelFormatError(
                f"{self.preset.name} has a damaged {INDEX_NAME}; fetch it again."
            )
        if "unet" not in index:
            raise ModelFormatError(
                f"{self.preset.name} is a {index.get('_class_name')} without a UNet; "
                "use a model of the SD 1.5, SD 2.1 or SDXL kind."
            )
        return index

    def _own(self, subfolder: str) -> Component:
        return Component(self.folder, subfolder, self.preset.name, self.preset.variant)

    def _load_unet(self) -> Any:
        from diffusers import UNet2DConditionModel

        component = self._own("unet")
        return self._network(UNet2DConditionModel, component, self.dtype, self.unet_weights)

    def _network(
        self, cls: Any, component: Component, dtype: torch.dtype, weights: Path | None = None
    ) -> Any:
        """A network of the checkpoint in one file, if one is loaded, else from its component."""
        whole = self.checkpoint if component.folder == self.folder else None
        own = whole.networks.get(component.subfolder) if whole is not None else None
        if own is None or weights is not None:
            return load_module(cls, component, self.device, dtype, weights)
        return own.to(self.device, dtype).eval().requires_grad_(False)

    def _load_stem(self) -> Any:
        """The stem that the index names, ``None`` for most models."""
        if "stem" not in self.index:
            return None
        from models.stem import Stem

        return self._network(Stem, self._own("stem"), self.dtype)

    def _find_unet_weights(self) -> Path | None:
        if not self.preset.unet:
            return None
        place = locate(self.preset.unet)
        return self.hub.file(place) if isinstance(place, HubName) else place

    def _load_vae(self) -> Any:
        file = self.vae_component if isinstance(self.vae_component, Path) else None
        component = (
            self.vae_component if isinstance(self.vae_component, Component) else self._own("vae")
        )
        cls, config = vae_class(component)
        if file is not None and config["_class_name"] != "AutoencoderKL":
            raise ModelFormatError(
                f"The VAE of {self.preset.name} is an {config['_class_name']}, and {file.name} has "
                "weights alone; give a VAE's folder or hub id."
            )
        dtype = self.dtype
        if dtype == torch.float16 and self._overflows(config):
            dtype = torch.float32
            self.notes.append(
                "the VAE overflows in float16 and runs in float32, slowly; "
                'a tiny one ("madebyollin/taesdxl") or a float16 fix of it is faster'
            )
        if file is not None:
            return open_vae(file, component, self.device, dtype)
        return self._network(cls, component, dtype)

    def _find_vae(self, source: str) -> Component | Path:
        """Another VAE: a repository or folder of its own, a whole pipeline's, or a file."""
        place = locate(source)
        if isinstance(place, HubName) and place.file is not None:
            place = self.hub.file(place)
        if isinstance(place, HubName):
            place = self.hub.folder(place, vae_choice(source))
        if place.is_file():
            if place.suffix != ".safetensors":
                raise ModelFormatError(
                    f"{source} is no .safetensors file; give a VAE's weights in one, or its folder."
                )
            return place
        return Component(place, vae_subfolder(file_names(place)), source)

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
            component = self._own(f"tokenizer{suffix}")
            with loading(str(component)):
                tokenizer = CLIPTokenizer.from_pretrained(
                    component.folder, subfolder=component.subfolder, local_files_only=True
                )
            text_encoder = self._network(
                text_encoder_class(class_name), self._own(f"text_encoder{suffix}"), self.dtype
            )
            _check_vocabulary(tokenizer, text_encoder, component)
            stages.append(TextStage(tokenizer, text_encoder))
        if not stages:
            raise ModelFormatError(f"{self.preset.name} has no text encoder; use a whole pipeline.")
        return tuple(stages)

    def _fuse_loras(self, networks: dict[str, Any], stages: tuple[TextStage, ...]) -> None:
        roles = ("text_encoder", "text_encoder_2")
        encoders = zip(roles, (stage.text_encoder for stage in stages), strict=False)
        there = {role: network for role, network in networks.items() if network is not None}
        modules = {**there, **dict(encoders)}
        for lora, weight in self.fused:
            count = fuse_lora(lora, modules, weight)
            logger.info("fused %d layers of %s with weight %g", count, lora.name, weight)

    def _load_schedule_config(self, networks: Networks) -> ScheduleConfig:
        from diffusers import LCMScheduler

        preset = self.preset
        component = self._own("scheduler")
        with loading(str(component)):
            config = LCMScheduler.load_config(
                component.folder, subfolder=component.subfolder, local_files_only=True
            )
            own = self.checkpoint.schedule if self.checkpoint is not None else {}
            read = ScheduleConfig.from_config({**config, **own, **preset.schedule})
        told = networks.guidance_width is not None or config.get("_class_name") == "LCMScheduler"
        if preset.name not in PRESETS and not (told or preset.loras or read.rule != "lcm"):
            self.notes.append(NOT_DISTILLED)
        return read

    def _frame_is_scaled(self) -> bool:
        if self.index.get("is_cosxl_edit"):
            return True
        return self.index.get("_class_name") not in UNSCALED_FRAME_PIPELINES


def _check_vocabulary(tokenizer: Any, text_encoder: Any, component: Component) -> None:
    # transformers makes a tokenizer of special tokens alone when it finds no files, without a word
    got, expected = len(tokenizer), text_encoder.config.vocab_size
    if not expected / 2 < got <= expected:
        raise ModelFormatError(
            f"{component} knows {got} tokens, its text encoder {expected}; "
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
