"""A model's noise process and the tensor mathematics of a step, with the papers' symbols.

    z_t  = alpha_t z_0 + sigma_t eps                          forward process
    x_0  = (z_t - sigma_t eps) / alpha_t                      (or from v, or predicted itself)
    f    = c_skip(t) z_t + c_out(t) x_0                       what a step gives
    z_s  = alpha_s f + fresh_s eps'                           next step's input

LCM: arXiv 2310.04378; consistency models: arXiv 2303.01469; SDEdit's strength: arXiv 2108.01073.
`models.steps` has the scalars, for the LCM and its relatives. Nothing in here keeps state or
touches a network. `Engine` and the training code call it. Whatever a frame needs is worked out once
in `make_schedule`; a step at run time is five Python floats.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from models.steps import (
    Rule,
    Step,
    lcm_timesteps,
    make_steps,
    smallest_strength,
    trailing_timesteps,
)

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
PredictionType = Literal["epsilon", "v_prediction", "sample"]

TRAILING: frozenset[Rule] = frozenset({"euler", "euler_ancestral"})
"""Rules that may start at any training timestep; the others keep to the distillation grid."""

MAX_BETA = 0.999
"""Cap of the cosine schedule's last betas (Nichol and Dhariwal, arXiv 2102.09672, section 3.2)."""


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """The noise process a model was trained on; fields and defaults of diffusers' LCMScheduler.

    `rule` and `eta` (of TCD) say how its steps follow each other; see `models.steps`.
    `self_conditioning`, 0 to 1, is for a UNet that sees the frame: how much of what the first step
    made lies in the frame that the later ones see (arXiv 2208.04202, section 3.2, has it on
    channels of its own, and from each step to the next).
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: BetaSchedule = "scaled_linear"
    trained_betas: tuple[float, ...] | None = None
    original_inference_steps: int = 50
    prediction_type: PredictionType = "epsilon"
    timestep_scaling: float = 10.0
    clip_sample: bool = False
    clip_sample_range: float = 1.0
    rescale_betas_zero_snr: bool = False
    rule: Rule = "lcm"
    eta: float = 0.3
    self_conditioning: float = 0.0

    def __post_init__(self) -> None:
        if self.beta_schedule not in get_args(BetaSchedule):
            expected = ", ".join(get_args(BetaSchedule))
            raise ValueError(f"got beta_schedule={self.beta_schedule!r}, expected {expected}")
        if self.prediction_type not in get_args(PredictionType):
            expected = ", ".join(get_args(PredictionType))
            raise ValueError(f"got prediction_type={self.prediction_type!r}, expected {expected}")
        if self.rule not in get_args(Rule):
            raise ValueError(f"got rule={self.rule!r}, expected {', '.join(get_args(Rule))}")
        if not 0 <= self.eta <= 1:
            raise ValueError(f"got eta={self.eta}, expected 0 to 1")
        if not 0 <= self.self_conditioning <= 1:
            raise ValueError(f"got self_conditioning={self.self_conditioning}, expected 0 to 1")
        if not 1 <= self.original_inference_steps <= self.num_train_timesteps:
            raise ValueError(
                f"got original_inference_steps={self.original_inference_steps}, "
                f"expected 1 to {self.num_train_timesteps}"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "ScheduleConfig":
        """Read the fields from a diffusers scheduler config, of whatever scheduler class.

        Raises:
            ValueError: It asks for something that an LCM in latent space has not (thresholding).
        """
        if config.get("thresholding"):
            raise ValueError("got thresholding=True, expected False (it is for pixel-space models)")
        names = [field.name for field in dataclasses.fields(cls)]
        values = {name: config[name] for name in names if name in config}
        if values.get("trained_betas") is not None:
            values["trained_betas"] = tuple(values["trained_betas"])
        return cls(**{"rule": rule_of(config), **values})

    @property
    def grid(self) -> int:
        """How many timesteps there are to choose from."""
        trailing = self.rule in TRAILING
        return self.num_train_timesteps if trailing else self.original_inference_steps


def rule_of(config: Mapping[str, Any]) -> Rule:
    """The rule that a diffusers scheduler config asks for.

    Trailing timesteps are the mark of models distilled for the last ones (turbo, Lightning). All
    other schedulers are those of models for many steps, which become LCMs by an LCM-LoRA.
    """
    name = config.get("_class_name")
    if name == "TCDScheduler":
        return "tcd"
    if name == "LCMScheduler" or config.get("timestep_spacing") != "trailing":
        return "lcm"
    return "euler_ancestral" if name == "EulerAncestralDiscreteScheduler" else "euler"


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Everything `Engine.denoise` has to know of a style's steps; immutable, replaced whole.

    Attributes:
        steps: One record a step, from the noisiest on.
        timesteps: (num_inference_steps,) int64 on the engine's device, for the UNet.
        prediction_type: What the UNet predicts.
        strength: The strength in effect: as asked, or raised to the smallest that has enough steps.
        clip_sample_range: Bound of the predicted x_0, ``None`` for none (the usual case).
        note: A sentence when `strength` was raised, else ``None``.
    """

    steps: tuple[Step, ...]
    timesteps: Tensor
    prediction_type: PredictionType = "epsilon"
    strength: float = 1.0
    clip_sample_range: float | None = None
    note: str | None = None

    @property
    def num_inference_steps(self) -> int:
        return len(self.steps)


def make_schedule(
    config: ScheduleConfig,
    num_inference_steps: int,
    strength: float,
    device: torch.device | str = "cpu",
) -> Schedule:
    """Work out the steps for a model's noise process; too small a strength is raised.

    Raises:
        ValueError: More steps than the model has, or strength outside (0, 1].
    """
    smallest = smallest_strength(num_inference_steps, config.grid)
    note = None
    if strength < smallest:
        note = (
            f"strength {strength:g} leaves no room for {num_inference_steps} step(s) on this "
            f"model's grid of {config.grid}; {smallest:g} is used"
        )
        strength = smallest
    timesteps = _timesteps(config, num_inference_steps, strength)
    clips = config.clip_sample and config.rule == "lcm"
    return Schedule(
        steps=make_steps(
            config.rule,
            timesteps,
            cumulative_alphas(config).tolist(),
            timestep_scaling=config.timestep_scaling,
            eta=config.eta,
        ),
        timesteps=torch.tensor(timesteps, dtype=torch.int64, device=device),
        prediction_type=config.prediction_type,
        strength=strength,
        clip_sample_range=config.clip_sample_range if clips else None,
        note=note,
    )


def _timesteps(
    config: ScheduleConfig, num_inference_steps: int, strength: float
) -> tuple[int, ...]:
    if config.rule in TRAILING:
        return trailing_timesteps(
            num_inference_steps, strength, num_train_timesteps=config.num_train_timesteps
        )
    return lcm_timesteps(
        num_inference_steps,
        strength,
        original_inference_steps=config.original_inference_steps,
        num_train_timesteps=config.num_train_timesteps,
    )


def cumulative_alphas(config: ScheduleConfig) -> Tensor:
    """alpha-bar_t for every training timestep, (num_train_timesteps,) float32."""
    betas = make_betas(config)
    if config.rescale_betas_zero_snr:
        betas = rescale_zero_terminal_snr(betas)
    return torch.cumprod(1 - betas, dim=0)


def make_betas(config: ScheduleConfig) -> Tensor:
    """beta_t of the training noise process, (num_train_timesteps,) float32."""
    n, start, end = config.num_train_timesteps, config.beta_start, config.beta_end
    if config.trained_betas is not None:
        return torch.tensor(config.trained_betas, dtype=torch.float32)
    if config.beta_schedule == "linear":
        return torch.linspace(start, end, n, dtype=torch.float32)
    if config.beta_schedule == "scaled_linear":
        return torch.linspace(start**0.5, end**0.5, n, dtype=torch.float32) ** 2
    bars = [math.cos((i / n + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(n + 1)]
    ratios = [1 - after / before for before, after in pairwise(bars)]
    return torch.tensor([min(beta, MAX_BETA) for beta in ratios], dtype=torch.float32)


def rescale_zero_terminal_snr(betas: Tensor) -> Tensor:
    """Shift and scale sqrt(alpha-bar) so that the last one is 0 (arXiv 2305.08891, algorithm 1)."""
    root = torch.cumprod(1 - betas, dim=0).sqrt()
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    alphas_cumprod = root**2
    alphas = torch.cat([alphas_cumprod[:1], alphas_cumprod[1:] / alphas_cumprod[:-1]])
    return 1 - alphas


def add_noise(z_0: Tensor, noise: Tensor, step: Step) -> Tensor:
    """z_t = alpha_t z_0 + fresh_t eps, the forward process and the re-noising alike."""
    return step.alpha * z_0 + step.fresh * noise


def predict_x0(prediction: Tensor, z_t: Tensor, step: Step, kind: PredictionType) -> Tensor:
    """x_0 from what the network predicts: eps, v (arXiv 2202.00512, section 4) or x_0 itself."""
    match kind:
        case "epsilon":
            return (z_t - step.sigma * prediction) / step.alpha
        case "v_prediction":
            return step.alpha * z_t - step.sigma * prediction
        case "sample":
            return prediction
    raise ValueError(f"got kind={cast(str, kind)!r}, expected {get_args(PredictionType)}")


def consistency(prediction: Tensor, z_t: Tensor, step: Step, schedule: Schedule) -> Tensor:
    """What a step gives, c_skip z_t + c_out x_0; of an LCM its f (2310.04378, equation 9)."""
    x_0 = predict_x0(prediction, z_t, step, schedule.prediction_type)
    if schedule.clip_sample_range is not None:
        x_0 = x_0.clamp(-schedule.clip_sample_range, schedule.clip_sample_range)
    return step.c_skip * z_t + step.c_out * x_0
