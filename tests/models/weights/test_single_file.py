"""Checkpoints in one file: a miniature renamed to the original code's layout paints the same."""

import re
from pathlib import Path

import pytest
import torch
from fake_hub import serve
from loading import paint, write_lora
from miniature import make_engine, make_sd15, save
from safetensors.torch import save_file
from torch import Tensor

from models import ModelFormatError, load_engine
from models.schedule import ScheduleConfig

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
HEAD = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
VAE_NAMES = (
    (r"down_blocks\.(\d)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    ("group_norm", "norm"),
    (r"to_([qkv])", r"\1"),
    (r"to_out\.0", "proj_out"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
)
LAYERS, LEVELS = 1, 4
"""Of the miniatures: layers a block of the UNet, levels of the VAE."""


def unet_name(key: str) -> str:
    """diffusers' name of a UNet's weight -> the original code's."""
    for ours, original in HEAD.items():
        if key.startswith(f"{ours}."):
            key = key.replace(ours, original, 1)
            break
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(\w+?)s\.(\d)\.(.*)", key)
    if match:
        side, level, kind, layer, rest = match.groups()
        block = int(level) * (LAYERS + 1) + (LAYERS if "sampler" in kind else int(layer))
        inner = {"resnet": 0, "attention": 1, "downsampler": 0, "upsampler": 2}[kind]
        rest = rest.replace("conv.", "op.") if kind == "downsampler" else rest
        place = f"input_blocks.{block + 1}" if side == "down" else f"output_blocks.{block}"
        key = f"{place}.{inner}.{rest}"
    head, _, tail = key.rpartition(".")
    stem, _, last = head.rpartition(".")
    is_resnet = last in RESNET and "transformer_blocks" not in stem
    return f"{stem}.{RESNET[last]}.{tail}" if is_resnet else key


def vae_name(key: str) -> str:
    """diffusers' name of an AutoencoderKL's weight -> the original code's."""
    for pattern, replacement in VAE_NAMES:
        key = re.sub(pattern, replacement, key)

    def up(match: re.Match[str]) -> str:
        level, kind = LEVELS - 1 - int(match[1]), match[2]
        return f"up.{level}.block" if kind == "resnets" else f"up.{level}.upsample"

    return re.sub(r"up_blocks\.(\d)\.(resnets|upsamplers\.0)", up, key)


def checkpoint(pipeline: object) -> dict[str, Tensor]:
    """The weights of a whole pipeline under their original names."""
    tensors = {f"model.diffusion_model.{unet_name(k)}": v for k, v in states(pipeline, "unet")}
    for key, value in states(pipeline, "vae"):
        convolution = "attentions" in key and key.endswith("weight") and value.ndim == 2
        tensors[f"first_stage_model.{vae_name(key)}"] = (
            value[:, :, None, None] if convolution else value
        )
    for key, value in states(pipeline, "text_encoder"):
        bare = key.removeprefix("text_model.")
        tensors[f"cond_stage_model.transformer.text_model.{bare}"] = value
    return {key: value.contiguous() for key, value in tensors.items()}


def states(pipeline: object, role: str) -> list[tuple[str, Tensor]]:
    return list(getattr(pipeline, role).state_dict().items())


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature in one file; the configs that it needs are where the hub's would be."""
    pipeline = make_sd15()
    configs = save(pipeline, tmp_path / "base")
    for path in Path(configs).rglob("*.safetensors"):
        path.unlink()
    monkeypatch.setattr(
        "models.weights.single_file.BASES", {"cond_stage_model.transformer.text_model.": configs}
    )
    save_file(checkpoint(pipeline), tmp_path / "painter.safetensors")
    return tmp_path / "painter.safetensors"


def test_a_checkpoint_in_one_file_paints_as_its_folder_does(file: Path) -> None:
    engine = load_engine(str(file), device="cpu", acceleration="off")
    torch.testing.assert_close(paint(engine), paint(make_engine(make_sd15())))


def test_how_it_was_trained_is_read_from_its_marks(file: Path) -> None:
    def schedule(*marks: str) -> ScheduleConfig:
        none = {mark: torch.tensor([]) for mark in marks}
        save_file({**checkpoint(make_sd15()), **none}, file)
        return load_engine(str(file), device="cpu", acceleration="off").schedule_config

    assert schedule().prediction_type == "epsilon"
    assert schedule("v_pred").prediction_type == "v_prediction"
    assert not schedule("v_pred").rescale_betas_zero_snr
    assert schedule("v_pred", "ztsnr").rescale_betas_zero_snr


def test_a_lora_and_a_vae_go_with_it(file: Path, tmp_path: Path) -> None:
    lora = write_lora(make_sd15(), tmp_path / "lora.safetensors", "kohya")
    folder = save(make_sd15(), tmp_path / "whole")
    engines = [
        load_engine(name, device="cpu", acceleration="off", loras=[f"{lora}:0.5"], vae=folder)
        for name in (str(file), folder)
    ]
    torch.testing.assert_close(paint(engines[0]), paint(engines[1]))


def test_a_checkpoint_in_one_file_may_be_on_the_hub(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(monkeypatch, tmp_path / "cache") as hub:
        (tmp_path / "published").mkdir()
        file.rename(tmp_path / "published" / file.name)
        hub.repositories["painter/merged"] = tmp_path / "published"
        name = f"painter/merged/{file.name}"
        engine = load_engine(name, device="cpu", acceleration="off")
        torch.testing.assert_close(paint(engine), paint(make_engine(make_sd15())))
        with pytest.raises(ModelFormatError, match=r"no file pointer\.safetensors.*painter"):
            load_engine("painter/merged/pointer.safetensors", device="cpu")


@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_a_vae_may_be_in_a_file_of_its_own(tmp_path: Path, layout: str) -> None:
    folder, other = save(make_sd15(), tmp_path / "model"), make_sd15()
    with torch.no_grad():
        for parameter in other.vae.parameters():
            parameter.add_(0.05)
    tensors = {
        "original": {
            key.removeprefix("first_stage_model."): value
            for key, value in checkpoint(other).items()
            if key.startswith("first_stage_model.")
        },
        "diffusers": dict(states(other, "vae")),
    }
    file = tmp_path / "vae.safetensors"
    save_file(tensors[layout], file)
    engine = load_engine(folder, device="cpu", acceleration="off", vae=str(file))
    expected = make_engine(make_sd15())
    image = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    assert not torch.equal(engine.encode(image), expected.encode(image))
    torch.testing.assert_close(engine.encode(image), make_engine(other).encode(image))
    torch.testing.assert_close(
        engine.decode(engine.encode(image)), make_engine(other).decode(engine.encode(image))
    )


def test_a_vae_on_the_hub_may_be_one_file_of_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(make_sd15(), tmp_path / "model")
    (tmp_path / "published").mkdir()
    save_file(dict(states(make_sd15(), "vae")), tmp_path / "published" / "second.safetensors")
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.repositories["painter/vaes"] = tmp_path / "published"
        load_engine(folder, device="cpu", acceleration="off", vae="painter/vaes/second.safetensors")
        with pytest.raises(ModelFormatError, match=r"no file first\.safetensors"):
            load_engine(folder, device="cpu", vae="painter/vaes/first.safetensors")


def test_a_file_that_is_no_vae_is_refused(tmp_path: Path) -> None:
    folder = save(make_sd15(), tmp_path / "model")
    lora = write_lora(make_sd15(), tmp_path / "lora.safetensors", "kohya")
    with pytest.raises(ModelFormatError, match="is no VAE of the SD kind"):
        load_engine(folder, device="cpu", vae=lora)
    (tmp_path / "vae.pt").touch()
    with pytest.raises(ModelFormatError, match=r"is no \.safetensors file"):
        load_engine(folder, device="cpu", vae=str(tmp_path / "vae.pt"))
    save_file(dict(states(make_sd15(), "vae")), tmp_path / "vae.safetensors")
    with pytest.raises(ModelFormatError, match="VAE of bundled is an AutoencoderPatch, and vae"):
        load_engine("bundled", device="cpu", vae=str(tmp_path / "vae.safetensors"))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    lora = write_lora(make_sd15(), tmp_path / "lora.safetensors", "kohya")
    with pytest.raises(ModelFormatError, match=r"no whole checkpoint .* a LoRA goes to loras="):
        load_engine(lora, device="cpu")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0no header")
    with pytest.raises(ModelFormatError, match="cannot be read"):
        load_engine(str(tmp_path / "cut.safetensors"), device="cpu")
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(ModelFormatError, match=r"is no \.safetensors file"):
        load_engine(str(tmp_path / "model.ckpt"), device="cpu")
