"""Our plain path equals diffusers' own pipelines, number for number, in float32, for ever.

The pipelines draw their noise from a generator, one tensor per step: with the same seed that is
`Engine.noise`. They sample the posterior, so they are given latents; `encode` is held to the
posterior's mode in test_engine.py.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LatentConsistencyModelImg2ImgPipeline,
    LCMScheduler,
    UNet2DConditionModel,
)
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sd15,
    make_sdxl,
    save_bundled_like,
)
from torch import Tensor

from models import Engine, Style, load_engine
from models.autoencoder import AutoencoderPatch
from models.fields import KINDS, CarriedFields, noise_plane
from models.presets import BUNDLED_FOLDER
from models.schedule import ScheduleConfig
from models.stem import Stem

TOLERANCE = 1e-4
PROMPT = "oil painting, 1890"


class _NoEmbedding:
    def to(self, **_: Any) -> None:
        return None


class _PipelineWithoutGuidance(LatentConsistencyModelImg2ImgPipeline):
    """diffusers' pipeline insists on a w embedding; this one gives none, as for LCM-LoRA."""

    def get_guidance_scale_embedding(self, *_: Any, **__: Any) -> _NoEmbedding:
        return _NoEmbedding()


def paint(engine: Engine, style: Style, latents: Tensor, image: Tensor | None = None) -> Tensor:
    """`image`: the frame itself, for a model with a stem."""
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    features = None if image is None else engine.features(image, noise, conditioning)
    return engine.denoise(latents, noise, conditioning, engine.schedule(style), features=features)


def their_latents(pipeline: Any, style: Style, latents: Tensor, steps: int, **asked: Any) -> Tensor:
    """What an img2img pipeline of diffusers makes of latents when it is asked for so many steps."""
    found: Tensor = pipeline(
        prompt=style.prompt,
        image=latents,
        strength=style.strength,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(style.seed),
        output_type="latent",
        **asked,
    ).images
    return found


def start_latents(channels: int = 4) -> Tensor:
    return torch.randn(1, channels, SIZE[1] // 8, SIZE[0] // 8)


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.abs().max() > 0.1  # a picture, not zeros
    torch.testing.assert_close(ours, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("guided", [True, False], ids=["w-embedding", "no-embedding"])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 4])
def test_latents_and_image_equal_the_lcm_pipeline(
    num_inference_steps: int, strength: float, guided: bool
) -> None:
    pipeline = make_lcm(guidance_width=8 if guided else None)
    if not guided:
        pipeline = _PipelineWithoutGuidance(**pipeline.components, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
    scale = 8.0 if guided else 1.0
    style = Style(PROMPT, strength, num_inference_steps, guidance_scale=scale, seed=7)
    latents = start_latents()
    theirs = their_latents(
        pipeline, style, latents, style.num_inference_steps, guidance_scale=style.guidance_scale
    )
    engine = make_engine(pipeline)
    ours = paint(engine, style, latents)
    assert_close(ours, theirs)
    with torch.no_grad():
        their_image = pipeline.vae.decode(theirs / pipeline.vae.config.scaling_factor).sample
    assert_close(engine.decode(ours), their_image)


@pytest.mark.parametrize("prediction_type", ["v_prediction", "sample"])
@pytest.mark.parametrize("vae", ["kl", "tiny"])
def test_other_predictions_and_tiny_vae_equal_the_lcm_pipeline(
    prediction_type: str, vae: Any
) -> None:
    pipeline = make_lcm(prediction_type=prediction_type, vae=vae)
    style = Style(PROMPT, 0.6, 2, guidance_scale=3.0, seed=1)
    latents = start_latents()
    theirs = pipeline(
        prompt=style.prompt,
        image=latents,
        strength=style.strength,
        num_inference_steps=style.num_inference_steps,
        guidance_scale=style.guidance_scale,
        generator=torch.Generator().manual_seed(style.seed),
        output_type="pt",
    ).images
    engine = make_engine(pipeline)
    image = engine.decode(paint(engine, style, latents))
    torch.testing.assert_close((image / 2 + 0.5).clamp(0, 1), theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("num_inference_steps", "strength", "their_steps"), [(1, 0.5, 2), (1, 1.0, 1), (2, 0.5, 4)]
)
def test_latents_equal_the_sdxl_pipeline(
    num_inference_steps: int, strength: float, their_steps: int
) -> None:
    # SDXL's pipeline cuts its timesteps by strength after picking them: n / strength gives ours n
    pipeline = make_sdxl()
    style = Style(PROMPT, strength, num_inference_steps, seed=3)
    latents = start_latents()
    theirs = their_latents(pipeline, style, latents, their_steps, guidance_scale=1.0)
    assert_close(paint(make_engine(pipeline), style, latents), theirs)


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.parametrize(
    ("num_inference_steps", "strength", "their_steps"), [(1, 0.5, 2), (1, 1.0, 1), (2, 0.5, 4)]
)
def test_guidance_of_an_lcm_lora_equals_the_img2img_pipelines(
    num_inference_steps: int, strength: float, their_steps: int,
    make_pipeline: Callable[[], Any], zeros: bool,
) -> None:  # fmt: skip
    pipeline = make_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config, steps_offset=0)
    is_sdxl = make_pipeline is make_sdxl
    if is_sdxl:
        pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
    style = Style(PROMPT, strength, num_inference_steps, guidance_scale=1.7, seed=3)
    latents = start_latents()
    theirs = their_latents(
        pipeline, style, latents, their_steps, guidance_scale=style.guidance_scale
    )
    engine = make_engine(pipeline, no_prompt_is_zeros=is_sdxl and zeros)
    ours = paint(engine, style, latents)
    assert_close(ours, theirs)
    assert not torch.allclose(ours, paint(engine, replace(style, guidance_scale=1.0), latents))
    assert not any("ignored" in note for note in engine.notes)


@pytest.mark.parametrize("make_pipeline", [make_sd15, make_sdxl])
@pytest.mark.parametrize(("steps", "asked"), [(1, 1), (1, 2), (2, 2), (2, 4)])
@pytest.mark.parametrize(
    "scheduler_class", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler]
)
@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_turbo_models_equal_the_img2img_pipelines(
    scheduler_class: Any, steps: int, asked: int, make_pipeline: Callable[[], Any]
) -> None:
    # the pipelines run int(asked * strength) of the steps asked for; ours are those that run
    pipeline = make_pipeline()
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler_class.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing"
    )
    style = Style(PROMPT, steps / asked, steps, seed=3)
    latents = start_latents()
    theirs = their_latents(pipeline, style, latents, asked, guidance_scale=0.0)
    config = {"_class_name": scheduler_class.__name__, **pipeline.scheduler.config}
    engine = make_engine(pipeline)
    engine.schedule_config = ScheduleConfig.from_config(config)
    assert_close(paint(engine, style, latents), theirs)


def reference(
    unet: Any,
    scheduler: LCMScheduler,
    engine: Engine,
    style: Style,
    z: Tensor,
    share: float = 0.0,
    features: list[Tensor] | None = None,
    *,
    adds_frame: bool = False,
) -> Tensor:
    """The loop of the LCM pipeline on diffusers' own scheduler, for a UNet that sees the frame, and
    in it from the second step on a share of what the first one painted.

    Args:
        features: Of a stem, which the UNet sees in every step.
        adds_frame: Whether the UNet predicts what is to be added to the frame.
    """
    conditioning = engine.encode_prompt(style)
    timestep_cond = engine.timestep_cond(conditioning, engine.schedule(style))
    generator = torch.Generator().manual_seed(style.seed)
    scheduler.set_timesteps(style.num_inference_steps, strength=style.strength)
    noise = torch.randn(z.shape, generator=generator)
    z_t = scheduler.add_noise(z, noise, scheduler.timesteps[:1])
    frame = z
    for index, timestep in enumerate(scheduler.timesteps):
        with torch.no_grad():
            seen = torch.cat([z_t, frame, *(features or [])], dim=1)
            prediction = unet(
                seen, timestep, conditioning.prompt_embeds, timestep_cond=timestep_cond
            ).sample
        if adds_frame:
            prediction = prediction + frame
        z_t, denoised = scheduler.step(
            prediction, timestep, z_t, generator=generator, return_dict=False
        )
        if index == 0:
            frame = (1 - share) * z + share * denoised
    return denoised


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 4])
def test_unet_that_sees_the_frame_equals_diffusers_scheduler(
    num_inference_steps: int, strength: float
) -> None:
    pipeline = make_instruct_pix2pix()
    engine = make_engine(pipeline)
    style = Style(PROMPT, strength, num_inference_steps, seed=2)
    latents = start_latents()
    scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    theirs = reference(pipeline.unet, scheduler, engine, style, latents)
    assert_close(paint(engine, style, latents), theirs)


def their_features(folder: Path, engine: Engine, style: Style, image: Tensor) -> list[Tensor]:
    """What the stem in a folder, if there is one, makes of the image and its carried noise."""
    if not (folder / "stem").is_dir():
        return []
    stem = Stem.from_pretrained(folder, subfolder="stem").float().eval()
    states = engine.encode_prompt(style).prompt_embeds
    with torch.no_grad():
        weights = stem.marks(states)
        wanted = [index for index in range(len(KINDS)) if weights[0, index] > 0]
        fields = CarriedFields([KINDS[index] for index in wanted])
        noise = noise_plane(engine.noise(style, SIZE)[:1, :16])
        return [stem(image, fields(image, noise, weights[:, wanted]), stem.style(states))]


def bundled_like(tmp_path: Path) -> Path:
    return Path(save_bundled_like(tmp_path))


def with_stem(tmp_path: Path) -> Path:
    return Path(save_bundled_like(tmp_path, stem=True))


def bundled(tmp_path: Path) -> Path:
    if not (BUNDLED_FOLDER / "model_index.json").is_file():
        pytest.skip("the bundled model is not made yet")
    return BUNDLED_FOLDER


@pytest.mark.parametrize("make_folder", [bundled_like, with_stem, bundled])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 4])
def test_bundled_model_equals_diffusers_parts(
    num_inference_steps: int, strength: float, make_folder: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = make_folder(tmp_path)
    engine = load_engine(str(folder), device="cpu", dtype=torch.float32)
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet").float().eval()
    vae = AutoencoderPatch.from_pretrained(folder, subfolder="vae").float().eval()
    scheduler = LCMScheduler.from_pretrained(folder, subfolder="scheduler")
    share = LCMScheduler.load_config(folder, subfolder="scheduler").get("self_conditioning", 0.0)
    style = Style(PROMPT, strength, num_inference_steps, seed=2)
    image = torch.rand(1, 3, SIZE[1], SIZE[0]) * 2 - 1
    shift, scale = vae.config.shift_factor, vae.config.scaling_factor
    with torch.no_grad():
        latents = (vae.encode(image).latents - shift) * scale
        features = their_features(folder, engine, style, image)
        adds = bool(features) and Stem.load_config(folder, subfolder="stem")["adds_frame"]
        theirs = reference(
            unet, scheduler, engine, style, latents, share, features, adds_frame=adds
        )
        their_image = vae.decode(theirs / scale + shift).sample
    ours = paint(engine, style, engine.encode(image), image)
    assert_close(ours, theirs)
    assert_close(engine.decode(ours), their_image)
