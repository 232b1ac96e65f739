"""Latent consistency models for img2img: pixels in, pixels out. Import everything from here.

    engine = load_engine("bundled")
    style = Style(prompt="oil painting")

Importing this is cheap: each name brings its module with it when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers need spelled out; a test holds it equal to the table below
    from models.acceleration.cache.folder import cache_folder as cache_folder
    from models.advance import Advance as Advance
    from models.blending import BLENDS as BLENDS
    from models.blending import Blend as Blend
    from models.blending import better_blend as better_blend
    from models.carried_noise import moved_noise as moved_noise
    from models.conditioning import Conditioning as Conditioning
    from models.engine import Engine as Engine
    from models.errors import ModelError as ModelError
    from models.errors import ModelFormatError as ModelFormatError
    from models.errors import ModelMemoryError as ModelMemoryError
    from models.errors import ModelNotFoundError as ModelNotFoundError
    from models.learning.learner import LearningProgress as LearningProgress
    from models.learning.looks import LearnedLook as LearnedLook
    from models.learning.looks import learn_look as learn_look
    from models.loading import load_engine as load_engine
    from models.notes import FIRST_USE as FIRST_USE
    from models.notes import Detail as Detail
    from models.preparation import size_preparation as size_preparation
    from models.presets import PRESETS as PRESETS
    from models.presets import Preset as Preset
    from models.prompt import parse_prompt as parse_prompt
    from models.recipe import Recipe as Recipe
    from models.recipe import file_mark as file_mark
    from models.recipe import recipe_of as recipe_of
    from models.schedule import Schedule as Schedule
    from models.segmentation import PersonSegmenter as PersonSegmenter
    from models.style import Style as Style
    from models.style import StyleImage as StyleImage
    from models.styles import STYLES as STYLES
    from models.styles import BundledStyle as BundledStyle
    from models.temporal import Memory as Memory
    from models.temporal import Remembered as Remembered
    from models.temporal import memory_of as memory_of
    from models.weights.download import OnDownload as OnDownload
    from models.weights.lora import LoraFile as LoraFile
    from models.weights.lora import read_lora as read_lora
    from models.weights.lora_switching import Loras as Loras
    from models.weights.presence import is_present as is_present

_NAMES = {
    "models.acceleration.cache.folder": ("cache_folder",),
    "models.advance": ("Advance",),
    "models.blending": ("BLENDS", "Blend", "better_blend"),
    "models.carried_noise": ("moved_noise",),
    "models.conditioning": ("Conditioning",),
    "models.notes": ("FIRST_USE", "Detail"),
    "models.engine": ("Engine",),
    "models.errors": ("ModelError", "ModelFormatError", "ModelMemoryError", "ModelNotFoundError"),
    "models.learning.learner": ("LearningProgress",),
    "models.learning.looks": ("LearnedLook", "learn_look"),
    "models.loading": ("load_engine",),
    "models.preparation": ("size_preparation",),
    "models.presets": ("PRESETS", "Preset"),
    "models.prompt": ("parse_prompt",),
    "models.recipe": ("Recipe", "file_mark", "recipe_of"),
    "models.schedule": ("Schedule",),
    "models.segmentation": ("PersonSegmenter",),
    "models.style": ("Style", "StyleImage"),
    "models.styles": ("STYLES", "BundledStyle"),
    "models.temporal": ("Memory", "Remembered", "memory_of"),
    "models.weights.download": ("OnDownload",),
    "models.weights.lora": ("LoraFile", "read_lora"),
    "models.weights.lora_switching": ("Loras",),
    "models.weights.presence": ("is_present",),
}
"""Module -> the public names that it holds."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
