"""Models of the true architectures with random weights: nothing is downloaded.

Random weights are fair for speed, since no kernel looks at a weight's value; their pictures mean
nothing. The configs are those of the published checkpoints, as far as speed depends on them.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from roofline import Work, count_work
from torch import Tensor

from models import Engine, Style
from models.autoencoder import AutoencoderPatch
from models.conditioning import EncodedText
from models.fields import KINDS
from models.networks import TIME_ID_COUNT, make_networks
from models.schedule import ScheduleConfig
from models.stem import Stem

Architecture = Literal["bundled", "sd15", "sd-turbo", "sdxl", "tiny", "tiny-xl"]

SD_UNET: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
TINY_UNET: dict[str, Any] = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
    "cross_attention_dim": 16,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
UNETS: dict[Architecture, dict[str, Any]] = {
    "sd15": SD_UNET,
    "sd-turbo": {
        **SD_UNET,
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
    },
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    "bundled": {
        "sample_size": 32,
        "in_channels": 32 + 32 + 96,  # z_t, the frame's latents, the stem's features
        "out_channels": 32,
        "block_out_channels": (64, 128),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
        "cross_attention_dim": 128,
        "attention_head_dim": 4,
        "norm_num_groups": 16,
        "time_embedding_dim": 128,
        "time_cond_proj_dim": 64,
        "resnet_time_scale_shift": "scale_shift",
        "addition_embed_type": "text",
        "addition_embed_type_num_heads": 4,
    },
    "tiny": TINY_UNET,
    "tiny-xl": {
        **TINY_UNET,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 40,
    },
}
TOKENS = {"bundled": 16, "tiny": 16, "tiny-xl": 16}
KL: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
    "sample_size": 512,
}
VAES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "patch": (
        AutoencoderPatch,
        {"latent_channels": 32, "block_out_channels": (64, 96), "encoder_layers": 1}
        | {"decoder_layers": 2, "output_scale": 2},
    ),
    "tiny": (AutoencoderTiny, {}),
    "kl": (AutoencoderKL, KL),
    "small-tiny": (
        AutoencoderTiny,
        {"encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
        | {"num_encoder_blocks": (1,) * 4, "num_decoder_blocks": (1,) * 4},
    ),
    "small-kl": (AutoencoderKL, {**KL, "block_out_channels": (8,) * 4, "norm_num_groups": 4}),
}


@dataclass(frozen=True)
class Case:
    """What one table's contestants paint.

    Attributes:
        architecture: Which model.
        style: Of all frames; its steps count.
        size: (width, height).
        batch: Frames a call.
        device: Where.
        dtype: What the contestants compute in.
    """

    architecture: Architecture
    style: Style
    size: tuple[int, int]
    batch: int
    device: torch.device
    dtype: torch.dtype

    def work(self, family: Literal["tiny", "kl"]) -> Work:
        """What a call has to do with a VAE of that family."""
        kind = vae_kind(self.architecture, family)
        return _count(self.architecture, kind, self.style, self.size, self.batch)


@cache
def _count(
    architecture: Architecture, kind: str, style: Style, size: tuple[int, int], batch: int
) -> Work:
    # the prompt of a model with a stem says what it computes, so there have to be numbers
    device = torch.device("cpu" if architecture == "bundled" else "meta")
    engine = random_engine(architecture, device, torch.float32, vae=kind)
    return count_work(engine, style, size, batch)


def wants_text_time(architecture: Architecture) -> bool:
    """Whether the UNet takes pooled text and time ids, as SDXL's does."""
    return UNETS[architecture].get("addition_embed_type") == "text_time"


class RandomText:
    """Stands where a `PromptEncoder` does: fixed random embeddings of the right shape."""

    def __init__(self, architecture: Architecture) -> None:
        config = UNETS[architecture]
        generator = torch.Generator().manual_seed(7)
        shape = 1, TOKENS.get(architecture, 77), config["cross_attention_dim"]
        self._embeds = torch.randn(shape, generator=generator)
        self._pooled: Tensor | None = None
        if wants_text_time(architecture):
            width = config["projection_class_embeddings_input_dim"]
            width -= TIME_ID_COUNT * config["addition_time_embed_dim"]
            self._pooled = torch.randn(1, width, generator=generator)

    def encode(self, text: str, *_: object) -> EncodedText:
        return EncodedText(self._embeds, self._pooled, ())


def random_unet(architecture: Architecture, device: torch.device, dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    with device:
        unet = UNet2DConditionModel(**UNETS[architecture])
    return _ready(unet, dtype)


def random_vae(kind: str, device: torch.device, dtype: torch.dtype) -> Any:
    """One of `VAES`: "patch" is the bundled model's, "tiny" TAESD."""
    vae_class, config = VAES[kind]
    torch.manual_seed(1)
    with device:
        vae = vae_class(**config)
        if kind == "patch":
            for name, parameter in vae.named_parameters():
                if name.endswith("conv2.weight"):  # zero in a fresh block
                    torch.nn.init.kaiming_uniform_(parameter, a=5**0.5)
    return _ready(vae, dtype)


def random_stem(device: torch.device, dtype: torch.dtype) -> Any:
    """The bundled model's, asking for some kinds of marks."""
    torch.manual_seed(2)
    with device:
        stem = Stem(marks=KINDS)
    return _ready(stem, dtype)


def vae_kind(architecture: Architecture, family: Literal["tiny", "kl"] = "tiny") -> str:
    """Of that family, as large as suits the model; the bundled one has its own."""
    if architecture == "bundled":
        return "patch"
    return f"small-{family}" if architecture.startswith("tiny") else family


def _ready(module: Any, dtype: torch.dtype) -> Any:
    # not diffusers' own `to`, which warns of layers to keep in float32 where there are none
    return torch.nn.Module.to(module, dtype).eval().requires_grad_(False)


def random_engine(
    architecture: Architecture,
    device: torch.device,
    dtype: torch.dtype,
    *,
    vae: str | None = None,
    style: Style | None = None,
) -> Engine:
    """A plain engine; the same weights every time."""
    networks = make_networks(
        random_unet(architecture, device, dtype),
        random_vae(vae or vae_kind(architecture), device, dtype),
        random_stem(device, dtype) if architecture == "bundled" else None,
    )
    text: Any = RandomText(architecture)
    prediction = "sample" if architecture == "bundled" else "epsilon"
    return Engine(
        networks,
        text,
        ScheduleConfig(prediction_type=prediction),
        name=f"{architecture} (random weights)",
        device=device,
        dtype=dtype,
        default_style=style or Style("oil painting", 0.6, 1),
        native_size=UNETS[architecture]["sample_size"] * 8,
    )
