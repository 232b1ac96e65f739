"""Accelerates an engine on a CPU: by OpenVINO where it is installed, else within torch.

    auto ──► OpenVINO (bf16 where the CPU has it) ──not installed, or fails──► torch, channels_last
                   │                                    (bf16 where the CPU multiplies it, else f32)
                   └── convolutions in 8-bit integers, where the model was measured for that and a
                       trial shows that it is quicker here and keeps the picture

Both change the engine's three network calls and nothing else. torch's thread count is set for the
whole process: OpenVINO has threads of its own, and torch is left with small operations.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from models.acceleration.cpu.openvino import (
    OpenVinoCall,
    Precision,
    best_precision,
    openvino_note,
    openvino_path,
)
from models.acceleration.cpu.openvino_exit import exit_of
from models.acceleration.cpu.openvino_planes import OpenVinoPlanes
from models.acceleration.cpu.quantization import Ranges
from models.acceleration.cpu.threads import physical_cores, quickest_threads, told
from models.acceleration.rewrites import (
    Conditions,
    UNetBody,
    UnsupportedUNetError,
    split,
)
from models.acceleration.speed_trial import is_better
from models.acceleration.split_predictor import SplitPredictor
from models.carried_noise import StemConditions, StemFeatures, StemNetworks
from models.engine import Engine
from models.errors import ModelError, in_short
from models.fields import PLANES
from models.networks import TIME_ID_COUNT, LatentDecoder, LatentEncoder, Predictor, make_networks
from models.recipe import Recipe

EXAMPLE_TIMESTEP = 499
EXAMPLE_TOKENS = 16

QUANTIZED_PSNR_DB = 35.0
"""What a picture must keep where convolutions are computed in 8 bits."""


def accelerate_cpu(engine: Engine, recipe: Recipe | None = None) -> None:
    """Put the fastest path that works here into an engine of float32 modules, and note which.

    Args:
        engine: Of plain networks.
        recipe: By which it is to compute, as far as this machine can.
    """
    threads = None if recipe is None else recipe.threads or None
    try:
        use_openvino(
            engine, threads=threads, quantize=None if recipe is None else recipe.is_quantized
        )
    except ImportError as err:
        use_eager(engine, threads=threads)
        engine.note(f"{err} (it would be faster)", logging.INFO)
    except (RuntimeError, UnsupportedUNetError) as err:
        engine.note(f"OpenVINO cannot run this model: {in_short(err)}")
        use_eager(engine, threads=threads)


def use_openvino(
    engine: Engine,
    precision: Precision | None = None,
    *,
    threads: int | None = None,
    quantize: bool | None = None,
) -> bool:
    """Run the engine's float32 modules through OpenVINO; whether in 8-bit integers in part.

    Args:
        engine: Of plain networks.
        precision: What all of it is computed in; ``None`` is what is fastest here, which may be
            8-bit integers in part.
        threads: That share a frame; ``None`` is one a core.
        quantize: Whether 8-bit integers are taken without a trial; ``None`` tries.

    Raises:
        ImportError: openvino is not installed.
        RuntimeError: It cannot convert a module.
        UnsupportedUNetError: The UNet has parts that the rewrites do not know.
    """
    if engine.image_encoder is not None or engine.structure is not None:
        raise UnsupportedUNetError("style pictures and structure networks are torch's")
    if engine.loras is not None:
        raise UnsupportedUNetError("LoRAs that can be switched are torch's")
    threads = threads or physical_cores()
    may_quantize = precision is None and bool(engine.activation_ranges) and quantize is not False
    precision = precision or best_precision()
    encoder, predictor, decoder = _modules(engine)
    unet = predictor.unet

    def call(module: nn.Module, *example_inputs: Tensor) -> OpenVinoCall:
        return OpenVinoCall(
            module, example_inputs, precision=precision, threads=threads, on_failure=engine.note
        )

    side = engine.size_multiple
    image = torch.zeros(1, 3, side, side)
    latents = torch.zeros(1, *engine.latent_shape((side, side)))
    seen = torch.zeros(1, unet.config.in_channels, *latents.shape[2:])
    conditions = Conditions(unet)
    held = conditions(**example_conditions(unet))
    decode = call(decoder, latents)
    engine.networks = replace(
        engine.networks,
        encode=call(encoder, image),
        predict=SplitPredictor(conditions, call(UNetBody(unet), seen, *held)),
        decode=decode,
        exit=exit_of(decode),
        stem=_openvino_stem(engine, call, image, precision, threads),
    )
    torch.set_num_threads(1)
    is_quantized = may_quantize and _quantize(engine, is_tried=quantize is None)
    engine.computation.path = openvino_path(precision, is_quantized=is_quantized)
    engine.computation.threads = threads
    engine.note(openvino_note(precision, threads, is_quantized=is_quantized), logging.INFO)
    return is_quantized


def _openvino_stem(
    engine: Engine,
    call: Callable[..., OpenVinoCall],
    image: Tensor,
    precision: Precision,
    threads: int,
) -> StemNetworks | None:
    stem = engine.networks.stem
    if stem is None:
        return None
    conditions = stem.conditions
    assert isinstance(conditions, StemConditions)
    style, _ = conditions(torch.zeros(1, EXAMPLE_TOKENS, conditions.text_width))
    planes = torch.zeros(1, PLANES, image.shape[2] // 2, image.shape[3] // 2)
    return replace(
        stem,
        features=call(stem.features, image, planes, style),
        planes_of=OpenVinoPlanes(threads, engine.note),
    )


def _quantize(engine: Engine, *, is_tried: bool) -> bool:
    """Have the convolutions in 8 bits if that is better; whether it is.

    Whatever goes wrong, the engine is left as it was.
    """
    networks: Any = engine.networks
    ranges, predict, notes = engine.activation_ranges, networks.predict, list(engine.notes)
    try:
        decode = networks.decode.quantized(ranges)
        quick = replace(
            networks,
            encode=networks.encode.quantized(ranges),
            predict=SplitPredictor(predict.conditions, predict.body.quantized(ranges)),
            decode=decode,
            exit=exit_of(decode),
            stem=_quantized_stem(networks.stem, ranges),
        )
        is_taken = not is_tried or is_better(engine, quick, QUANTIZED_PSNR_DB)
    except (ValueError, RuntimeError, ModelError) as err:
        engine.note(f"its convolutions are not computed in 8-bit integers: {in_short(err)}")
        return False
    if engine.notes != notes:  # a part of it was refused and ran on torch
        engine.notes = notes
        return False
    if is_taken:
        engine.networks = quick
    return is_taken


def _quantized_stem(stem: Any, ranges: Ranges) -> StemNetworks | None:
    return None if stem is None else replace(stem, features=stem.features.quantized(ranges))


def use_eager(
    engine: Engine, dtype: torch.dtype | None = None, *, threads: int | None = None
) -> None:
    """Run the engine's modules in torch, channels_last, in `dtype`; ``None`` is what is fastest."""
    dtype = dtype or best_dtype()
    threads = threads or quickest_threads(physical_cores())
    encoder, predictor, _ = _modules(engine)
    unet, vae, stem = predictor.unet, encoder.vae, _stem(engine)
    # not diffusers' own, which warns of layers to keep in float32 where there are none
    convert: Any = nn.Module.to
    for module in (unet, vae) if stem is None else (unet, vae, stem):
        convert(module, dtype=dtype, memory_format=torch.channels_last)
    if engine.structure is not None:
        engine.structure.to(dtype)
    engine.dtype = dtype
    engine.networks = make_networks(unet, vae, stem)
    try:
        engine.networks = replace(engine.networks, predict=split(Predictor(unet)))
    except UnsupportedUNetError as err:
        engine.note(f"the UNet is not rewritten: {err}")
    torch.set_num_threads(threads)
    name = str(dtype).removeprefix("torch.")
    engine.computation.path = f"torch, channels_last, {name}"
    engine.computation.threads = threads
    engine.note(f"runs on torch in {name}, channels_last, {told(threads)}", logging.INFO)


def _stem(engine: Engine) -> Any:
    """The stem's module, ``None`` for a model without one."""
    stem = engine.networks.stem
    if stem is None:
        return None
    assert isinstance(stem.features, StemFeatures)
    return stem.features.stem


def best_dtype() -> torch.dtype:
    """bfloat16 where the CPU multiplies it, else float32."""
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def _modules(engine: Engine) -> tuple[LatentEncoder, Predictor, LatentDecoder]:
    networks = engine.networks
    assert isinstance(networks.encode, LatentEncoder)
    assert isinstance(networks.predict, Predictor)
    assert isinstance(networks.decode, LatentDecoder)
    return networks.encode, networks.predict, networks.decode


def example_conditions(unet: Any, tokens: int = EXAMPLE_TOKENS) -> dict[str, Any]:
    """Inputs of `Conditions` of the right shapes, zeros."""
    config = unet.config
    prompt_embeds = torch.zeros(1, tokens, _width(config.cross_attention_dim))
    timestep_cond, added = None, None
    if config.time_cond_proj_dim is not None:
        timestep_cond = torch.zeros(1, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim
        pooled -= TIME_ID_COUNT * config.addition_time_embed_dim
        added = {"text_embeds": torch.zeros(1, pooled), "time_ids": torch.zeros(1, TIME_ID_COUNT)}
    timestep = torch.tensor([EXAMPLE_TIMESTEP])
    return {
        "timestep": timestep,
        "prompt_embeds": prompt_embeds,
        "timestep_cond": timestep_cond,
        "added": added,
    }


def _width(cross_attention_dim: int | tuple[int, ...] | list[int]) -> int:
    return cross_attention_dim if isinstance(cross_attention_dim, int) else cross_attention_dim[0]
