"""The presets: models known by name, as plain records that `load_engine` reads.

A new model is a row in `PRESETS`. Ids, revisions, licences and recipes are those of the authors'
model cards and of public code that runs them, read in November 2026; none was fetched here. A
revision is given only where a document shows that commit with the files that are loaded; the others
follow the main branch. Imports nothing heavy.

Not a row: AMD's Nitro-1-SD (Apache-2.0, one step of SD 2.1) is published as a pickled file only,
which is never loaded; converted into a folder it runs as ``--model FOLDER``.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.style import Style

BUNDLED_FOLDER = Path(__file__).parent / "bundled"
SEE_CARD = "see model card"

WORKING_GB = {512: 1.0, 1024: 2.0}
"""Native size in px up to which about this much is taken beside the weights: a rule of thumb."""


@dataclass(frozen=True, slots=True)
class ImageAdapter:
    """An IP-Adapter: where its file is, and the image encoder that it reads.

    Attributes:
        source: A .safetensors file, here or on the hub.
        encoder: The folder or hub id that the encoder is in, and `encoder_folder` in that.
        licence: As its card says.
        weights_gb: Both in float16.
    """

    source: str
    encoder: str
    encoder_folder: str
    licence: str = SEE_CARD
    weights_gb: float | None = None

    @classmethod
    def of_file(cls, source: str) -> "ImageAdapter":
        """That of a file, with ``image_encoder/`` beside it."""
        match = re.fullmatch(r"([^/]+/[^/]+)/(.*/)?[^/]+\.safetensors", source)
        if match is None or Path(source).expanduser().exists():
            return cls(source, str(Path(source).expanduser().parent), "image_encoder")
        return cls(source, match[1], f"{match[2] or ''}image_encoder")


@dataclass(frozen=True, slots=True)
class StructureRow:
    """A network that holds a painting to its frame: where it is, and its licence by its card.

    Attributes:
        weights_gb: In float16.
        is_adapter: A T2I-Adapter, which works once a frame; else a ControlNet, in every step.
    """

    source: str
    licence: str
    weights_gb: float
    is_adapter: bool = False


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a model's parts are and how it likes to be used.

    A part is a folder, or a place on the hub: ``owner/name[@revision][/file.safetensors]``.

    Attributes:
        name: What `load_engine` and ``--model`` take.
        source: The diffusers pipeline.
        title: One line for a list of models.
        variant: Which weights to take ("fp16"); plain ones are taken where there are none.
        unet: A weights file that replaces those of the pipeline's UNet.
        vae: A VAE that replaces the pipeline's own.
        loras: LoRAs to fuse, each "PART[:weight]".
        image_adapter: What reads style pictures, where one is loaded; no row has it.
        structures: Where structure networks are, and what finds depth for them, where some are
            loaded; no row has them.
        schedule: What is other than in the pipeline's scheduler config: fields of
            `models.schedule.ScheduleConfig`, ``rule`` above all.
        licence: As the model cards say, all parts.
        commercial_use: Whether the licence allows it free of charge; ``None`` = read the card.
        native_size: Short side in px; ``None`` = as the UNet's config says.
        weights_gb: All weights in float16, from the sizes of the published files or the number of
            parameters.
        style: How the model likes to be used.
    """

    name: str
    source: str
    title: str = ""
    variant: str | None = None
    unet: str | None = None
    vae: str | None = None
    loras: tuple[str, ...] = ()
    image_adapter: ImageAdapter | None = None
    structures: tuple[str, ...] = ()
    schedule: Mapping[str, Any] = field(default_factory=dict)
    licence: str = SEE_CARD
    commercial_use: bool | None = None
    native_size: int | None = None
    weights_gb: float | None = None
    style: Style = field(default_factory=Style)

    @property
    def vram_gb(self) -> float | None:
        """About what it needs on a GPU at its native size: arithmetic, not a measurement."""
        if self.weights_gb is None or self.native_size is None:
            return None
        working = next((gb for size, gb in WORKING_GB.items() if self.native_size <= size), 4.0)
        return round(self.weights_gb + working, 1)


SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5@451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0@462165984030d82259a11f4367a4eed129e94a7b"
LCM_LORA_SD15 = "latent-consistency/lcm-lora-sdv1-5@cf2fced511dbe7e26c8d1d397e728fbab875db4b"
LCM_LORA_SDXL = "latent-consistency/lcm-lora-sdxl@a18548dd4956b174ec5b0d78d340c8dae0a129cd"
LIGHTNING = "ByteDance/SDXL-Lightning@c9a24f48e1c025556787b0c58dd67a091ece2e44"
HYPER_SD = "ByteDance/Hyper-SD@1a091a0ba26e5639d083c6377ba4f2bed5115ccc"
TAESD = "madebyollin/taesd@614f76814bbe30edbe2e627ace1c2234c81a2c0e"
TAESDXL = "madebyollin/taesdxl@b20258aaef75ef61e659c1e0f14f251cf0ad153e"

IP_ADAPTER = "h94/IP-Adapter"

OPENRAIL = "CreativeML OpenRAIL-M"
OPENRAIL_XL = "CreativeML OpenRAIL++-M"
USE_RESTRICTIONS = "free under the licence's use restrictions"
STABILITY = "Stability AI community licence; see stability.ai/license for commercial use"

TRAILING: Mapping[str, Any] = {"rule": "euler"}
HYPER: Mapping[str, Any] = {"rule": "tcd", "eta": 1.0}  # its card: TCDScheduler, eta 1.0

_ROWS = (
    Preset(
        "bundled",
        str(BUNDLED_FOLDER),
        title="The small model that ships with Alla Prima; runs without a GPU",
        licence="Apache-2.0 (credits in models/bundled/ATTRIBUTION.md)",
        commercial_use=True,
        native_size=256,
        weights_gb=0.01,
        style=Style(prompt="oil painting", strength=0.6, num_inference_steps=1),
    ),
    Preset(
        "lcm-dreamshaper-v7",
        "SimianLuo/LCM_Dreamshaper_v7@a85df6a8bd976cdd08b4fd8f3b73f229c9e54df5",
        title="SD 1.5 class, distilled whole with guidance as an input; 1 to 8 steps",
        vae=TAESD,
        licence=f"MIT by its card, made from a model under {OPENRAIL}; TAESD MIT",
        native_size=512,
        weights_gb=2.0,
        style=Style(strength=0.5, num_inference_steps=2, guidance_scale=8.0),
    ),
    Preset(
        "sd15-lcm-lora",
        SD15,
        title="Stable Diffusion 1.5 with LCM-LoRA; 2 to 8 steps",
        variant="fp16",
        vae=TAESD,
        loras=(LCM_LORA_SD15,),
        schedule={"rule": "lcm"},
        licence=f"{OPENRAIL} ({USE_RESTRICTIONS}), LCM-LoRA OpenRAIL++, TAESD MIT",
        commercial_use=True,
        native_size=512,
        weights_gb=2.0,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
    Preset(
        "sdxl-lcm-lora",
        SDXL,
        title="Stable Diffusion XL with LCM-LoRA; 2 to 8 steps",
        variant="fp16",
        vae=TAESDXL,
        loras=(LCM_LORA_SDXL,),
        schedule={"rule": "lcm"},
        licence=f"{OPENRAIL_XL} ({USE_RESTRICTIONS}), LCM-LoRA OpenRAIL++, TAESD MIT",
        commercial_use=True,
        native_size=1024,
        weights_gb=6.8,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
    Preset(
        "ssd-1b-lcm-lora",
        "segmind/SSD-1B@60987f37e94cd59c36b1cba832b9f97b57395a10",
        title="Half of Stable Diffusion XL, with LCM-LoRA; 2 to 8 steps",
        variant="fp16",
        vae=TAESDXL,
        loras=("latent-consistency/lcm-lora-ssd-1b",),
        schedule={"rule": "lcm"},
        licence="Apache-2.0, LCM-LoRA OpenRAIL++ (check its card), TAESD MIT",
        native_size=1024,
        weights_gb=4.3,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
    Preset(
        "sd-turbo",
        "stabilityai/sd-turbo@b261bac6fd2cf515557d5d0707481eafa0485ec2",
        title="SD 2.1 class, 1 to 4 steps; the fastest of its size",
        variant="fp16",
        vae=TAESD,
        schedule=TRAILING,
        licence=STABILITY,
        commercial_use=False,
        native_size=512,
        weights_gb=2.4,
        style=Style(strength=0.5, num_inference_steps=1),
    ),
    Preset(
        "sdxl-turbo",
        "stabilityai/sdxl-turbo@71153311d3dbb46851df1931d3ca6e939de83304",
        title="SDXL class for 512 px, 1 to 4 steps",
        variant="fp16",
        vae=TAESDXL,
        schedule={"rule": "euler_ancestral"},
        licence=f"non-commercial by its card; {STABILITY}",
        commercial_use=False,
        native_size=512,
        weights_gb=6.8,
        style=Style(strength=0.5, num_inference_steps=1),
    ),
    Preset(
        "sdxl-lightning",
        SDXL,
        title="SDXL-Lightning, the 2-step UNet; strength 0.5 takes one of them, 1.0 both",
        variant="fp16",
        unet=f"{LIGHTNING}/sdxl_lightning_2step_unet.safetensors",
        vae=TAESDXL,
        schedule=TRAILING,
        licence=f"{OPENRAIL_XL} ({USE_RESTRICTIONS}), TAESD MIT",
        commercial_use=True,
        native_size=1024,
        weights_gb=6.8,
        style=Style(strength=0.5, num_inference_steps=1),
    ),
    Preset(
        "sdxl-lightning-4step",
        SDXL,
        title="SDXL-Lightning, the 4-step UNet; a step for each quarter of the strength",
        variant="fp16",
        unet=f"{LIGHTNING}/sdxl_lightning_4step_unet.safetensors",
        vae=TAESDXL,
        schedule=TRAILING,
        licence=f"{OPENRAIL_XL} ({USE_RESTRICTIONS}), TAESD MIT",
        commercial_use=True,
        native_size=1024,
        weights_gb=6.8,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
    Preset(
        "sdxl-lightning-1step",
        SDXL,
        title="SDXL-Lightning, the 1-step UNet, which its authors call experimental",
        variant="fp16",
        unet=f"{LIGHTNING}/sdxl_lightning_1step_unet_x0.safetensors",
        vae=TAESDXL,
        schedule={**TRAILING, "prediction_type": "sample"},
        licence=f"{OPENRAIL_XL} ({USE_RESTRICTIONS}), TAESD MIT",
        commercial_use=True,
        native_size=1024,
        weights_gb=6.8,
        style=Style(strength=1.0, num_inference_steps=1),
    ),
    Preset(
        "hyper-sd15",
        SD15,
        title="Stable Diffusion 1.5 with Hyper-SD's 1-step LoRA; 1 to 8 steps",
        variant="fp16",
        vae=TAESD,
        loras=(f"{HYPER_SD}/Hyper-SD15-1step-lora.safetensors",),
        schedule=HYPER,
        licence=f"{OPENRAIL}; Hyper-SD: its card names none any more; TAESD MIT",
        native_size=512,
        weights_gb=2.0,
        style=Style(strength=0.6, num_inference_steps=1),
    ),
    Preset(
        "hyper-sdxl",
        SDXL,
        title="Stable Diffusion XL with Hyper-SD's 1-step LoRA; 1 to 8 steps",
        variant="fp16",
        vae=TAESDXL,
        loras=(f"{HYPER_SD}/Hyper-SDXL-1step-lora.safetensors",),
        schedule=HYPER,
        licence=f"{OPENRAIL_XL}; Hyper-SD: its card names none any more; TAESD MIT",
        native_size=1024,
        weights_gb=6.8,
        style=Style(strength=0.6, num_inference_steps=1),
    ),
    Preset(
        "sdxs",
        "IDKiro/sdxs-512-dreamshaper@76f720262bb051da75666b22c902a78c8e16c763",
        title="SDXS: a slim SD 1.5 for one step; made for pictures from nothing",
        vae=TAESD,
        schedule=TRAILING,
        licence="OpenRAIL++ (free under its use restrictions), TAESD MIT",
        commercial_use=True,
        native_size=512,
        weights_gb=1.0,
        style=Style(strength=0.5, num_inference_steps=1),
    ),
)

IMAGE_ADAPTERS = {
    768: ImageAdapter(
        f"{IP_ADAPTER}/models/ip-adapter_sd15.safetensors",
        IP_ADAPTER,
        "models/image_encoder",
        licence="Apache-2.0",
        weights_gb=1.3,
    ),
    2048: ImageAdapter(
        f"{IP_ADAPTER}/sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        IP_ADAPTER,
        "models/image_encoder",
        licence="Apache-2.0",
        weights_gb=2.0,
    ),
}
"""Width of the text embeddings that a UNet takes (SD 1.5, SDXL) -> what reads style pictures."""

_T2I = "TencentARC/t2i-adapter"

STRUCTURES = {
    (768, "canny"): StructureRow("lllyasviel/control_v11p_sd15_canny", "OpenRAIL", 0.7),
    (768, "lineart"): StructureRow("lllyasviel/control_v11p_sd15_lineart", "OpenRAIL", 0.7),
    (768, "depth"): StructureRow("lllyasviel/control_v11f1p_sd15_depth", "OpenRAIL", 0.7),
    (768, "tile"): StructureRow("lllyasviel/control_v11u_sd15_tile", SEE_CARD, 0.7),
    (2048, "canny"): StructureRow(f"{_T2I}-canny-sdxl-1.0", "Apache-2.0", 0.2, is_adapter=True),
    (2048, "lineart"): StructureRow(f"{_T2I}-lineart-sdxl-1.0", "Apache-2.0", 0.2, is_adapter=True),
    (2048, "depth"): StructureRow(
        f"{_T2I}-depth-midas-sdxl-1.0", "Apache-2.0", 0.2, is_adapter=True
    ),
}
"""Width of the text embeddings that a UNet takes (SD 1.5, SDXL) and kind -> what is known."""

DEPTH_MODEL = StructureRow("depth-anything/Depth-Anything-V2-Small-hf", "Apache-2.0", 0.05)
"""What finds the depth of a frame, unless another is named."""

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ROWS}


def nearest_presets(name: str) -> str:
    """A clause on the preset names that look most like `name`, or where all of them are."""
    near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4)
    return f"nearest: {', '.join(near)}" if near else "`allaprima models` lists them"


def is_part_of_preset(source: str) -> bool:
    """Whether a hub id is where some preset has a part from."""
    parts = (
        part
        for preset in _ROWS
        for part in (preset.source, preset.unet, preset.vae, *preset.loras)
        if part
    )
    return any(re.match(rf"{re.escape(source)}([@/:]|$)", part) for part in parts)
