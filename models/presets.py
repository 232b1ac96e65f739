"""The models known by name: plain records, no code runs on them but `load_engine`'s.

A new model is a row in `PRESETS`. Licences are stated as the model cards state them; where a card
could not be checked the row says so. Imports nothing heavy.
"""

import difflib
from dataclasses import dataclass, field
from pathlib import Path

from models.style import Style

BUNDLED_FOLDER = Path(__file__).parent / "bundled"
SEE_CARD = "see model card"


@dataclass(frozen=True, slots=True)
class Preset:
    """Where a model's parts are and how it likes to be used.

    Attributes:
        name: What `load_engine` and ``--model`` take.
        source: Hub id ("owner/name") or folder of a diffusers pipeline.
        title: One line for a list of models.
        revision: Branch, tag or commit of `source`; ``None`` is its main branch.
        variant: Which files of a part to take ("fp16"), ``None`` for the plain ones.
        unet: Hub id or folder of a UNet that replaces the pipeline's own.
        vae: Hub id or folder of a VAE that replaces the pipeline's own.
        loras: LoRAs to fuse, each "ID[:weight]".
        licence: As the model card says, all parts.
        commercial_use: Whether the licence allows it; ``None`` = read the card.
        native_size: Short side in px; ``None`` = as the UNet's config says.
        vram_gb: About what it needs on a GPU at its native size.
        style: How the model likes to be used.
    """

    name: str
    source: str
    title: str = ""
    revision: str | None = None
    variant: str | None = None
    unet: str | None = None
    vae: str | None = None
    loras: tuple[str, ...] = ()
    licence: str = SEE_CARD
    commercial_use: bool | None = None
    native_size: int | None = None
    vram_gb: float | None = None
    style: Style = field(default_factory=Style)


_ROWS = (
    Preset(
        "bundled",
        str(BUNDLED_FOLDER),
        title="The small model that ships with Alla Prima; runs without a GPU",
        licence="Apache-2.0 (credits in models/bundled/ATTRIBUTION.md)",
        commercial_use=True,
        native_size=256,
        vram_gb=0.5,
        style=Style(prompt="oil painting", strength=0.6, num_inference_steps=1),
    ),
    Preset(
        "lcm-dreamshaper-v7",
        "SimianLuo/LCM_Dreamshaper_v7",
        title="SD 1.5 class, distilled whole with guidance as an input",
        vae="madebyollin/taesd",
        licence="MIT (made from a CreativeML OpenRAIL-M model)",
        commercial_use=None,
        native_size=512,
        vram_gb=4.0,
        style=Style(strength=0.5, num_inference_steps=2, guidance_scale=8.0),
    ),
    Preset(
        "sd15-lcm-lora",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        title="Stable Diffusion 1.5 with LCM-LoRA",
        variant="fp16",
        vae="madebyollin/taesd",
        loras=("latent-consistency/lcm-lora-sdv1-5",),
        licence="CreativeML OpenRAIL-M, LCM-LoRA OpenRAIL++, TAESD MIT",
        commercial_use=True,
        native_size=512,
        vram_gb=4.0,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
    Preset(
        "sdxl-lcm-lora",
        "stabilityai/stable-diffusion-xl-base-1.0",
        title="Stable Diffusion XL with LCM-LoRA",
        variant="fp16",
        vae="madebyollin/taesdxl",
        loras=("latent-consistency/lcm-lora-sdxl",),
        licence="CreativeML OpenRAIL++-M, LCM-LoRA OpenRAIL++, TAESD MIT",
        commercial_use=None,
        native_size=1024,
        vram_gb=10.0,
        style=Style(strength=0.5, num_inference_steps=2),
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _ROWS}


def nearest_presets(name: str) -> list[str]:
    """Up to three preset names that look most like `name`; all of them when none does."""
    return difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or list(PRESETS)
