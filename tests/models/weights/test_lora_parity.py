"""LoRAs fused by our code are those of diffusers' `load_lora_weights` and `fuse_lora` (with peft).

The whole way: a pipeline and LoRA files on disk, loaded by both; every weight is compared.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline
from miniature import make_sd15, make_sdxl, save
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

from models import load_engine, read_lora
from models.weights.lora import fuse_lora

LORAS = (("one.safetensors", 4, 0.7), ("two.safetensors", 2, -0.4))
"""(file, rank, weight)"""

ALPHA = 3.0
TOLERANCE = 1e-6
"""Both add the same products in float32, but not in the same order."""

ROLES = ("unet", "text_encoder", "text_encoder_2")
MAKE = {"sd15": make_sd15, "sdxl": make_sdxl}
ORIGINAL_NAMES = {
    "down_blocks.0.resnets.0.conv1": "input_blocks.1.0.in_layers.2",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.0.time_emb_proj": "middle_block.0.emb_layers.1",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0": "output_blocks.1.2",
}
"""What SDXL's original code calls these blocks, where each level has one layer."""

LAYERS = {
    "unet": (
        "down_blocks.0.resnets.0.conv1",
        "down_blocks.1.attentions.0.proj_in",  # a 1 x 1 convolution in SD 1.5, linear in SDXL
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
        "mid_block.resnets.0.time_emb_proj",
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj",
        "up_blocks.0.upsamplers.0.conv",
    ),
    "text_encoder": ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1"),
    "text_encoder_2": ("self_attn.k_proj", "self_attn.out_proj", "mlp.fc2"),
}
"""Ends of paths. diffusers 0.42 skips attention in kohya's text keys if there is no out_proj."""


Networks = dict[str, Any]
SaveLora = Callable[[str, Path, int], None]


def networks_of(pipeline: Any) -> Networks:
    return {role: getattr(pipeline, role) for role in ROLES if hasattr(pipeline, role)}


def layers_of(network: Any, role: str) -> list[str]:
    return [path for path, _ in network.named_modules() if path.endswith(LAYERS[role])]


def save_as_diffusers(kind: str, path: Path, rank: int) -> None:
    """As diffusers' training scripts do, alpha in the file's header."""
    pipeline = MAKE[kind]()
    written: dict[str, Any] = {}
    for role, network in networks_of(pipeline).items():
        config = LoraConfig(
            r=rank,
            lora_alpha=ALPHA,
            target_modules=layers_of(network, role),
            init_lora_weights=False,  # random
        )
        network.add_adapter(config)
        written[f"{role}_lora_layers"] = get_peft_model_state_dict(network)
        written[f"{role}_lora_adapter_metadata"] = network.peft_config["default"].to_dict()
    pipeline.save_lora_weights(path.parent, weight_name=path.name, **written)


def save_as_kohya(kind: str, path: Path, rank: int) -> None:
    """As most LoRAs come: flat names, those of the original code for SDXL's UNet; alpha a layer."""
    tensors = {}
    for role, network in networks_of(MAKE[kind]()).items():
        for name in layers_of(network, role):
            out, into, *kernel = network.get_submodule(name).weight.shape
            key = kohya_name(role, name, is_sdxl=kind == "sdxl")
            tensors[f"{key}.lora_down.weight"] = torch.randn(rank, into, *kernel)
            tensors[f"{key}.lora_up.weight"] = torch.randn(out, rank, *(1 for _ in kernel))
            tensors[f"{key}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, path)


def kohya_name(role: str, name: str, *, is_sdxl: bool) -> str:
    if role != "unet":
        prefix = "te" if not is_sdxl else "te1" if role == "text_encoder" else "te2"
        name = f"text_model.{name.removeprefix('text_model.')}"
        return f"lora_{prefix}_{name.replace('.', '_')}"
    for own, original in ORIGINAL_NAMES.items() if is_sdxl else ():
        name = name.replace(own, original)
    return f"lora_unet_{name.replace('.', '_')}"


def fused_by_diffusers(folder: str, loras: Path) -> Networks:
    pipeline = DiffusionPipeline.from_pretrained(folder)
    weights = {}
    for name, _, weight in LORAS:
        adapter = Path(name).stem
        pipeline.load_lora_weights(loras, weight_name=name, adapter_name=adapter)
        weights[adapter] = weight
    pipeline.set_adapters(list(weights), list(weights.values()))
    pipeline.fuse_lora(adapter_names=list(weights))
    pipeline.unload_lora_weights()
    return networks_of(pipeline)


def fused_by_us(folder: str, loras: Path) -> Networks:
    named = [f"{loras / name}:{weight}" for name, _, weight in LORAS]
    engine = load_engine(folder, device="cpu", acceleration="off", loras=named)
    predict: Any = engine.networks.predict
    encoders = [stage.text_encoder for stage in engine.prompt_encoder.stages]
    return dict(zip(ROLES, [predict.unet, *encoders], strict=False))


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")  # which is what is wanted
@pytest.mark.parametrize("save_lora", [save_as_diffusers, save_as_kohya])
@pytest.mark.parametrize("kind", list(MAKE))
def test_fused_weights_are_those_of_diffusers(
    kind: str, save_lora: SaveLora, tmp_path: Path
) -> None:
    folder = save(MAKE[kind](), tmp_path / "model")
    for name, rank, _ in LORAS:
        save_lora(kind, tmp_path / name, rank)
    theirs, ours = fused_by_diffusers(folder, tmp_path), fused_by_us(folder, tmp_path)
    assert ours.keys() == theirs.keys()
    for role, plain in networks_of(MAKE[kind]()).items():
        before, expected, got = (n.state_dict() for n in (plain, theirs[role], ours[role]))
        torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=TOLERANCE)
        changed = {name for name, weight in got.items() if not torch.equal(weight, before[name])}
        assert changed == {f"{layer}.weight" for layer in layers_of(plain, role)}


def test_an_adapter_that_peft_saved_is_fused_as_peft_merges_it(tmp_path: Path) -> None:
    plain, ours = make_sd15().unet, make_sd15().unet
    layers = layers_of(plain, "unet")
    config = LoraConfig(
        r=4,
        lora_alpha=ALPHA,
        rank_pattern={layers[0]: 2},
        target_modules=layers,
        init_lora_weights=False,  # random
    )
    get_peft_model(plain, config).save_pretrained(tmp_path)
    merged: Any = PeftModel.from_pretrained(make_sd15().unet, tmp_path).merge_and_unload()
    assert fuse_lora(read_lora(str(tmp_path)), {"unet": ours}, 1.0) == len(layers)
    before = make_sd15().unet.state_dict()
    assert not torch.allclose(
        ours.state_dict()[f"{layers[0]}.weight"], before[f"{layers[0]}.weight"]
    )
    torch.testing.assert_close(
        ours.state_dict(), merged.state_dict(), rtol=TOLERANCE, atol=TOLERANCE
    )
