"""The table of models, and what may be imported without torch."""

import subprocess
import sys

import pytest

import models
from models.presets import PRESETS, nearest_presets


def test_every_row_is_found_by_its_name() -> None:
    assert all(PRESETS[name].name == name for name in PRESETS)
    assert next(iter(PRESETS)) == "bundled"


@pytest.mark.parametrize("name", PRESETS)
def test_every_row_says_what_a_list_of_models_needs(name: str) -> None:
    preset = PRESETS[name]
    assert preset.title and preset.licence and preset.source
    assert preset.native_size is not None and preset.native_size % 64 == 0


def test_a_misspelt_name_finds_the_nearest() -> None:
    assert nearest_presets("sdxl-lora")[0] == "sdxl-lcm-lora"
    assert nearest_presets("bundeld") == ["bundled"]
    assert nearest_presets("zzz") == list(PRESETS)


def test_importing_models_does_not_import_torch() -> None:
    code = (
        "import sys; from models import PRESETS, Style, ModelError; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    assert all(getattr(models, name) is not None for name in models.__all__)
    assert set(models.__all__) <= set(dir(models))


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nothing_like_this"):
        models.nothing_like_this  # noqa: B018
