"""Parts in folders, and which files of a repository are wanted. No network."""

from pathlib import Path

import pytest
from transformers.utils import logging as transformers_logging

from models import ModelFormatError, ModelNotFoundError
from models.weights.file_selection import best_variant, lora_file, network_files, pipeline_files
from models.weights.folders import loading, locate
from models.weights.hub import HubName

PLAIN, HALF = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"
SHARDS = [
    "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
    "diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
]


@pytest.mark.parametrize("error", [OSError("no"), KeyError("x"), ValueError("a\nb")])
def test_what_a_library_raises_becomes_one_sentence(error: Exception) -> None:
    told = pytest.raises(ModelFormatError, match="painter/lcm cannot be loaded")
    with told as info, loading("painter/lcm"):
        raise error
    assert "\n" not in str(info.value)


def test_running_out_of_memory_is_left_to_those_who_explain_it() -> None:
    with pytest.raises(MemoryError, match="out of memory"), loading("painter/lcm"):
        raise RuntimeError("CUDA out of memory")


def test_progress_bars_are_left_as_they_were() -> None:
    assert transformers_logging.is_progress_bar_enabled()
    with loading("painter/lcm"):
        assert not transformers_logging.is_progress_bar_enabled()
    assert transformers_logging.is_progress_bar_enabled()


def test_a_path_that_is_there_wins_over_a_hub_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("painter/lcm") == HubName("painter/lcm")
    (tmp_path / "painter" / "lcm").mkdir(parents=True)
    assert locate("painter/lcm") == Path("painter/lcm")
    with pytest.raises(ModelNotFoundError, match="no file or folder painter/gone"):
        locate("painter/gone.safetensors")


@pytest.mark.parametrize(
    ("names", "liked", "chosen"),
    [
        ([PLAIN, HALF], None, [PLAIN]),
        ([PLAIN, HALF], "fp16", [HALF]),
        ([PLAIN], "fp16", [PLAIN]),
        ([HALF], None, [HALF]),
        (SHARDS, "fp16", SHARDS),
        ([*SHARDS, PLAIN], None, [PLAIN]),
        ([PLAIN, "diffusion_pytorch_model.non_ema.safetensors"], None, [PLAIN]),
    ],
)
def test_the_weights_that_are_liked_best_are_wanted(
    names: list[str], liked: str | None, chosen: list[str]
) -> None:
    inside = ["config.json", *names]
    assert network_files(inside, "m", variant=liked) == ["config.json", *chosen]
    assert best_variant(inside, "", liked) == (None if PLAIN in chosen else "fp16")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["unet/config.json"], "has no weights"),
        (["unet/diffusion_pytorch_model.bin"], "only pickled weights"),
        ([f"unet/{name}" for name in SHARDS[:2]], "has no weights"),
    ],
)
def test_a_network_without_whole_safetensors_is_refused(names: list[str], words: str) -> None:
    with pytest.raises(ModelFormatError, match=words):
        network_files(names, "m", "unet", variant=None)


def test_only_what_is_loaded_of_a_pipeline_is_wanted() -> None:
    names = [
        "model_index.json",
        "sd_xl_base.safetensors",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "text_encoder/openvino_model.bin",
        "tokenizer/vocab.json",
        "unet/config.json",
        f"unet/{PLAIN}",
        "unet/model.onnx",
        "vae/config.json",
        f"vae/{PLAIN}",
        "vae_1_0/config.json",
        f"vae_1_0/{PLAIN}",
        "safety_checker/model.safetensors",
    ]
    wanted = pipeline_files(names, "m", variant="fp16", without=["vae"])
    assert sorted(wanted) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "unet/config.json",
        f"unet/{PLAIN}",
        "vae/config.json",
    ]
    assert wanted[-1] == "model_index.json"


def test_a_lora_with_the_usual_name_is_taken_among_others() -> None:
    assert lora_file(["a.safetensors", "pytorch_lora_weights.safetensors"], "m").startswith("py")
    with pytest.raises(ModelFormatError, match=r"has 0 \.safetensors files"):
        lora_file(["inner/a.safetensors"], "m")
