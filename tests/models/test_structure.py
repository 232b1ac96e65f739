"""Structure networks: diffusers' own pipelines, number for number; hints; weights; every path."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import (
    LCMScheduler,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionXLAdapterPipeline,
    StableDiffusionXLControlNetImg2ImgPipeline,
    T2IAdapter,
)
from miniature import make_controlnet, make_engine, make_lcm, make_sd15, make_sdxl, make_unet, save
from torch import Tensor

from models import Engine, ModelFormatError, Style, load_engine
from models.acceleration.cuda.whole_frame import FrameFunction, Recipe
from models.acceleration.rewrites import split
from models.schedule import add_noise
from models.structure import Structure, StructurePart
from models.structure_hints import HINTS, LUMA, canny, lineart, tile
from models.weights.structures import parse_structure

TOLERANCE = 1e-4
PROMPT = "oil painting, 1890"
SIZE = (64, 64)


def picture(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Fields of colour with edges between them, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    fields = random.integers(0, 255, (6, 6, 3), np.uint8)
    data = cv2.resize(fields, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.GaussianBlur(data, (0, 0), 0.8), np.uint8)


def as_image(data: np.ndarray) -> Tensor:
    return torch.from_numpy(data.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


DATA = picture(4)
IMAGE = as_image(DATA)


def make_adapter(seed: int = 9, **options: Any) -> T2IAdapter:
    torch.manual_seed(seed)
    return T2IAdapter(**{"channels": [8, 16], "num_res_blocks": 1, **options}).eval()


def crossing_first(pipeline: Any) -> Any:
    """A pipeline whose first block has the cross-attention, as SD 1.5 has it."""
    pipeline.unet = make_unet(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return pipeline


def three_blocks(pipeline: Any) -> Any:
    """An SDXL pipeline with as many blocks as SDXL."""
    config = dict(pipeline.unet.config)
    names = ("cross_attention_dim", "addition_embed_type", "addition_time_embed_dim",
             "projection_class_embeddings_input_dim", "use_linear_projection")  # fmt: skip
    pipeline.unet = make_unet(
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 2),
        **{name: config[name] for name in names},
    )
    return pipeline


def with_structure(pipeline: Any, *parts: StructurePart, **changes: Any) -> Engine:
    """An engine on copies of a pipeline's modules, held by networks."""
    components = {name: copy.deepcopy(part) for name, part in pipeline.components.items()}
    engine = make_engine(type(pipeline)(**components), **changes)
    engine.structure = Structure(parts)
    return engine


def paint(engine: Engine, style: Style, latents: Tensor) -> Tensor:
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    features = engine.features(IMAGE, noise, conditioning)
    return engine.denoise(latents, noise, conditioning, engine.schedule(style), features=features)


def start_latents() -> Tensor:
    torch.manual_seed(11)
    return torch.randn(1, 4, SIZE[1] // 8, SIZE[0] // 8)


def lcm(pipeline: Any) -> Any:
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config, steps_offset=0)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


CONTROLNETS = {
    make_sd15: StableDiffusionControlNetImg2ImgPipeline,
    make_sdxl: StableDiffusionXLControlNetImg2ImgPipeline,
}


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("guidance_scale", [1.0, 1.7])
@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.filterwarnings("ignore")  # of what is deprecated inside of diffusers
def test_latents_equal_the_controlnet_pipelines(
    make_pipeline: Callable[[], Any], guidance_scale: float, count: int
) -> None:
    pipeline = lcm(make_pipeline())
    kinds, weights = ["canny", "tile"][:count], [0.8, 0.5][:count]
    networks = [make_controlnet(pipeline.unet, seed) for seed in range(count)]
    parts = [
        StructurePart(kind, network, weight)
        for kind, network, weight in zip(kinds, networks, weights, strict=True)
    ]
    is_sdxl = make_pipeline is make_sdxl
    engine = with_structure(pipeline, *parts, no_prompt_is_zeros=is_sdxl)
    style = Style(PROMPT, 0.5, 2, guidance_scale=guidance_scale, seed=3)
    latents = start_latents()
    components = {k: v for k, v in pipeline.components.items() if k != "image_encoder"}
    extra = {} if is_sdxl else {"requires_safety_checker": False}
    theirs = CONTROLNETS[make_pipeline](**components, controlnet=networks, **extra)
    theirs.set_progress_bar_config(disable=True)
    expected = theirs(
        prompt=style.prompt,
        image=latents,
        control_image=[HINTS[kind](IMAGE) for kind in kinds],
        controlnet_conditioning_scale=weights,
        strength=style.strength,
        num_inference_steps=4,
        guidance_scale=style.guidance_scale,
        generator=torch.Generator().manual_seed(style.seed),
        output_type="latent",
    ).images
    ours = paint(engine, style, latents)
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE)
    engine.structure = None
    assert (ours - paint(engine, style, latents)).abs().max() > 0.01


ADAPTERS = {
    make_sd15: (StableDiffusionAdapterPipeline, crossing_first, {}),
    make_sdxl: (
        StableDiffusionXLAdapterPipeline,
        three_blocks,
        {"channels": [8, 16, 16, 16], "downscale_factor": 16, "adapter_type": "full_adapter_xl"},
    ),
}


@pytest.mark.parametrize("guidance_scale", [1.0, 1.7])
@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.filterwarnings("ignore")
def test_latents_equal_the_adapter_pipelines(
    make_pipeline: Callable[[], Any], guidance_scale: float
) -> None:
    """They have no img2img: theirs begins with the noised latents that ours makes, in one step."""
    kind, prepare, options = ADAPTERS[make_pipeline]
    pipeline = lcm(prepare(make_pipeline()))
    adapter = make_adapter(**options)
    is_sdxl = make_pipeline is make_sdxl
    engine = with_structure(
        pipeline, StructurePart("lineart", adapter, 0.7), no_prompt_is_zeros=is_sdxl
    )
    style = Style(PROMPT, 1.0, 1, guidance_scale=guidance_scale, seed=3)
    latents = start_latents()
    noised = add_noise(latents, engine.noise(style, SIZE)[0], engine.schedule(style).steps[0])
    extra = {} if is_sdxl else {"requires_safety_checker": False}
    components = {k: v for k, v in pipeline.components.items() if is_sdxl or k != "image_encoder"}
    theirs = kind(**components, adapter=adapter, **extra)
    theirs.set_progress_bar_config(disable=True)
    expected = theirs(
        prompt=style.prompt,
        image=lineart(IMAGE),
        adapter_conditioning_scale=0.7,
        height=SIZE[1],
        width=SIZE[0],
        latents=noised,
        num_inference_steps=1,
        guidance_scale=style.guidance_scale,
        output_type="latent",
    ).images
    ours = paint(engine, style, latents)
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE)
    engine.structure = None
    assert (ours - paint(engine, style, latents)).abs().max() > 0.01


def both(prepare: Callable[[Any], Any], pipeline: Any, **options: Any) -> Engine:
    """An engine with an adapter and a ControlNet, on a whole UNet."""
    pipeline = prepare(pipeline)
    adapter = StructurePart("lineart", make_adapter(**options), 0.7)
    control = StructurePart("canny", make_controlnet(pipeline.unet), 0.4)
    return with_structure(pipeline, adapter, control)


@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.filterwarnings("ignore")
def test_a_split_unet_takes_residuals_as_a_whole_one_does(make_pipeline: Any) -> None:
    _, prepare, options = ADAPTERS[make_pipeline]
    engine = both(prepare, make_pipeline(), **options)
    style = Style(PROMPT, 0.5, 2, seed=3)
    latents = start_latents()
    plain = paint(engine, style, latents)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    torch.testing.assert_close(paint(engine, style, latents), plain, rtol=0, atol=TOLERANCE)


@pytest.mark.filterwarnings("ignore")
def test_another_weight_and_prompt_are_copied_into_a_captured_frame() -> None:
    engine = both(crossing_first, make_lcm(guidance_width=None))
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))

    def given(style: Style) -> tuple[Any, ...]:
        return engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)

    style = Style(PROMPT, 0.6, 2)
    frame = FrameFunction(engine, (1, SIZE[1], SIZE[0]), Recipe(*given(style)))
    frame.data.copy_(torch.from_numpy(DATA.copy())[None])
    places = [tensor.data_ptr() for tensor in frame._told]
    shown = []
    for change in ({}, {"structure_weight": 0.2}, {"prompt": "ink"}, {"strength": 0.9}):
        wanted = replace(style, **change)
        frame.adopt(Recipe(*given(wanted)))
        frame.run()
        shown.append(frame.output[0].clone())
        painted = engine.paint(DATA, *given(wanted))
        assert np.abs(painted.astype(int) - shown[-1].numpy()).max() <= 1
    assert [tensor.data_ptr() for tensor in frame._told] == places
    assert not any(torch.equal(shown[0], other) for other in shown[1:])


@pytest.mark.filterwarnings("ignore")
def test_a_weight_of_zero_is_no_network() -> None:
    engine = both(crossing_first, make_sd15())
    style = Style(PROMPT, 0.5, 2, structure_weight=0.0)
    latents = start_latents()
    held = paint(engine, style, latents)
    engine.structure = None
    torch.testing.assert_close(held, paint(engine, style, latents), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"got structure_weight=2\.5"):
        replace(style, structure_weight=2.5)


# Hints


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_canny_is_opencvs(seed: int) -> None:
    data = picture(seed, (160, 120))
    grey = np.round(data @ np.array(LUMA)).astype(np.uint8)
    theirs = cv2.Canny(grey, 100, 200) > 0
    ours = canny(as_image(data))[0, 0].numpy() > 0
    assert theirs.sum() > 500
    agreeing = 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())
    assert agreeing > 0.98


def test_a_dark_line_is_a_white_one_and_a_plane_is_black() -> None:
    data = np.full((64, 64, 3), 200, np.uint8)
    data[:, 31:33] = 60
    lines = lineart(as_image(data))[0, 0]
    assert lines[32, 31:33].min() > 0.9
    assert lines[:, :20].max() < 0.01
    assert torch.equal(tile(IMAGE), (IMAGE + 1) / 2)


# Names and loading


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ("canny", ("canny", "", 1.0)),
        ("tile:0.5", ("tile", "", 0.5)),
        ("lineart=owner/name:0.7", ("lineart", "owner/name", 0.7)),
        ("canny=C:/nets/canny", ("canny", "C:/nets/canny", 1.0)),
    ],
)
def test_a_structure_is_named_with_its_source_and_weight(
    spec: str, asked: tuple[str, str, float]
) -> None:
    assert parse_structure(spec) == asked


@pytest.mark.parametrize(
    ("spec", "words"),
    [("pose", "expected canny, lineart, tile"), ("canny:-1", "0 or more"), ("canny:nan", "0 or")],
)
def test_what_is_no_structure_is_said(spec: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_structure(spec)


@pytest.mark.parametrize("acceleration", ["off", "auto"])
@pytest.mark.filterwarnings("ignore")
def test_an_engine_is_loaded_with_its_networks(tmp_path: Path, acceleration: Any) -> None:
    pipeline = crossing_first(make_lcm(guidance_width=None))
    model = save(pipeline, tmp_path / "model")
    make_controlnet(pipeline.unet).save_pretrained(tmp_path / "control")
    make_adapter().save_pretrained(tmp_path / "adapter")
    specs = [f"canny={tmp_path / 'control'}:0.5", f"lineart={tmp_path / 'adapter'}"]
    engine = load_engine(model, device="cpu", acceleration=acceleration, structures=specs)
    assert engine.structure is not None
    assert [(part.kind, part.is_adapter) for part in engine.structure.parts] == [
        ("canny", False),
        ("lineart", True),
    ]
    style = Style(PROMPT, 0.6, 1)
    given = engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)
    held = engine.paint(DATA, *given)
    alone = load_engine(model, device="cpu", acceleration=acceleration)
    given = alone.noise(style, SIZE), alone.encode_prompt(style), alone.schedule(style)
    assert not np.array_equal(held, alone.paint(DATA, *given))
    digests = [each.computation.digest_weights() for each in (engine, alone)]
    assert digests[0] != digests[1]


def test_what_cannot_be_held_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="bundled model takes no structure network"):
        load_engine("bundled", structures=["canny"])
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    with pytest.raises(ModelFormatError, match="no network for canny that is known"):
        load_engine(model, device="cpu", structures=["canny"])
    make_controlnet(make_sdxl().unet).save_pretrained(tmp_path / "control")
    with pytest.raises(ModelFormatError, match="made for another UNet"):
        load_engine(model, device="cpu", structures=[f"canny={tmp_path / 'control'}"])
    with pytest.raises(ModelFormatError, match="is of class UNet2DConditionModel"):
        load_engine(model, device="cpu", structures=[f"canny={tmp_path / 'model' / 'unet'}"])
