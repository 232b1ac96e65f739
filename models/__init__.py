"""Pixels in, pixels out: latent consistency models for img2img. The only door of this package.

    engine = load_engine("bundled")
    style = Style(prompt="oil painting")

Importing this is cheap: torch and diffusers come with the first name that needs them.
"""

from typing import TYPE_CHECKING, Any

from models.detail import FIRST_USE, Detail
from models.errors import ModelError, ModelFormatError, ModelMemoryError, ModelNotFoundError
from models.presets import PRESETS, Preset
from models.prompt import parse_prompt
from models.style import Style

if TYPE_CHECKING:
    from models.acceleration.cache.folder import cache_folder
    from models.conditioning import Conditioning
    from models.engine import Engine
    from models.loading import load_engine
    from models.schedule import Schedule
    from models.styles import STYLES, BundledStyle
    from models.weights.download import OnDownload
    from models.weights.lora import LoraFile, read_lora
    from models.weights.lora_switching import Loras
    from models.weights.presence import is_present

__all__ = [
    "FIRST_USE",
    "PRESETS",
    "STYLES",
    "BundledStyle",
    "Conditioning",
    "Detail",
    "Engine",
    "LoraFile",
    "Loras",
    "ModelError",
    "ModelFormatError",
    "ModelMemoryError",
    "ModelNotFoundError",
    "OnDownload",
    "Preset",
    "Schedule",
    "Style",
    "cache_folder",
    "is_present",
    "load_engine",
    "parse_prompt",
    "read_lora",
]

_HEAVY = {
    "STYLES": "models.styles",
    "BundledStyle": "models.styles",
    "Conditioning": "models.conditioning",
    "Engine": "models.engine",
    "LoraFile": "models.weights.lora",
    "Loras": "models.weights.lora_switching",
    "OnDownload": "models.weights.download",
    "Schedule": "models.schedule",
    "cache_folder": "models.acceleration.cache.folder",
    "is_present": "models.weights.presence",
    "load_engine": "models.loading",
    "read_lora": "models.weights.lora",
}


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HEAVY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
