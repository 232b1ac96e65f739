"""The rules of few-step samplers, held against diffusers' own schedulers number for number.

Every rule runs a whole loop on one made-up network, ours beside theirs; the noise is drawn from one
generator in the order in which a pipeline draws it.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionImg2ImgPipeline,
    TCDScheduler,
)
from torch import Tensor

from models.schedule import ScheduleConfig, add_noise, consistency, make_schedule
from models.steps import make_steps, smallest_strength, trailing_timesteps

# diffusers' schedulers hand tensors to NumPy in a way that it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SHAPE = (1, 4, 6, 8)
WHOLE = [(steps, asked) for asked in (1, 2, 3, 4, 6, 8, 10, 25) for steps in range(1, 9)]


def network(z_t: Tensor, timestep: Any) -> Tensor:
    """Neither linear nor blind to the timestep."""
    return torch.tanh(1.3 * z_t + 0.7) + 0.001 * float(timestep)


def draws(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(11)
    return torch.stack([torch.randn(SHAPE, generator=generator) for _ in range(count)])


def ours(scheduler: Any, steps: int, strength: float, z_0: Tensor, **changes: Any) -> Tensor:
    """The loop of `Engine.denoise`, as the config that `scheduler` would save asks for it."""
    config = {"_class_name": type(scheduler).__name__, **scheduler.config, **changes}
    schedule = make_schedule(ScheduleConfig.from_config(config), steps, strength)
    noise = draws(steps)
    denoised = z_0
    for index, step in enumerate(schedule.steps):
        z_t = add_noise(denoised, noise[index], step)
        denoised = consistency(network(z_t, step.timestep), z_t, step, schedule)
    return denoised


def theirs(scheduler: Any, timesteps: Tensor, z_0: Tensor, **step: Any) -> Tensor:
    """The loop of diffusers' img2img pipelines."""
    generator = torch.Generator().manual_seed(11)
    noise = torch.randn(SHAPE, generator=generator)
    z_t = scheduler.add_noise(z_0, noise, timesteps[:1])
    for timestep in timesteps:
        prediction = network(scheduler.scale_model_input(z_t, timestep), timestep)
        z_t = scheduler.step(prediction, timestep, z_t, generator=generator, **step)[0]
    return z_t


def sliced(scheduler: Any, asked: int, strength: float) -> Tensor:
    """The timesteps that StableDiffusionImg2ImgPipeline runs of those asked for."""

    class Pipeline:
        def __init__(self) -> None:
            self.scheduler = scheduler

    scheduler.set_timesteps(asked)
    timesteps, _ = StableDiffusionImg2ImgPipeline.get_timesteps(Pipeline(), asked, strength, "cpu")
    return torch.as_tensor(timesteps)


@pytest.mark.parametrize(("steps", "asked"), [pair for pair in WHOLE if pair[0] <= pair[1]])
def test_trailing_timesteps_are_those_of_the_img2img_pipeline(steps: int, asked: int) -> None:
    scheduler = EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing")
    strength = steps / asked
    if int(asked * strength) != steps:  # the pipeline's own rounding down
        return
    expected = sliced(scheduler, asked, strength).tolist()
    assert list(trailing_timesteps(steps, strength)) == expected


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(("steps", "asked"), [(1, 1), (1, 2), (2, 2), (2, 4), (3, 4), (4, 4)])
@pytest.mark.parametrize(
    "scheduler_class", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler]
)
def test_euler_samplers_equal_diffusers(
    scheduler_class: Callable[..., Any], steps: int, asked: int, kind: str
) -> None:
    if kind == "sample" and scheduler_class is EulerAncestralDiscreteScheduler:
        pytest.skip("diffusers' ancestral sampler has no such prediction")
    scheduler = scheduler_class(**BETAS, timestep_spacing="trailing", prediction_type=kind)
    z_0 = torch.randn(SHAPE)
    expected = theirs(scheduler, sliced(scheduler, asked, steps / asked), z_0)
    torch.testing.assert_close(
        ours(scheduler, steps, steps / asked, z_0), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("steps", "asked"), [(1, 1), (2, 2), (2, 4), (4, 4)])
@pytest.mark.parametrize(
    "scheduler_class", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler]
)
def test_euler_samplers_of_zero_terminal_snr_equal_diffusers(
    scheduler_class: Callable[..., Any], steps: int, asked: int
) -> None:
    """No alpha-bar is 0 in them: their noise, sigma / alpha, would be infinite."""
    scheduler = scheduler_class(
        **BETAS,
        timestep_spacing="trailing",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
    )
    z_0 = torch.randn(SHAPE)
    expected = theirs(scheduler, sliced(scheduler, asked, steps / asked), z_0)
    torch.testing.assert_close(
        ours(scheduler, steps, steps / asked, z_0), expected, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(("steps", "asked"), [(1, 1), (1, 2), (2, 2), (2, 4), (4, 4), (4, 8)])
def test_trailing_ddim_equals_diffusers(steps: int, asked: int) -> None:
    # Where `asked` does not divide the training timesteps, diffusers' DDIM aims one timestep
    # beside the one that follows; ours and its Euler aim at the one that follows.
    scheduler = DDIMScheduler(
        **BETAS, timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=True
    )
    z_0 = torch.randn(SHAPE)
    expected = theirs(scheduler, sliced(scheduler, asked, steps / asked), z_0)
    torch.testing.assert_close(
        ours(scheduler, steps, steps / asked, z_0), expected, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_tcd_equals_diffusers(steps: int, strength: float, eta: float, kind: str) -> None:
    scheduler = TCDScheduler(**BETAS, prediction_type=kind, clip_sample=False)
    scheduler.set_timesteps(steps, strength=strength)
    z_0 = torch.randn(SHAPE)
    expected = theirs(scheduler, scheduler.timesteps, z_0, eta=eta)
    got = ours(scheduler, steps, strength, z_0, eta=eta)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_lcm_equals_diffusers(steps: int, strength: float) -> None:
    scheduler = LCMScheduler(**BETAS)
    scheduler.set_timesteps(steps, strength=strength)
    z_0 = torch.randn(SHAPE)
    expected = theirs(scheduler, scheduler.timesteps, z_0)
    got = ours(scheduler, steps, strength, z_0)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_the_rules_differ_where_they_should() -> None:
    z_0 = torch.randn(SHAPE)
    rules = ("lcm", "euler", "euler_ancestral", "tcd")
    pictures = [ours(LCMScheduler(**BETAS), 4, 0.8, z_0, rule=rule) for rule in rules]
    for index, one in enumerate(pictures):
        assert not any(torch.allclose(one, other, atol=0.01) for other in pictures[:index])


@pytest.mark.parametrize("steps", range(1, 9))
def test_every_strength_has_trailing_timesteps(steps: int) -> None:
    strengths = [smallest_strength(steps, 1000), 0.011, 0.0625, 0.1, 1 / 3, 0.5, 0.777, 1.0]
    for strength in strengths:
        timesteps = trailing_timesteps(steps, strength)
        assert len(set(timesteps)) == steps and min(timesteps) >= 0 and max(timesteps) <= 999
        assert list(timesteps) == sorted(timesteps, reverse=True)


def test_what_cannot_be_spaced_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got strength=0, expected \(0, 1\]"):
        trailing_timesteps(1, 0)
    with pytest.raises(ValueError, match="got num_inference_steps=2, expected 1 to 1"):
        trailing_timesteps(2, 0.0015)


def test_a_step_is_five_scalars_and_a_timestep() -> None:
    first, last = make_steps("euler", [2, 1], [0.9, 0.5, 0.2])
    assert first.scalars == (first.alpha, first.sigma, first.c_skip, first.c_out, first.fresh)
    assert first.fresh == first.sigma and last.fresh == 0  # only the first one draws noise
    assert (last.c_skip, last.c_out) == (0, 1)
