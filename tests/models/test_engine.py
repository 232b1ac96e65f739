"""One frame through an engine: latents, noise, conditioning. Miniature models."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sdxl,
    save_bundled_like,
)
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models import Engine, ModelMemoryError, Style, load_engine
from models.conditioning import guidance_embedding, sinusoidal_embedding

STYLE = Style("oil painting", strength=0.6, num_inference_steps=2, guidance_scale=4.0, seed=5)


@pytest.fixture
def engine() -> Engine:
    return make_engine(make_lcm())


def make_image(batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, SIZE[1], SIZE[0]) * 2 - 1


def paint(engine: Engine, style: Style, image: Tensor) -> Tensor:
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    latents = engine.denoise(engine.encode(image), noise, conditioning, engine.schedule(style))
    return engine.decode(latents)


# latents and noise


def test_latent_shape_swaps_width_and_height(engine: Engine) -> None:
    assert engine.latent_shape((64, 48)) == (4, 6, 8)
    assert engine.size_multiple == 16


@pytest.mark.parametrize("size", [(64, 40), (65, 48), (0, 48), (-16, 16)])
def test_sizes_that_do_not_divide_are_refused(engine: Engine, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected multiples of 16"):
        engine.latent_shape(size)


def test_image_of_a_wrong_size_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="expected multiples of 16"):
        engine.encode(torch.zeros(1, 3, 48, 60))


def test_noise_of_a_step_does_not_depend_on_how_many_follow(engine: Engine) -> None:
    long = engine.noise(replace(STYLE, num_inference_steps=8), SIZE)
    for steps in range(1, 8):
        short = engine.noise(replace(STYLE, num_inference_steps=steps), SIZE)
        assert torch.equal(short, long[:steps])


def test_noise_is_fixed_by_the_seed(engine: Engine) -> None:
    assert torch.equal(engine.noise(STYLE, SIZE), engine.noise(STYLE, SIZE))
    assert not torch.equal(engine.noise(STYLE, SIZE), engine.noise(replace(STYLE, seed=6), SIZE))
    assert engine.noise(replace(STYLE, seed=2**70), SIZE).isfinite().all()


def test_painting_neither_uses_nor_moves_the_global_generator(engine: Engine) -> None:
    image = make_image()
    first, state = paint(engine, STYLE, image), torch.get_rng_state()
    torch.rand(3)
    torch.set_rng_state(state)
    assert torch.equal(paint(engine, STYLE, image), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_encode_is_the_mode_of_the_posterior() -> None:
    pipeline = make_lcm()
    image = make_image()
    with torch.no_grad():
        mode = pipeline.vae.encode(image).latent_dist.mode()
    expected = mode * pipeline.vae.config.scaling_factor
    assert torch.equal(make_engine(pipeline).encode(image), expected)


def test_encode_of_a_tiny_vae_is_its_latents() -> None:
    pipeline = make_lcm(vae="tiny")
    image = make_image()
    with torch.no_grad():
        expected = pipeline.vae.encode(image).latents
    assert torch.equal(make_engine(pipeline).encode(image), expected)


def test_shift_and_scale_of_a_vae_are_undone_by_decode() -> None:
    pipeline = make_lcm()
    plain = make_engine(pipeline)
    image = make_image()
    latents = plain.encode(image)
    pipeline.vae.register_to_config(shift_factor=0.3, scaling_factor=2.0)
    shifted = make_engine(pipeline)
    expected = (latents / 0.18215 - 0.3) * 2
    torch.testing.assert_close(shifted.encode(image), expected)
    torch.testing.assert_close(shifted.decode(expected), plain.decode(latents))


# conditioning


def test_guidance_changes_the_picture_of_a_full_lcm(engine: Engine) -> None:
    image = make_image()
    strong = paint(engine, replace(STYLE, guidance_scale=12.0), image)
    assert not torch.allclose(paint(engine, STYLE, image), strong)


def test_guidance_embedding_is_that_of_diffusers() -> None:
    pipeline = make_lcm()
    for width in (8, 9, 256):
        theirs = pipeline.get_guidance_scale_embedding(torch.tensor([7.0]), embedding_dim=width)
        torch.testing.assert_close(guidance_embedding(8.0, width), theirs)


def test_guidance_without_effect_is_noted_once() -> None:
    engine = make_engine(make_instruct_pix2pix())
    for _ in range(2):
        conditioning = engine.encode_prompt(STYLE)
    assert conditioning.timestep_cond is None and conditioning.guidance_scale is None
    assert engine.notes == ["guidance_scale 4 is ignored: this model takes none"]
    assert conditioning.notes == tuple(engine.notes)


def test_a_look_that_the_model_does_not_know_is_told() -> None:
    engine = make_engine(make_lcm())
    engine.looks = ("oil painting", "neon", "ink")
    prompt = "a pink giraffe:0.5 | An Oil Painting:0.3 | neon:0.2"
    (note,) = engine.encode_prompt(replace(STYLE, prompt=prompt)).notes
    assert note.startswith("'a pink giraffe' names no look")


@pytest.mark.parametrize(("prompt", "given"), [("waterclor", "watercolor"), ("asdf", "")])
def test_what_is_said_of_a_prompt_is_what_is_painted(prompt: str, given: str) -> None:
    engine = make_engine(make_lcm())
    engine.looks = ("oil painting", "watercolor")
    ours, same = (engine.encode_prompt(replace(STYLE, prompt=one)) for one in (prompt, given))
    assert torch.equal(ours.prompt_embeds, same.prompt_embeds)
    assert ours.notes and not same.notes


def test_weighted_prompts_are_mixed_linearly(engine: Engine) -> None:
    def embeds(prompt: str) -> Tensor:
        return engine.encode_prompt(replace(STYLE, prompt=prompt)).prompt_embeds

    expected = 0.25 * embeds("oil painting") + 0.75 * embeds("neon")
    torch.testing.assert_close(embeds("oil painting:1 | neon:3"), expected)
    assert torch.equal(embeds("neon:0.5"), embeds("neon"))


def test_both_embeddings_of_sdxl_are_mixed() -> None:
    engine = make_engine(make_sdxl())
    one, other, both = (
        engine.encode_prompt(Style(prompt)) for prompt in ("oil", "neon", "oil|neon")
    )
    assert one.text_embeds is not None and other.text_embeds is not None
    torch.testing.assert_close(both.text_embeds, (one.text_embeds + other.text_embeds) / 2)


def test_a_prompt_too_long_is_noted(engine: Engine) -> None:
    conditioning = engine.encode_prompt(replace(STYLE, prompt="oil " * 40))
    assert len(conditioning.notes) == 1 and "first 16" in conditioning.notes[0]


def test_a_raised_strength_is_noted_once(engine: Engine) -> None:
    for _ in range(2):
        schedule = engine.schedule(replace(STYLE, strength=0.001))
    assert schedule.num_inference_steps == 2
    assert len(engine.notes) == 1 and "strength 0.001" in engine.notes[0]


def test_time_ids_of_sdxl_are_height_before_width() -> None:
    engine = make_engine(make_sdxl())
    seen: list[dict[str, Tensor]] = []

    def predict(latents: Tensor, *rest: Any) -> Tensor:
        seen.append(rest[-1])
        return torch.zeros_like(latents)

    engine.networks = replace(engine.networks, predict=predict)
    paint(engine, replace(STYLE, guidance_scale=1.0), make_image())
    assert seen[0]["time_ids"].tolist() == [[48, 64, 0, 0, 48, 64]]


# a UNet that sees the frame


@pytest.mark.parametrize("frame_is_scaled", [True, False])
def test_frame_latents_are_fed_beside_the_noised_ones(frame_is_scaled: bool) -> None:
    engine = make_engine(make_instruct_pix2pix(), frame_is_scaled=frame_is_scaled)
    seen: list[Tensor] = []

    def predict(latents: Tensor, *_: Any) -> Tensor:
        seen.append(latents)
        return torch.zeros_like(latents[:, :4])

    engine.networks = replace(engine.networks, predict=predict)
    image = make_image()
    paint(engine, STYLE, image)
    frame = engine.encode(image) * (1.0 if frame_is_scaled else 1 / 0.18215)
    assert [z.shape[1] for z in seen] == [8, 8]
    for z in seen:
        torch.testing.assert_close(z[:, 4:], frame)


def test_frame_latents_may_differ_from_where_painting_starts() -> None:
    engine = make_engine(make_instruct_pix2pix())
    start, frame = torch.randn(2, 1, 4, 6, 8).unbind()
    settings = (engine.noise(STYLE, SIZE), engine.encode_prompt(STYLE), engine.schedule(STYLE))
    mixed = engine.denoise(start, *settings, frame_latents=frame)
    assert not torch.allclose(mixed, engine.denoise(start, *settings))
    assert torch.equal(
        engine.denoise(start, *settings, frame_latents=start), engine.denoise(start, *settings)
    )


def test_later_steps_see_what_was_painted_in_their_frame(tmp_path: Path) -> None:
    """From the second step on what the first made, and not of where the painting started."""
    engine = load_engine(save_bundled_like(tmp_path), device="cpu", dtype=torch.float32)
    assert engine.schedule_config.self_conditioning == 0.25
    seen: list[Tensor] = []
    predict = engine.networks.predict

    def watched(latents: Tensor, *rest: Any) -> Tensor:
        seen.append(latents)
        return predict(latents, *rest)

    engine.networks = replace(engine.networks, predict=watched)
    start, frame = torch.randn(2, 1, 6, 6, 8).unbind()
    style = replace(STYLE, num_inference_steps=3)
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    schedule = engine.schedule(style)
    engine.denoise(start, noise, conditioning, schedule, frame_latents=frame)
    only_first = replace(schedule, steps=schedule.steps[:1], timesteps=schedule.timesteps[:1])
    painted = engine.denoise(start, noise, conditioning, only_first, frame_latents=frame)
    torch.testing.assert_close(seen[0][:, 6:], frame)
    for later in seen[1:3]:
        torch.testing.assert_close(later[:, 6:], 0.75 * frame + 0.25 * painted)


def test_unet_that_sees_the_frame_is_told_where_the_first_step_stood(tmp_path: Path) -> None:
    engine = load_engine(save_bundled_like(tmp_path), device="cpu", dtype=torch.float32)
    told: list[tuple[int, Tensor]] = []

    def predict(latents: Tensor, timestep: Tensor, _: Any, cond: Tensor, __: Any) -> Tensor:
        told.append((int(timestep), cond))
        return torch.zeros_like(latents[:, :6])

    engine.networks = replace(engine.networks, predict=predict)
    size = (64, 48)
    for strength in (0.6, 0.3, 0.6):
        style = replace(STYLE, strength=strength)
        latents = torch.zeros(1, *engine.latent_shape(size))
        conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)
        engine.denoise(latents, engine.noise(style, size), conditioning, schedule)
    assert [t for t, _ in told] == [599, 299, 299, 159, 599, 299]
    assert engine.encode_prompt(style).timestep_cond is None
    for t_first, (_, cond) in zip((599, 599, 299, 299, 599, 599), told, strict=True):
        torch.testing.assert_close(cond, sinusoidal_embedding(torch.tensor([t_first]), 6))
    assert told[0][1] is told[1][1] is told[4][1]  # what hangs on it may be kept


# the whole frame


@pytest.mark.parametrize("make", [make_lcm, make_sdxl, make_instruct_pix2pix])
def test_a_batch_is_its_frames_one_by_one(make: Callable[[], Any]) -> None:
    engine = make_engine(make())
    images = make_image(2)
    together = paint(engine, STYLE, images)
    alone = torch.cat([paint(engine, STYLE, image.unsqueeze(0)) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [make_lcm, make_sdxl])
def test_bfloat16_is_near_float32(make: Callable[[], Any]) -> None:
    image = make_image()
    exact = paint(make_engine(make()), STYLE, image)
    rough = paint(make_engine(make(), torch.bfloat16), STYLE, image)
    assert rough.dtype == torch.float32
    # 8 bits of mantissa through three small networks: a few per cent of the picture's range
    assert (rough - exact).abs().mean() < 0.05 * exact.std()


def test_no_gradient_is_kept(engine: Engine) -> None:
    assert not paint(engine, STYLE, make_image()).requires_grad


class _NoSync(TorchDispatchMode):
    """Fails on what makes the host wait for a GPU: a tensor read as a number, data-wide shapes."""

    WAITING = frozenset({"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero"})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.name() not in self.WAITING, f"{func.name()} makes the host wait"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("make", [make_lcm, make_sdxl, make_instruct_pix2pix])
def test_the_host_never_waits_inside_a_frame(make: Callable[[], Any]) -> None:
    engine = make_engine(make())
    noise, conditioning = engine.noise(STYLE, SIZE), engine.encode_prompt(STYLE)
    schedule, image = engine.schedule(STYLE), make_image()
    with _NoSync():
        engine.decode(engine.denoise(engine.encode(image), noise, conditioning, schedule))


def test_warm_up_runs_a_whole_frame(engine: Engine) -> None:
    calls: list[str] = []
    networks = engine.networks

    def decode(latents: Tensor) -> Tensor:
        calls.append("decode")
        return networks.decode(latents)

    engine.networks = replace(networks, decode=decode)
    engine.warm_up(SIZE)
    assert calls == ["decode"] and engine.notes == []


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError("Exception from src/inference: std::bad_alloc"),
        MemoryError(),
    ],
)
def test_too_little_memory_says_what_to_do(engine: Engine, error: Exception) -> None:
    def encode(image: Tensor) -> Tensor:
        raise error

    engine.networks = replace(engine.networks, encode=encode)
    with pytest.raises(ModelMemoryError, match="use a smaller size") as info:
        engine.warm_up(SIZE)
    assert info.value.__cause__ is error


def test_a_size_beyond_the_hosts_memory_says_what_to_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = Mock(side_effect=MemoryError("Unable to allocate 37.3 GiB"))
    with monkeypatch.context() as patch, pytest.raises(ModelMemoryError, match="use a smaller"):
        patch.setattr(np, "zeros", refuse)
        engine.warm_up(SIZE)


def test_other_errors_pass_unchanged(engine: Engine) -> None:
    def encode(image: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    engine.networks = replace(engine.networks, encode=encode)
    with pytest.raises(RuntimeError, match="mat1"):
        engine.warm_up(SIZE)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("make", [make_lcm, make_sdxl, make_instruct_pix2pix])
def test_cuda_equals_the_cpu_and_never_waits(make: Callable[[], Any]) -> None:
    image = make_image()
    expected = paint(make_engine(make()), STYLE, image)
    pipeline = make().to("cuda")
    engine = make_engine(pipeline, device=torch.device("cuda"))
    noise, conditioning = engine.noise(STYLE, SIZE), engine.encode_prompt(STYLE)
    schedule = engine.schedule(STYLE)
    engine.warm_up(SIZE)
    on_device = image.cuda()
    try:
        torch.cuda.set_sync_debug_mode("error")
        latents = engine.denoise(engine.encode(on_device), noise, conditioning, schedule)
        painted = engine.decode(latents)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(painted.cpu(), expected, rtol=1e-2, atol=1e-2)
