"""From a name to an engine: miniature pipelines saved by diffusers and loaded again. No network."""

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from loading import paint, write_lora
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sd15,
    make_sdxl,
    make_vae,
    save,
)
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models import (
    ModelFormatError,
    ModelMemoryError,
    ModelNotFoundError,
)
from models import (
    load_engine as load_accelerated,
)
from models.presets import PRESETS, Preset
from models.weights.lora import fuse_lora, read_lora

load_engine = partial(load_accelerated, acceleration="off")
UNET_WEIGHTS = Path("unet") / "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Folders of the miniatures, each saved once; tests that change one copy it."""
    makers = {
        "lcm": make_lcm,
        "sd15": make_sd15,
        "sdxl": make_sdxl,
        "pix2pix": make_instruct_pix2pix,
    }
    root = tmp_path_factory.mktemp("pipelines")

    def folder(kind: str) -> str:
        path = root / kind
        return str(path) if path.exists() else save(makers[kind](), path)

    return folder


@pytest.fixture
def changed(saved: Callable[[str], str], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a saved miniature for a test to spoil."""
    return lambda kind: Path(shutil.copytree(saved(kind), tmp_path / kind))


# what works


def test_full_lcm_with_guidance_embedding(saved: Callable[[str], str]) -> None:
    engine = load_engine(saved("lcm"), device="cpu")
    assert (engine.dtype, engine.native_size, engine.notes) == (torch.float32, 64, [])
    assert engine.default_style.guidance_scale == 8.0
    assert torch.equal(paint(engine), paint(make_engine(make_lcm())))


@pytest.mark.parametrize(
    ("is_free", "said"), [(False, "is not free: L"), (None, "is not known: L"), (True, None)]
)
def test_a_row_says_whether_commercial_use_is_free(
    saved: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, is_free: bool | None,
    said: str | None,
) -> None:  # fmt: skip
    row = Preset("row", saved("lcm"), licence="L", commercial_use=is_free)
    monkeypatch.setitem(PRESETS, "row", row)
    notes = load_engine("row", device="cpu").notes
    assert [said in note for note in notes] == [True] if said else not notes


@pytest.mark.parametrize("layout", ["kohya", "peft"])
@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_plain_model_with_lcm_lora(
    saved: Callable[[str], str], tmp_path: Path, kind: str, layout: str
) -> None:
    pipeline = make_sd15() if kind == "sd15" else make_sdxl()
    path = write_lora(pipeline, tmp_path / "lora" / "pytorch_lora_weights.safetensors", layout)
    engine = load_engine(saved(kind), device="cpu", loras=[f"{path}:0.7"])
    plain = paint(make_engine(pipeline))
    fuse_lora(read_lora(path), {"unet": pipeline.unet}, 0.7)
    expected = paint(make_engine(pipeline))
    torch.testing.assert_close(paint(engine), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(expected, plain, atol=1e-2)
    assert not any("distilled" in note for note in engine.notes)


def test_lora_may_be_a_folder(saved: Callable[[str], str], tmp_path: Path) -> None:
    write_lora(make_sd15(), tmp_path / "pytorch_lora_weights.safetensors", "peft")
    assert load_engine(saved("sd15"), device="cpu", loras=[str(tmp_path)]).notes == []


def test_plain_model_without_lora_is_noted(saved: Callable[[str], str]) -> None:
    engine = load_engine(saved("sd15"), device="cpu")
    assert len(engine.notes) == 1 and "LCM-LoRA" in engine.notes[0]


def test_instruct_pix2pix_takes_its_frame_without_the_scaling(saved: Callable[[str], str]) -> None:
    loaded = paint(load_engine(saved("pix2pix"), device="cpu"))
    pipeline = make_instruct_pix2pix()
    assert torch.equal(loaded, paint(make_engine(pipeline, frame_is_scaled=False)))
    assert not torch.allclose(loaded, paint(make_engine(pipeline, frame_is_scaled=True)))


def test_other_models_that_see_the_frame_take_it_scaled(changed: Callable[[str], Path]) -> None:
    folder = changed("pix2pix")
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionImg2ImgPipeline"
    (folder / "model_index.json").write_text(json.dumps(index))
    expected = paint(make_engine(make_instruct_pix2pix(), frame_is_scaled=True))
    assert torch.equal(paint(load_engine(str(folder), device="cpu")), expected)


def test_another_vae_replaces_the_pipelines_own(
    saved: Callable[[str], str], tmp_path: Path
) -> None:
    tiny = make_vae("tiny")
    tiny.save_pretrained(tmp_path)
    engine = load_engine(saved("lcm"), device="cpu", vae=str(tmp_path))
    assert torch.equal(paint(engine), paint(make_engine(make_lcm(vae="tiny"))))


def test_the_vae_of_a_whole_pipeline_may_be_borrowed(saved: Callable[[str], str]) -> None:
    engine = load_engine(saved("lcm"), device="cpu", vae=saved("sd15"))
    assert torch.equal(paint(engine), paint(make_engine(make_lcm())))


def test_text_encoders_saved_by_older_libraries_load(changed: Callable[[str], Path]) -> None:
    # every Stable Diffusion repository names its text encoder's weights "text_model.…"
    folder = changed("lcm")
    path = folder / "text_encoder" / "model.safetensors"
    bare = {key.removeprefix("text_model."): value for key, value in load_file(path).items()}
    save_file({f"text_model.{key}": value for key, value in bare.items()}, path, {"format": "pt"})
    assert torch.equal(
        paint(load_engine(str(folder), device="cpu")), paint(make_engine(make_lcm()))
    )


def test_half_precision_files_load_in_float32(saved: Callable[[str], str], tmp_path: Path) -> None:
    pipeline = make_lcm().to(dtype=torch.float16)
    pipeline.save_pretrained(tmp_path, variant="fp16")
    for path in tmp_path.rglob("*.fp16.safetensors"):
        path.rename(str(path).replace(".fp16.", "."))
    engine = load_engine(str(tmp_path), device="cpu")
    torch.testing.assert_close(paint(engine), paint(make_engine(make_lcm())), rtol=0, atol=0.02)


def test_bfloat16_may_be_asked_for(saved: Callable[[str], str]) -> None:
    engine = load_engine(saved("lcm"), device="cpu", dtype=torch.bfloat16)
    assert engine.dtype == torch.bfloat16
    assert paint(engine).isfinite().all()


def test_sdxl_vae_is_kept_from_overflowing_in_float16(
    saved: Callable[[str], str], tmp_path: Path
) -> None:
    engine = load_engine(saved("sdxl"), device="cpu", dtype=torch.float16)
    assert len(engine.notes) == 1 and "overflows in float16" in engine.notes[0]
    make_vae("tiny").save_pretrained(tmp_path)
    tiny = load_engine(saved("sdxl"), device="cpu", dtype=torch.float16, vae=str(tmp_path))
    assert tiny.notes == []
    assert paint(engine).isfinite().all() and paint(tiny).isfinite().all()


def test_the_schedule_of_any_scheduler_class_is_read(changed: Callable[[str], Path]) -> None:
    folder = changed("sd15")
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    assert config["_class_name"] == "PNDMScheduler"
    path.write_text(json.dumps({**config, "prediction_type": "v_prediction", "beta_end": 0.02}))
    engine = load_engine(str(folder), device="cpu")
    assert engine.schedule_config.prediction_type == "v_prediction"
    assert engine.schedule_config.beta_end == 0.02


def test_own_autoencoder_is_chosen_by_its_class_name(
    changed: Callable[[str], Path], tmp_path: Path
) -> None:
    from models.autoencoder import AutoencoderPatch

    vae = AutoencoderPatch(latent_channels=4, block_out_channels=(8, 8))
    vae.save_pretrained(tmp_path / "patch")
    engine = load_engine(str(changed("lcm")), device="cpu", vae=str(tmp_path / "patch"))
    assert engine.latent_shape(SIZE) == (4, 6, 8)
    assert paint(engine).shape == (1, 3, SIZE[1], SIZE[0])


# what is refused


class _Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_no_pickle_is_ever_unpickled(
    changed: Callable[[str], Path], tmp_path: Path, part: str
) -> None:
    folder = changed("lcm")
    weights = next((folder / part).glob("*.safetensors"))
    name = "pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin"
    weights.unlink()
    torch.save(_Bomb(tmp_path / "exploded"), weights.with_name(name))
    with pytest.raises(ModelFormatError, match="pickled weights"):
        load_engine(str(folder), device="cpu")
    assert not (tmp_path / "exploded").exists()


def _spoil_truncate(folder: Path) -> None:
    data = (folder / UNET_WEIGHTS).read_bytes()
    (folder / UNET_WEIGHTS).write_bytes(data[: len(data) // 2])


def _spoil_missing_weight(folder: Path) -> None:
    tensors = load_file(folder / UNET_WEIGHTS)
    tensors.pop("conv_in.weight")
    save_file(tensors, folder / UNET_WEIGHTS, {"format": "pt"})


def _spoil_shape(folder: Path) -> None:
    tensors = load_file(folder / UNET_WEIGHTS)
    tensors["conv_in.weight"] = torch.zeros(1, 2, 3, 3)
    save_file(tensors, folder / UNET_WEIGHTS, {"format": "pt"})


def _spoil_json(folder: Path) -> None:
    (folder / "unet" / "config.json").write_text("{ not json")


def _edit(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_spoil_truncate, "cannot be loaded"),
        (_spoil_missing_weight, "lacks 1 weights .*conv_in.weight"),
        (_spoil_shape, "cannot be loaded"),
        (_spoil_json, "cannot be loaded"),
        (lambda folder: (folder / UNET_WEIGHTS).unlink(), "has no weights"),
        (lambda folder: shutil.rmtree(folder / "unet"), "cannot be loaded"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "knows 2 tokens"),
        (lambda folder: shutil.rmtree(folder / "scheduler"), "cannot be loaded"),
        (lambda folder: (folder / "model_index.json").unlink(), "has no model_index.json"),
        (lambda folder: (folder / "model_index.json").write_text("[]"), "damaged model_index"),
        (
            lambda folder: (folder / "model_index.json").write_text('{"_class_name": "Flux"}'),
            "is a Flux without a UNet",
        ),
        (lambda folder: _edit(folder, "vae/config.json", _class_name="VQModel"), "class VQModel"),
        (
            lambda folder: _edit(folder, "model_index.json", text_encoder=["t", "T5EncoderModel"]),
            "is a T5EncoderModel",
        ),
        (
            lambda folder: _edit(folder, "model_index.json", text_encoder=[None, None]),
            "has no text encoder",
        ),
        (
            lambda folder: _edit(folder, "scheduler/scheduler_config.json", beta_schedule="exp"),
            "beta_schedule='exp'",
        ),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_folder_is_refused_in_one_sentence(
    changed: Callable[[str], Path], spoil: Callable[[Path], None], words: str
) -> None:
    folder = changed("lcm")
    spoil(folder)
    with pytest.raises(ModelFormatError, match=words) as info:
        load_engine(str(folder), device="cpu")
    assert "\n" not in str(info.value)


def test_inpainting_unet_is_refused(tmp_path: Path) -> None:
    from miniature import make_unet

    pipeline = make_sd15()
    pipeline.register_modules(unet=make_unet(in_channels=9))
    with pytest.raises(ModelFormatError, match="takes 9 and gives 4 channels"):
        load_engine(save(pipeline, tmp_path), device="cpu")


def test_a_vae_with_other_latents_is_refused(saved: Callable[[str], str], tmp_path: Path) -> None:
    from models.autoencoder import AutoencoderPatch

    AutoencoderPatch(latent_channels=16, block_out_channels=(8, 8)).save_pretrained(tmp_path)
    with pytest.raises(ModelFormatError, match="use a VAE made for this UNet"):
        load_engine(saved("lcm"), device="cpu", vae=str(tmp_path))


def test_sdxl_refiner_is_refused(changed: Callable[[str], Path]) -> None:
    folder = changed("sdxl")
    _edit(folder, "unet/config.json", addition_time_embed_dim=5)
    with pytest.raises(ModelFormatError, match="refiners are not served"):
        load_engine(str(folder), device="cpu")


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ModelNotFoundError, match="nearest: sdxl-lcm-lora"):
        load_engine("sdxl-lora")


@pytest.mark.parametrize("name", ["gone.safetensors", "a/gone.safetensors", "./a/b/gone.ckpt"])
def test_a_checkpoint_that_is_not_there_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"There is no file .*gone\."):
        load_engine(name)


@pytest.mark.parametrize("name", ["gone.safetensors", "styles/gone.safetensors", "gone", "../gone"])
def test_a_lora_or_vae_that_is_not_there_is_not_looked_for_on_the_hub(
    saved: Callable[[str], str], name: str
) -> None:
    with pytest.raises(ModelNotFoundError, match="There is no file or folder"):
        load_engine(saved("lcm"), device="cpu", loras=[f"{name}:0.5"])
    with pytest.raises(ModelNotFoundError, match="There is no file or folder"):
        load_engine(saved("lcm"), device="cpu", vae=name)


def test_what_cannot_be_found_is_said_before_anything_is_loaded(
    saved: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("models.components.load_module", load)
    for settings in ({"loras": ["gone"]}, {"vae": "gone"}):
        with pytest.raises(ModelNotFoundError):
            load_engine(saved("lcm"), device="cpu", **settings)


@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_too_little_memory_for_the_weights_is_no_damaged_file(
    saved: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind("I/O error: Cannot allocate memory (os error 12)")

    monkeypatch.setattr("diffusers.UNet2DConditionModel.from_pretrained", refuse)
    with pytest.raises(ModelMemoryError, match="cpu ran out of memory; use a smaller size"):
        load_engine(saved("lcm"), device="cpu")
