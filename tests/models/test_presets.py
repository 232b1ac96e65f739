"""The table of models, and what may be imported without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import models
from models.loading import find_preset
from models.presets import PRESETS, Preset, nearest_presets
from models.schedule import ScheduleConfig, make_schedule
from models.weights.file_selection import parse_lora, wanted_parts
from models.weights.hub import COMMIT, HubName


def test_every_row_is_found_by_its_name() -> None:
    assert all(PRESETS[name].name == name for name in PRESETS)
    assert next(iter(PRESETS)) == "bundled"


@pytest.mark.parametrize("name", PRESETS)
def test_every_row_says_what_a_list_of_models_needs(name: str) -> None:
    preset = PRESETS[name]
    assert preset.title and preset.licence and preset.source
    assert preset.native_size is not None and preset.native_size % 64 == 0
    assert preset.vram_gb is not None and preset.weights_gb is not None
    assert preset.vram_gb > preset.weights_gb > 0
    if preset.commercial_use is False:
        assert "commercial" in preset.licence


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "bundled"])
def test_every_part_of_a_row_is_a_place_on_the_hub(name: str) -> None:
    for part, _ in wanted_parts(PRESETS[name]):
        place = HubName.parse(part)
        assert place is not None, part
        assert place.revision is None or COMMIT.fullmatch(place.revision), part


@pytest.mark.parametrize("name", PRESETS)
def test_every_row_has_a_schedule_for_its_default_style(name: str) -> None:
    preset = PRESETS[name]
    config = ScheduleConfig.from_config({"timestep_spacing": "leading", **preset.schedule})
    style = preset.style
    schedule = make_schedule(config, style.num_inference_steps, style.strength)
    assert schedule.note is None
    assert set(preset.schedule) <= {"rule", "eta", "prediction_type"}


def test_a_place_on_the_hub_that_is_a_row_is_that_row() -> None:
    own = [p for p in PRESETS.values() if p.name != "bundled" and not (p.unet or p.loras)]
    assert {"lcm-dreamshaper-v7", "sd-turbo", "sdxl-turbo", "sdxs"} <= {p.name for p in own}
    for preset in own:
        assert find_preset(preset.source) is preset
        assert find_preset(preset.source.partition("@")[0]) is preset
    other = find_preset(f"{own[0].source.partition('@')[0]}@another")
    assert other.name not in PRESETS  # another revision is another model
    for preset in PRESETS.values():
        if preset.unet or preset.loras:  # more than that place
            assert find_preset(preset.source).name not in PRESETS


def test_weights_and_working_memory_add_up() -> None:
    sizes = {512: 1.0, 768: 2.0, 1024: 2.0, 2048: 4.0}
    for size, working in sizes.items():
        assert Preset("a", "b", native_size=size, weights_gb=2.0).vram_gb == 2.0 + working
    assert Preset("a", "b", native_size=512).vram_gb is None


def test_no_lora_of_a_row_is_weaker_than_it_was_trained() -> None:
    for preset in PRESETS.values():
        assert all(parse_lora(lora)[1] == 1 for lora in preset.loras)


def test_a_misspelt_name_finds_the_nearest() -> None:
    assert nearest_presets("sdxl-lora").startswith("nearest: sdxl-lcm-lora")
    assert nearest_presets("stabilityai/sd-turbo").startswith("nearest: sd-turbo")
    assert nearest_presets("bundeld") == "nearest: bundled"
    assert nearest_presets("zzz") == "`allaprima models` lists them"


def test_importing_models_does_not_import_torch() -> None:
    code = (
        "import sys; from models import PRESETS, Style, ModelError; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_asking_whether_a_model_is_here_does_not_import_torch() -> None:
    code = (
        "import sys; from models import PRESETS, is_present; is_present(PRESETS['sd-turbo']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers')))"
    )
    environment = {"HF_HOME": str(Path(__file__).parent), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=environment)
    assert done.returncode == 0


def test_every_public_name_is_there() -> None:
    assert all(getattr(models, name) is not None for name in models.__all__)
    assert set(models.__all__) <= set(dir(models))


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nothing_like_this"):
        models.nothing_like_this  # noqa: B018
