"""LoRAs fused into weights, against the formula by hand: W + weight * alpha / rank * up @ down."""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from miniature import make_sdxl, make_text_encoder, make_unet
from safetensors.torch import save_file
from torch import Tensor, nn

from models import ModelFormatError, ModelNotFoundError, load_engine
from models.weights.file_selection import parse_lora
from models.weights.lora import LoraFile, fuse_lora, read_lora

RANK, ALPHA, WEIGHT = 4, 2.0, 0.5
LINEAR = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0"
CONV = "down_blocks.0.resnets.0.conv1"
POINTWISE = "up_blocks.0.attentions.1.proj_in"
LAYERS = (LINEAR, OUT, CONV, POINTWISE)


def factors(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """(down, up) of a LoRA as kohya and peft shape them, for a linear or a convolution."""
    shape = layer.weight.shape
    kernel = tuple(shape[2:])
    down = torch.randn(RANK, shape[1], *kernel)
    return down, torch.randn(shape[0], RANK, *(1,) * len(kernel))


def by_hand(layer: nn.Module, down: Tensor, up: Tensor, scale: float) -> Tensor:
    weight = layer.weight.detach().double()
    if weight.ndim == 2:
        return weight + scale * up.double() @ down.double()
    # composing the convolutions: sum over the rank of outer products
    return weight + scale * torch.einsum("or,rikl->oikl", up[:, :, 0, 0].double(), down.double())


def kohya(name: str) -> tuple[str, str]:
    flat = "lora_unet_" + name.replace(".", "_")
    return f"{flat}.lora_down.weight", f"{flat}.lora_up.weight"


def peft(name: str) -> tuple[str, str]:
    return f"unet.{name}.lora_A.weight", f"unet.{name}.lora_B.weight"


def diffusers(name: str) -> tuple[str, str]:
    return f"unet.{name}.lora.down.weight", f"unet.{name}.lora.up.weight"


def old_diffusers(name: str) -> tuple[str, str]:
    if ".attn" not in name:
        return diffusers(name)
    head, _, tail = name.removesuffix(".0").rpartition(".")
    stem = f"unet.{head}.processor.{tail}_lora"
    return f"{stem}.down.weight", f"{stem}.up.weight"


def bare(name: str) -> tuple[str, str]:
    return f"base_model.model.{name}.lora_A.default.weight", f"{name}.lora_B.default.weight"


@pytest.mark.parametrize("layout", [kohya, peft, diffusers, old_diffusers, bare])
def test_fused_weights_are_those_by_hand(layout: Callable[[str], tuple[str, str]]) -> None:
    unet = make_unet()
    tensors: dict[str, Tensor] = {}
    expected = {}
    for name in LAYERS:
        down, up = factors(unet.get_submodule(name))
        down_key, up_key = layout(name)
        tensors |= {down_key: down, up_key: up}
        scale = WEIGHT
        if layout is kohya:
            tensors[down_key.replace(".lora_down.weight", ".alpha")] = torch.tensor(ALPHA)
            scale = WEIGHT * ALPHA / RANK
        expected[name] = by_hand(unet.get_submodule(name), down, up, scale)
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    assert fuse_lora(LoraFile("a", tensors), {"unet": unet}, WEIGHT) == len(LAYERS)
    for name, weight in unet.state_dict().items():
        layer = name.removesuffix(".weight")
        target = expected[layer].float() if layer in expected else before[name]
        torch.testing.assert_close(weight, target, rtol=1e-6, atol=1e-6)


def test_a_fused_convolution_equals_the_two_it_is_made_of() -> None:
    unet = make_unet()
    layer = unet.get_submodule(CONV)
    down, up = factors(layer)
    x = torch.randn(1, layer.in_channels, 6, 6)
    two = nn.functional.conv2d(nn.functional.conv2d(x, down, padding=1), up)
    expected = layer(x) + WEIGHT * two
    keys = peft(CONV)
    fuse_lora(LoraFile("a", dict(zip(keys, (down, up), strict=True))), {"unet": unet}, WEIGHT)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefix", ["lora_te_text_model_", "lora_te1_text_model_"])
def test_text_encoders_are_changed_too(prefix: str) -> None:
    encoder = make_text_encoder()
    name = "encoder.layers.1.self_attn.q_proj"
    full = next(path for path, _ in encoder.named_modules() if path.endswith(name))
    layer = encoder.get_submodule(full)
    down, up = factors(layer)
    expected = by_hand(layer, down, up, 1.0).float()
    flat = prefix + name.replace(".", "_")
    lora = LoraFile("a", {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up})
    fuse_lora(lora, {"unet": make_unet(), "text_encoder": encoder}, 1.0)
    torch.testing.assert_close(layer.weight, expected)


ORIGINAL_NAMES = {  # layers_per_block 2, three levels, attention on the lower two, as SDXL
    "input_blocks_0_0": "conv_in",
    "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1",
    "input_blocks_3_0_op": "down_blocks.0.downsamplers.0.conv",
    "input_blocks_4_0_skip_connection": "down_blocks.1.resnets.0.conv_shortcut",
    "input_blocks_5_1_transformer_blocks_0_attn1_to_out_0": (
        "down_blocks.1.attentions.1.transformer_blocks.0.attn1.to_out.0"
    ),
    "input_blocks_8_1_proj_in": "down_blocks.2.attentions.1.proj_in",
    "middle_block_0_emb_layers_1": "mid_block.resnets.0.time_emb_proj",
    "middle_block_1_transformer_blocks_0_ff_net_0_proj": (
        "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"
    ),
    "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
    "output_blocks_0_1_proj_out": "up_blocks.0.attentions.0.proj_out",
    "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
    "output_blocks_5_2_conv": "up_blocks.1.upsamplers.0.conv",
    "output_blocks_8_0_in_layers_2": "up_blocks.2.resnets.2.conv1",
    "time_embed_0": "time_embedding.linear_1",
    "label_emb_0_2": "add_embedding.linear_2",
    "out_2": "conv_out",
}


def test_sdxl_files_with_the_original_block_names_are_understood() -> None:
    unet = make_unet(
        block_out_channels=(8, 16, 24),
        layers_per_block=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=40,
    )
    tensors, expected = {}, {}
    for original, name in ORIGINAL_NAMES.items():
        layer = unet.get_submodule(name)
        down, up = factors(layer)
        tensors[f"lora_unet_{original}.lora_down.weight"] = down
        tensors[f"lora_unet_{original}.lora_up.weight"] = up
        expected[name] = by_hand(layer, down, up, 1.0).float()
    fuse_lora(LoraFile("a", tensors), {"unet": unet}, 1.0)
    for name, weight in expected.items():
        torch.testing.assert_close(unet.get_submodule(name).weight.data, weight)


def test_alpha_in_the_header_counts(tmp_path: Path) -> None:
    unet = make_unet()
    down, up = factors(unet.get_submodule(LINEAR))
    expected = by_hand(unet.get_submodule(LINEAR), down, up, 8.0 / RANK).float()
    path = tmp_path / "style.safetensors"
    header = {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": 8})}
    save_file(dict(zip(peft(LINEAR), (down, up), strict=True)), path, metadata=header)
    fuse_lora(read_lora(str(path)), {"unet": unet}, 1.0)
    torch.testing.assert_close(unet.get_submodule(LINEAR).weight.data, expected)


def save_adapter(folder: Path, layer: Any, **settings: object) -> tuple[Tensor, Tensor]:
    """As peft's `save_pretrained` does: weights, and their settings beside them."""
    down, up = factors(layer)
    folder.mkdir()
    keys = [f"base_model.model.{LINEAR}.lora_{side}.weight" for side in "AB"]
    save_file(dict(zip(keys, (down, up), strict=True)), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": RANK, **settings}))
    return down, up


@pytest.mark.parametrize("name", ["", "adapter_model.safetensors"])
def test_alpha_beside_an_adapter_counts(tmp_path: Path, name: str) -> None:
    unet = make_unet()
    layer = unet.get_submodule(LINEAR)
    down, up = save_adapter(tmp_path / "adapter", layer, lora_alpha=1, use_rslora=False)
    expected = by_hand(layer, down, up, 1 / RANK).float()
    fuse_lora(read_lora(str(tmp_path / "adapter" / name)), {"unet": unet}, 1.0)
    torch.testing.assert_close(layer.weight.data, expected)


def test_what_an_adapter_asks_for_and_is_not_served_is_refused(tmp_path: Path) -> None:
    layer = make_unet().get_submodule(LINEAR)
    for option in ({"use_rslora": True}, {"use_dora": True}, {"alpha_pattern": {"to_q": 2}}):
        folder = tmp_path / next(iter(option))
        save_adapter(folder, layer, lora_alpha=1, **option)
        with pytest.raises(ModelFormatError, match="not served"):
            read_lora(str(folder))


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"lora_alpha": [1]}', '{"lora_alpha": NaN}'])
def test_damaged_settings_are_refused(tmp_path: Path, text: str) -> None:
    layer = make_unet().get_submodule(LINEAR)
    save_adapter(tmp_path / "adapter", layer)
    (tmp_path / "adapter" / "adapter_config.json").write_text(text)
    with pytest.raises(ModelFormatError, match=r"cannot be loaded|expected a number"):
        read_lora(str(tmp_path / "adapter"))
    path = tmp_path / "style.safetensors"
    header = {"lora_adapter_metadata": text.replace("lora_", "unet.lora_")}
    save_file(dict(zip(peft(LINEAR), factors(layer), strict=True)), path, metadata=header)
    with pytest.raises(ModelFormatError, match=r"cannot be loaded|expected a number"):
        read_lora(str(path))


def test_an_adapter_whose_strength_nothing_tells_is_refused(tmp_path: Path) -> None:
    save_adapter(tmp_path / "adapter", make_unet().get_submodule(LINEAR))  # no lora_alpha
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    with pytest.raises(ModelFormatError, match="how strong it is"):
        read_lora(str(path))
    path.with_name("adapter_config.json").unlink()
    path = path.rename(tmp_path / "style.safetensors")
    with pytest.raises(ModelFormatError, match="how strong it is"):
        read_lora(str(path))


def test_settings_beside_a_file_that_is_not_pefts_do_not_count(tmp_path: Path) -> None:
    layer = make_unet().get_submodule(LINEAR)
    save_adapter(tmp_path / "loras", layer, lora_alpha=1, use_rslora=True)
    path = tmp_path / "loras" / "style.safetensors"
    save_file(dict(zip(peft(LINEAR), factors(layer), strict=True)), path)
    assert read_lora(str(path)).alphas == {}


def test_half_precision_weights_are_added_in_float32() -> None:
    unet = make_unet()
    layer = unet.get_submodule(LINEAR)
    down, up = factors(layer)
    layer.half()
    expected = by_hand(layer, down, up, WEIGHT).half()
    lora = LoraFile("a", dict(zip(peft(LINEAR), (down, up), strict=True)))
    fuse_lora(lora, {"unet": unet}, WEIGHT)
    torch.testing.assert_close(layer.weight.data, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("owner/name", ("owner/name", 1.0)),
        ("owner/name:0.8", ("owner/name", 0.8)),
        ("C:\\styles\\a.safetensors", ("C:\\styles\\a.safetensors", 1.0)),
        ("C:\\styles\\a.safetensors:-1", ("C:\\styles\\a.safetensors", -1.0)),
    ],
)
def test_a_weight_may_follow_the_name(spec: str, expected: tuple[str, float]) -> None:
    assert parse_lora(spec) == expected


@pytest.mark.parametrize("spec", ["a:nan", "a:inf", "a.safetensors:0,5", "a.safetensors:"])
def test_a_weight_that_is_no_number_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        parse_lora(spec)


def _without_up(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if "lora_A" in key}


def _original(layer: str, key: str) -> str:
    return f"lora_unet_{layer}.lora_{'down' if 'lora_A' in key else 'up'}.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_up, "Half a layer"),
        (lambda t: {**t, f"unet.{LINEAR}.dora_scale": torch.ones(1)}, "DoRA and LyCORIS"),
        (lambda t: {k.replace("to_q", "to_x"): v for k, v in t.items()}, "has not"),
        (lambda t: {k: v[:, :3] for k, v in t.items()}, "another shape"),
        (
            lambda t: {_original("output_blocks_11_1_proj_in", k): v for k, v in t.items()},
            "has not",
        ),
        (lambda t: {_original("middle_block_3_proj_in", k): v for k, v in t.items()}, "has not"),
        (lambda t: {k.replace("unet.", "text_encoder."): v for k, v in t.items()}, "nothing"),
        (lambda t: {}, "changes nothing"),
    ],
    ids=[
        "half",
        "dora",
        "other-model",
        "more-levels",
        "longer-middle",
        "shape",
        "other-network",
        "empty",
    ],
)
def test_a_file_that_does_not_fit_is_refused(change: Any, words: str) -> None:
    unet = make_unet()
    tensors = change(dict(zip(peft(LINEAR), factors(unet.get_submodule(LINEAR)), strict=True)))
    with pytest.raises(ModelFormatError, match=words):
        fuse_lora(LoraFile("a", tensors), {"unet": unet}, 1.0)


def test_a_lora_for_sdxl_is_refused_by_sd15() -> None:
    layer = make_sdxl().unet.get_submodule(LINEAR.replace("attn1.to_q", "attn2.to_k"))
    keys = peft(LINEAR.replace("attn1.to_q", "attn2.to_k"))
    lora = LoraFile("xl", dict(zip(keys, factors(layer), strict=True)))
    with pytest.raises(ModelFormatError, match="another shape"):
        fuse_lora(lora, {"unet": make_unet()}, 1.0)


def test_pickled_loras_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "style.bin"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(ModelFormatError, match="pickled"):
        read_lora(str(path))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "style.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0not a header at all")
    with pytest.raises(ModelFormatError, match="cannot be loaded"):
        read_lora(str(path))


def test_a_folder_with_several_files_is_not_guessed_at(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"x": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelFormatError, match=r"has 2 \.safetensors files"):
        read_lora(str(tmp_path))


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-that-name/model"])
def test_names_that_no_path_can_have_are_not_found(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="cannot be looked for"):
        load_engine(name)
    with pytest.raises(ModelNotFoundError, match="cannot be looked for"):
        read_lora(name)


def test_a_place_that_one_may_not_look_into_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "lstat", forbidden)  # as root, nothing is forbidden
    for load in (load_engine, read_lora):
        with pytest.raises(ModelNotFoundError, match=r"cannot be looked for \(Permission denied\)"):
            load(str(tmp_path))
