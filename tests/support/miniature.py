"""Miniature pipelines of the true Stable Diffusion classes, randomly initialised, a few kB each.

Their pictures mean nothing; their arithmetic is that of the real checkpoints. No network.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    DDIMScheduler,
    LatentConsistencyModelImg2ImgPipeline,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.models.attention_processor import Attention
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from models import Engine, Style
from models.autoencoder import AutoencoderPatch
from models.conditioning import PromptEncoder, TextStage
from models.fields import KINDS
from models.networks import make_networks
from models.schedule import ScheduleConfig
from models.stem import Stem

SIZE = (64, 48)
"""(width, height) in px; a multiple of every miniature's `size_multiple`."""

TOKENS = 16
TEXT_WIDTH = 16
STEM_CHANNELS = 8
START, END = "<|startoftext|>", "<|endoftext|>"

SCHEDULER = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def make_tokenizer(length: int = TOKENS) -> CLIPTokenizer:
    """Bytes as tokens, as CLIP's vocabulary begins, and one merge."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,.:"
    words = [START, END, *letters, *(f"{letter}</w>" for letter in letters), "oi"]
    vocabulary = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=[("o", "i")],
        model_max_length=length,
        unk_token=END,
        pad_token=END,
    )


def make_text_encoder(seed: int = 0, *, projection: bool = False) -> Any:
    torch.manual_seed(seed)
    config = CLIPTextConfig(
        vocab_size=len(make_tokenizer()),
        hidden_size=TEXT_WIDTH,
        intermediate_size=24,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    return kind(config).eval()


def make_unet(seed: int = 1, **changes: Any) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    config: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "cross_attention_dim": TEXT_WIDTH,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    return UNet2DConditionModel(**{**config, **changes}).eval()


def make_vae(kind: Literal["kl", "tiny"] = "kl", seed: int = 2) -> Any:
    """A VAE of factor 8, with 4 latent channels and SD's scaling factor (tiny: 1)."""
    torch.manual_seed(seed)
    if kind == "tiny":
        return AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        ).eval()
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        latent_channels=4,
        scaling_factor=0.18215,
        sample_size=64,
    ).eval()


def make_lcm(
    *,
    guidance_width: int | None = 8,
    prediction_type: str = "epsilon",
    vae: Literal["kl", "tiny"] = "kl",
) -> LatentConsistencyModelImg2ImgPipeline:
    """A full LCM; `guidance_width` is that of the w embedding (``None`` = fused LCM-LoRA)."""
    pipeline = LatentConsistencyModelImg2ImgPipeline(
        vae=make_vae(vae),
        text_encoder=make_text_encoder(),
        tokenizer=make_tokenizer(),
        unet=make_unet(time_cond_proj_dim=guidance_width),
        scheduler=LCMScheduler(**SCHEDULER, prediction_type=prediction_type),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def make_sd15() -> StableDiffusionImg2ImgPipeline:
    """Plain SD 1.5 with the scheduler its repository names, before any LCM-LoRA."""
    return StableDiffusionImg2ImgPipeline(
        vae=make_vae(),
        text_encoder=make_text_encoder(),
        tokenizer=make_tokenizer(),
        unet=make_unet(),
        scheduler=PNDMScheduler(**SCHEDULER, skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_instruct_pix2pix() -> StableDiffusionInstructPix2PixPipeline:
    return StableDiffusionInstructPix2PixPipeline(
        vae=make_vae(),
        text_encoder=make_text_encoder(),
        tokenizer=make_tokenizer(),
        unet=make_unet(in_channels=8),
        scheduler=DDIMScheduler(**SCHEDULER, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def make_sdxl() -> StableDiffusionXLImg2ImgPipeline:
    unet = make_unet(
        cross_attention_dim=2 * TEXT_WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + TEXT_WIDTH,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )
    pipeline = StableDiffusionXLImg2ImgPipeline(
        vae=make_vae(),
        text_encoder=make_text_encoder(),
        text_encoder_2=make_text_encoder(3, projection=True),
        tokenizer=make_tokenizer(),
        tokenizer_2=make_tokenizer(),
        unet=unet,
        scheduler=LCMScheduler(**SCHEDULER),
        add_watermarker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_bundled_like(folder: Path, *, stem: bool = False) -> str:
    """A folder of the bundled model's make: own VAE, a UNet that sees the frame.

    Written part by part: no diffusers pipeline takes these parts together.

    Args:
        stem: With carried noise, twice the pixels, and x_0 predicted; else v.
    """
    torch.manual_seed(4)
    channels = 16 if stem else 6
    vae = AutoencoderPatch(
        latent_channels=channels,
        block_out_channels=(8, 8),
        scaling_factor=1.7,
        shift_factor=0.2,
        output_scale=2 if stem else 1,
    )
    unet = make_unet(
        in_channels=2 * channels + (STEM_CHANNELS if stem else 0),
        out_channels=channels,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        resnet_time_scale_shift="scale_shift",
        time_cond_proj_dim=6,
    )
    parts = {"vae": vae, "unet": unet, "text_encoder": make_text_encoder()}
    index = {
        "_class_name": "LatentConsistencyModelImg2ImgPipeline",
        "scheduler": ["diffusers", "LCMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["models.autoencoder", "AutoencoderPatch"],
    }
    if stem:
        parts["stem"] = make_stem()
        index["stem"] = ["models.stem", "Stem"]
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    make_tokenizer().save_pretrained(folder / "tokenizer")
    kind = "sample" if stem else "v_prediction"
    scheduler = LCMScheduler(**SCHEDULER, prediction_type=kind)
    scheduler.register_to_config(self_conditioning=0.25)  # ours alone
    scheduler.save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(index))
    return str(folder)


def make_stem(seed: int = 5) -> Stem:
    """A stem whose features count, and that wants one kind of marks or two, by the prompt."""
    torch.manual_seed(seed)
    stem = Stem(
        block_out_channels=(8, STEM_CHANNELS), layers=(1, 1), text_width=TEXT_WIDTH, marks=KINDS
    )
    for parameter in stem.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    stem.mark_head.weight.data.mul_(3)
    return stem.eval()


def save(pipeline: Any, folder: Path) -> str:
    """`save_pretrained`, safetensors; returns the folder as `load_engine` takes it."""
    pipeline.save_pretrained(folder, safe_serialization=True)
    return str(folder)


def make_vision(seed: int = 6, projection: int = 12) -> CLIPVisionModelWithProjection:
    """A vision encoder of pictures of 32 px."""
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=TEXT_WIDTH,
        intermediate_size=24,
        projection_dim=projection,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    return CLIPVisionModelWithProjection(config).eval()


def make_ip_adapter(unet: UNet2DConditionModel, *, plus: bool = False) -> dict[str, Any]:
    """An IP-Adapter for a UNet and `make_vision`, as its file has it, in two parts."""
    torch.manual_seed(7)
    width = unet.config.cross_attention_dim
    attention: dict[str, torch.Tensor] = {}
    crossing = [m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention]
    for index, module in enumerate(crossing):
        channels = module.to_k.out_features
        for name in ("k", "v"):
            attention[f"{2 * index + 1}.to_{name}_ip.weight"] = torch.randn(channels, width) / 3
    shapes: dict[str, tuple[int, ...]] = {
        "proj.weight": (4 * width, 12),
        "proj.bias": (4 * width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    if plus:
        inner = 64  # one head
        shapes = {
            "latents": (1, 5, 24),
            "proj_in.weight": (24, TEXT_WIDTH),
            "proj_in.bias": (24,),
            "proj_out.weight": (width, 24),
            "proj_out.bias": (width,),
            "norm_out.weight": (width,),
            "norm_out.bias": (width,),
        }
        for layer in range(4):  # diffusers builds no fewer
            head = f"layers.{layer}"
            for norm in ("0.norm1", "0.norm2", "1.0"):
                shapes |= {f"{head}.{norm}.weight": (24,), f"{head}.{norm}.bias": (24,)}
            shapes |= {
                f"{head}.0.to_q.weight": (inner, 24),
                f"{head}.0.to_kv.weight": (2 * inner, 24),
                f"{head}.0.to_out.weight": (24, inner),
                f"{head}.1.1.weight": (96, 24),
                f"{head}.1.3.weight": (24, 96),
            }
    projection = {name: torch.randn(shape) / 2 for name, shape in shapes.items()}
    return {"image_proj": projection, "ip_adapter": attention}


def make_controlnet(unet: Any, seed: int = 8) -> ControlNetModel:
    """As a trained one: none of its convolutions gives zeros."""
    torch.manual_seed(seed)
    network = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8))
    for module in (
        network.controlnet_cond_embedding.conv_out,
        network.controlnet_mid_block,
        *network.controlnet_down_blocks,
    ):
        torch.nn.init.normal_(module.weight, std=0.2)
    return network.eval()


def save_ip_adapter(folder: Path, unet: UNet2DConditionModel, *, plus: bool = False) -> str:
    """The file as it is published, with its image encoder beside it."""
    parts = make_ip_adapter(unet, plus=plus)
    tensors = {f"{part}.{name}": t for part, held in parts.items() for name, t in held.items()}
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "adapter.safetensors")
    make_vision().save_pretrained(folder / "image_encoder")
    return str(folder / "adapter.safetensors")


def make_engine(pipeline: Any, dtype: torch.dtype = torch.float32, **changes: Any) -> Engine:
    """An engine on a pipeline's own modules, not loaded from files."""
    stages = [TextStage(pipeline.tokenizer, pipeline.text_encoder.to(dtype))]
    if "tokenizer_2" in pipeline.components:
        stages.append(TextStage(pipeline.tokenizer_2, pipeline.text_encoder_2.to(dtype)))
    networks = make_networks(pipeline.unet.to(dtype), pipeline.vae.to(dtype))
    settings: dict[str, Any] = {
        "name": "miniature",
        "device": torch.device("cpu"),
        "dtype": dtype,
        "default_style": Style(),
        "native_size": min(SIZE),
    }
    return Engine(
        networks,
        PromptEncoder(tuple(stages), pooled=networks.wants_text_time),
        ScheduleConfig.from_config(pipeline.scheduler.config),
        **{**settings, **changes},
    )
