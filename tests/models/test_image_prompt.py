"""Style pictures: diffusers' own IP-Adapter pipelines, number for number; weights; every path."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LCMScheduler
from miniature import (
    SIZE,
    make_engine,
    make_ip_adapter,
    make_lcm,
    make_sd15,
    make_sdxl,
    make_vision,
    save,
    save_ip_adapter,
)
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessor

from models import Engine, ModelFormatError, Style, StyleImage, load_engine
from models.acceleration.cuda.compile_spec import (
    CompileSpec,
    make_compile_spec,
    make_hollow_parts,
    weights_of,
)
from models.acceleration.cuda.whole_frame import FrameFunction, Recipe
from models.acceleration.rewrites import UNetBody, split
from models.image_encoder import ImageEncoder, prepared
from models.image_prompt import install

TOLERANCE = 1e-4
PROMPT = "oil painting, 1890"


def picture(seed: int, size: tuple[int, int] = (40, 56)) -> np.ndarray:
    """Soft fields of colour, uint8 (H, W, 3)."""
    random = np.random.default_rng(seed)
    fields = Image.fromarray(random.integers(0, 255, (4, 5, 3), np.uint8))
    return np.asarray(fields.resize(size, Image.Resampling.BICUBIC))


IMAGES = (StyleImage(picture(1), "sea", 0.7), StyleImage(picture(2), "ink", 1.3))


def with_adapter(pipeline: Any, *, plus: bool = False) -> Engine:
    """An engine on copies of a pipeline's modules, with an IP-Adapter in its UNet."""
    components = {name: copy.deepcopy(part) for name, part in pipeline.components.items()}
    own = type(pipeline)(**components)
    parts = make_ip_adapter(own.unet, plus=plus)
    install(own.unet, parts["ip_adapter"], "miniature")
    engine = make_engine(own, no_prompt_is_zeros="tokenizer_2" in components)
    engine.image_encoder = ImageEncoder(make_vision(), parts["image_proj"], "miniature")
    return engine


def their_pipeline(pipeline: Any, images: tuple[StyleImage, ...], *, plus: bool) -> Any:
    """The same, as diffusers does it: each picture by an adapter of its own."""
    pipeline.set_progress_bar_config(disable=True)
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    pipeline.register_modules(image_encoder=make_vision(), feature_extractor=processor)
    parts = make_ip_adapter(pipeline.unet, plus=plus)
    pipeline.load_ip_adapter(
        [parts] * len(images),
        subfolder=[""] * len(images),
        weight_name=[""] * len(images),
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )
    pipeline.set_ip_adapter_scale([image.weight for image in images])
    return pipeline


def paint(engine: Engine, style: Style, latents: Tensor) -> Tensor:
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    return engine.denoise(latents, noise, conditioning, engine.schedule(style))


def start_latents() -> Tensor:
    torch.manual_seed(11)
    return torch.randn(1, 4, SIZE[1] // 8, SIZE[0] // 8)


@pytest.mark.parametrize("plus", [False, True], ids=["plain", "plus"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("guidance_scale", [1.0, 1.7])
@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.filterwarnings("ignore")  # of what is deprecated inside of diffusers
def test_latents_equal_the_ip_adapter_pipelines(
    make_pipeline: Callable[[], Any], guidance_scale: float, count: int, plus: bool
) -> None:
    pipeline = make_pipeline()
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config, steps_offset=0)
    engine = with_adapter(pipeline, plus=plus)
    images = IMAGES[:count]
    style = Style(PROMPT, 0.5, 2, guidance_scale=guidance_scale, seed=3, images=images)
    latents = start_latents()
    theirs = their_pipeline(pipeline, images, plus=plus)(
        prompt=style.prompt,
        image=latents,
        strength=style.strength,
        num_inference_steps=4,
        guidance_scale=style.guidance_scale,
        ip_adapter_image=[Image.fromarray(image.data) for image in images],
        generator=torch.Generator().manual_seed(style.seed),
        output_type="latent",
    ).images
    ours = paint(engine, style, latents)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)
    without = paint(engine, replace(style, images=()), latents)
    assert (ours - without).abs().max() > 0.01


@pytest.mark.parametrize("size", [(40, 56), (90, 33), (32, 32), (20, 25)])
def test_a_picture_is_prepared_as_clip_does(size: tuple[int, int]) -> None:
    processor = CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    data = picture(5, size)
    theirs = processor(Image.fromarray(data), return_tensors="pt").pixel_values
    torch.testing.assert_close(prepared(data, 32), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_split_unet_reads_pictures_as_a_whole_one_does(count: int) -> None:
    engine = with_adapter(make_sdxl())
    style = Style(PROMPT, 0.5, 2, seed=3, images=IMAGES[:count])
    latents = start_latents()
    plain = paint(engine, style, latents)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    torch.testing.assert_close(paint(engine, style, latents), plain, rtol=0, atol=TOLERANCE)


def test_another_picture_and_another_weight_are_copied_into_a_captured_frame() -> None:
    engine = with_adapter(make_lcm(guidance_width=None))
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    data = picture(9, SIZE)

    def recipe(style: Style) -> Recipe:
        return Recipe(
            engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)
        )

    style = Style(PROMPT, 0.6, 1, images=IMAGES[:1])
    frame = FrameFunction(engine, (1, SIZE[1], SIZE[0]), recipe(style))
    frame.data.copy_(torch.from_numpy(data.copy())[None])
    places = [tensor.data_ptr() for held in frame._held for tensor in held]
    shown = []
    for change in ({}, {"image_weight": 0.3}, {"images": IMAGES[1:]}, {"image_weight": 0.0}):
        wanted = replace(style, **change)
        frame.adopt(recipe(wanted))
        frame.run()
        shown.append(frame.output[0].clone())
        painted = engine.paint(data, *_given(engine, wanted))
        assert np.abs(painted.astype(int) - shown[-1].numpy()).max() <= 1
    assert [tensor.data_ptr() for held in frame._held for tensor in held] == places
    assert not any(torch.equal(shown[0], other) for other in shown[1:])
    with pytest.raises(ValueError, match="expected"):
        frame.adopt(recipe(replace(style, images=IMAGES)))


def test_what_a_compiler_is_told_of_reads_pictures_too() -> None:
    engine = with_adapter(make_lcm(guidance_width=None))
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    style = Style(PROMPT, 0.6, 1, images=IMAGES[:1])
    frame = FrameFunction(engine, (1, SIZE[1], SIZE[0]), Recipe(*_given(engine, style)))
    spec = make_compile_spec(engine, frame)
    hollow = make_hollow_parts(CompileSpec.from_json(spec.to_json()))
    body = frame.parts.body
    assert isinstance(hollow.body, UNetBody)
    assert isinstance(body, UNetBody)
    assert list(weights_of(hollow.body)) == list(weights_of(body))
    assert len(hollow.body._held) == len(body._held) == len(spec.held)


def _given(engine: Engine, style: Style) -> tuple[Any, ...]:
    return engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)


def test_a_weight_of_zero_is_no_picture() -> None:
    engine = with_adapter(make_sd15())
    style = Style(PROMPT, 0.5, 2, images=IMAGES, image_weight=0.0)
    latents = start_latents()
    without = paint(engine, replace(style, images=()), latents)
    torch.testing.assert_close(paint(engine, style, latents), without, rtol=0, atol=1e-6)


def test_a_picture_is_encoded_once() -> None:
    engine = with_adapter(make_sd15())
    assert engine.image_encoder is not None
    calls = []
    engine.image_encoder._vision.register_forward_hook(lambda *_: calls.append(1))
    for weight in (1.0, 0.5, 0.2):
        engine.encode_prompt(Style(PROMPT, images=IMAGES, image_weight=weight))
    assert len(calls) == 2


def test_a_mixture_names_its_pictures() -> None:
    style = Style(images=IMAGES, image_weight=0.5, image_mix="ink:3 | sea:1")
    assert style.image_weights == (0.125, 0.375)
    assert replace(style, image_mix="").image_weights == (0.35, 0.65)
    assert replace(style, image_mix="sea").image_weights == (0.5, 0.0)
    with pytest.raises(ValueError, match="got image_mix='fog', expected names of sea, ink"):
        Style(images=IMAGES, image_mix="fog")
    assert Style(image_mix="fog").image_weights == ()
    with pytest.raises(ValueError, match="each name once"):
        Style(images=(IMAGES[0], IMAGES[0]))
    with pytest.raises(ValueError, match="got weight 3 of sea"):
        StyleImage(picture(1), "sea", 3)
    with pytest.raises(ValueError, match=r"got image_weight=2\.5"):
        Style(image_weight=2.5)


def test_pictures_are_equal_by_what_they_show() -> None:
    again = StyleImage(picture(1), "sea", 0.7)
    assert again == IMAGES[0]
    assert hash(again) == hash(IMAGES[0])
    assert StyleImage(picture(3), "sea", 0.7) != again


# Loading


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("acceleration", ["off", "eager", "auto"])
def test_an_engine_is_loaded_with_an_adapter(tmp_path: Path, acceleration: Any, plus: bool) -> None:
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    adapter = save_ip_adapter(tmp_path / "adapter", pipeline.unet, plus=plus)
    engine = load_engine(
        model,
        device="cpu",
        image_adapter=adapter,
        acceleration=acceleration,
        dtype=torch.float32 if acceleration != "auto" else None,
    )
    style = Style(PROMPT, 0.6, 1, images=IMAGES)
    data = picture(9, SIZE)
    painted = engine.paint(data, *_given(engine, style))
    without = engine.paint(data, *_given(engine, replace(style, images=())))
    assert not np.array_equal(painted, without)
    digest = engine.computation.digest_weights()
    alone = load_engine(model, device="cpu", acceleration="off")
    assert digest != alone.computation.digest_weights()
    with pytest.raises(ValueError, match="it has no image encoder"):
        alone.encode_prompt(style)


def test_what_cannot_read_pictures_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="bundled model takes no style picture"):
        load_engine("bundled", image_adapter=True)
    pipeline = make_lcm(guidance_width=None)
    model = save(pipeline, tmp_path / "model")
    with pytest.raises(ModelFormatError, match=r"IP-Adapters are known for SD 1\.5 and SDXL"):
        load_engine(model, device="cpu", image_adapter=True)
    other = save_ip_adapter(tmp_path / "adapter", make_sdxl().unet)
    with pytest.raises(ModelFormatError, match="made for another UNet"):
        load_engine(model, device="cpu", image_adapter=other)
    parts = make_ip_adapter(pipeline.unet)["image_proj"]
    with pytest.raises(ModelFormatError, match="take the encoder that it was made with"):
        ImageEncoder(make_vision(projection=8), parts, "miniature")
    with pytest.raises(ModelFormatError, match="of a kind that is not served"):
        ImageEncoder(make_vision(), {"norm.weight": torch.ones(3)}, "faces")
