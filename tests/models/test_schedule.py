"""The noise process and an LCM's step. Expected values come from diffusers and from the papers;
the scalars of the other rules are held against diffusers in test_steps.py.
"""

import math
from typing import Any, get_args

import pytest
import torch
from diffusers import LCMScheduler

from models.schedule import (
    PredictionType,
    ScheduleConfig,
    add_noise,
    consistency,
    cumulative_alphas,
    make_schedule,
    predict_x0,
    rule_of,
)
from models.steps import (
    alpha_sigma,
    boundary_scalings,
    lcm_timesteps,
    make_steps,
    smallest_strength,
)


@pytest.mark.parametrize("original_inference_steps", [50, 100, 40])
@pytest.mark.parametrize("num_inference_steps", [1, 2, 3, 4, 8])
def test_timesteps_are_those_of_diffusers(
    num_inference_steps: int, original_inference_steps: int
) -> None:
    scheduler = LCMScheduler(original_inference_steps=original_inference_steps)
    smallest = smallest_strength(num_inference_steps, original_inference_steps)
    for percent in range(math.ceil(smallest * 100), 101):
        strength = percent / 100
        if int(original_inference_steps * strength) < num_inference_steps:
            continue
        scheduler.set_timesteps(num_inference_steps, strength=strength)
        ours = lcm_timesteps(
            num_inference_steps, strength, original_inference_steps=original_inference_steps
        )
        assert list(ours) == scheduler.timesteps.tolist(), strength


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
        {"beta_schedule": "squaredcos_cap_v2"},
        {"rescale_betas_zero_snr": True},
        {"trained_betas": (0.001, 0.01, 0.02, 0.5), "num_train_timesteps": 4},
    ],
    ids=["scaled_linear", "linear", "cosine", "zero_snr", "trained"],
)
def test_cumulative_alphas_are_those_of_diffusers(config: dict[str, Any]) -> None:
    if "trained_betas" in config:
        config = {**config, "original_inference_steps": 4}
    theirs = LCMScheduler(**config)
    ours = cumulative_alphas(ScheduleConfig.from_config(theirs.config))
    torch.testing.assert_close(ours, theirs.alphas_cumprod, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("timestep", [0, 1, 19, 499, 999])
def test_boundary_scalings_are_those_of_diffusers(timestep: int) -> None:
    theirs = LCMScheduler().get_scalings_for_boundary_condition_discrete(timestep)
    assert boundary_scalings(timestep) == pytest.approx(theirs, rel=1e-12)


def test_boundary_condition_is_the_identity_at_timestep_zero() -> None:
    assert boundary_scalings(0) == (1.0, 0.0)


def test_alpha_and_sigma_lie_on_the_unit_circle() -> None:
    for alpha_cumprod in (0.0, 0.25, 1.0):
        alpha, sigma = alpha_sigma(alpha_cumprod)
        assert alpha**2 + sigma**2 == pytest.approx(1)


@pytest.mark.parametrize("kind", get_args(PredictionType))
def test_x0_is_found_again_from_every_kind_of_prediction(kind: PredictionType) -> None:
    (step,) = make_steps("lcm", [0], [0.3])
    z_0, noise = torch.randn(2, 1, 4, 3, 3).unbind()
    z_t = add_noise(z_0, noise, step)
    exact = {
        "epsilon": noise,
        "v_prediction": step.alpha * noise - step.sigma * z_0,  # arXiv 2202.00512, section 4
        "sample": z_0,
    }
    torch.testing.assert_close(predict_x0(exact[kind], z_t, step, kind), z_0)


@pytest.mark.parametrize("kind", get_args(PredictionType))
@pytest.mark.parametrize("clip_sample", [False, True])
def test_a_step_is_that_of_diffusers(kind: PredictionType, clip_sample: bool) -> None:
    scheduler = LCMScheduler(
        prediction_type=kind,
        clip_sample=clip_sample,
        timestep_scaling=0.01,
        rescale_betas_zero_snr=False,
    )
    scheduler.set_timesteps(1, strength=0.6)
    schedule = make_schedule(ScheduleConfig.from_config(scheduler.config), 1, 0.6)
    prediction, z_t = torch.randn(2, 1, 4, 3, 3).unbind()
    theirs = scheduler.step(prediction, scheduler.timesteps[0], z_t).denoised
    ours = consistency(prediction, z_t, schedule.steps[0], schedule)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_inference_steps", range(1, 9))
def test_no_strength_is_too_small(num_inference_steps: int) -> None:
    for strength in (1e-9, 0.001, 0.01, 0.019999, 0.02, 0.1, 0.159999, 0.16, 1.0):
        schedule = make_schedule(ScheduleConfig(), num_inference_steps, strength)
        assert schedule.num_inference_steps == num_inference_steps
        assert len(set(schedule.timesteps.tolist())) == num_inference_steps
        assert (schedule.note is not None) == (schedule.strength > strength)


def test_a_raised_strength_is_said() -> None:
    schedule = make_schedule(ScheduleConfig(), 4, 0.01)
    assert schedule.strength == 0.08
    assert schedule.note is not None and "0.01" in schedule.note and "0.08" in schedule.note
    assert schedule.timesteps.tolist() == [79, 59, 39, 19]


def test_every_possible_smallest_strength_is_enough() -> None:
    for original in (4, 7, 30, 49, 50, 100, 1000):
        for steps in range(1, min(original, 8) + 1):
            strength = smallest_strength(steps, original)
            assert int(original * strength) == steps


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"beta_schedule": "exp"}, "beta_schedule='exp'"),
        ({"prediction_type": "flow"}, "prediction_type='flow'"),
        ({"original_inference_steps": 0}, "original_inference_steps=0"),
        ({"thresholding": True}, "thresholding"),
        ({"rule": "heun"}, "rule='heun'"),
        ({"eta": 1.5}, "eta=1.5"),
        ({"self_conditioning": -0.1}, "self_conditioning=-0.1"),
    ],
)
def test_a_noise_process_of_another_kind_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ScheduleConfig.from_config(values)


def test_more_steps_than_the_grid_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="got num_inference_steps=5, expected 1 to 4"):
        make_schedule(ScheduleConfig(original_inference_steps=4), 5, 1.0)


@pytest.mark.parametrize(
    ("name", "spacing", "rule"),
    [
        ("LCMScheduler", "leading", "lcm"),
        ("LCMScheduler", "trailing", "lcm"),  # it does not look at the spacing
        ("PNDMScheduler", "leading", "lcm"),  # a model for many steps, with an LCM-LoRA
        ("EulerDiscreteScheduler", "leading", "lcm"),
        ("EulerDiscreteScheduler", "trailing", "euler"),
        ("DDIMScheduler", "trailing", "euler"),
        ("EulerAncestralDiscreteScheduler", "trailing", "euler_ancestral"),
        ("TCDScheduler", None, "tcd"),
    ],
)
def test_the_rule_is_read_from_the_scheduler_config(
    name: str, spacing: str | None, rule: str
) -> None:
    config = {"_class_name": name, "timestep_spacing": spacing}
    assert rule_of(config) == rule
    assert ScheduleConfig.from_config(config).rule == rule
