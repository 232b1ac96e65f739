"""is_present: told from files alone, without loading or fetching anything."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from miniature import make_lcm, save

from models import Preset, is_present


@pytest.fixture
def preset(tmp_path: Path) -> Preset:
    """A whole miniature pipeline in a folder."""
    return Preset("mini", save(make_lcm(vae="tiny"), tmp_path / "model"))


def test_a_whole_folder_is_present(preset: Preset) -> None:
    assert is_present(preset)


@pytest.mark.parametrize("name", ["model_index.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_folder_that_lacks_a_part_is_not(preset: Preset, name: str) -> None:
    (Path(preset.source) / name).unlink()
    assert not is_present(preset)


@pytest.mark.parametrize("part", ["unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_folder_that_lacks_all_of_a_part_is_not(preset: Preset, part: str) -> None:
    shutil.rmtree(Path(preset.source) / part)
    assert not is_present(preset)


def test_a_hub_id_that_was_never_fetched_is_not(preset: Preset) -> None:
    assert not is_present(Preset("away", "nobody/no-such-model"))
    assert not is_present(replace(preset, vae="nobody/no-such-vae"))
    assert not is_present(replace(preset, loras=("nobody/no-such-lora:0.5",)))
