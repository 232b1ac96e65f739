"""The numbers of a few-step sampler's steps, as small pure functions with the papers' symbols.

    z_t  = alpha_t z_0 + sigma_t eps                          forward process
    x_0  = (z_t - sigma_t eps) / alpha_t                      (or from v, or predicted itself)
    z_s  = alpha_s x_0 + along_s eps' + fresh_s eps''         the next step's input

eps' is the noise that z_t and x_0 imply, eps'' a fixed draw of its own. A `Rule` says how much of
each the next input gets; all of them come to the same five numbers a step, so that one loop, and
one captured graph, serves every rule:

| rule | timesteps | along | fresh | source |
|---|---|---|---|---|
| lcm | distillation grid | 0 | sigma_s | LCM, arXiv 2310.04378 |
| euler | trailing | sigma_s | 0 | DDIM, arXiv 2010.02502; Euler in its variables |
| euler_ancestral | trailing | part of it | the rest | the same with noise put back |
| tcd | distillation grid | by eta | by eta | TCD, arXiv 2402.19159, algorithm 4 |

Where a rule draws noise, the draw is fixed by the seed and the same in every frame: what stands
still in the clip stands still in the painting. Plain Python floats: nothing here touches a tensor.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Rule = Literal["lcm", "euler", "euler_ancestral", "tcd"]

SIGMA_DATA = 0.5
"""Standard deviation of the data assumed by the boundary condition (2303.01469, appendix C)."""


LEAST_ALPHA = 2**-24
"""Of alpha-bar for the Euler samplers, whose variables have no infinite noise."""


@dataclass(frozen=True, slots=True)
class Step:
    """The scalars of one step at timestep t, written so that a step needs nothing of the next.

        z_t = alpha x + fresh eps''        x: the frame's latents, or what the last step gave
        x   = c_skip z_t + c_out x_0       alpha and sigma turn a prediction into x_0

    Attributes:
        timestep: t, what the UNet is told.
        alpha, sigma: Of the forward process at t.
        c_skip, c_out: What the step gives of its input and of x_0.
        fresh: Weight of the step's own noise; sigma where nothing is left of the last noise.
    """

    timestep: int
    alpha: float
    sigma: float
    c_skip: float
    c_out: float
    fresh: float

    @property
    def scalars(self) -> tuple[float, float, float, float, float]:
        """Everything but the timestep, in the order of the fields."""
        return self.alpha, self.sigma, self.c_skip, self.c_out, self.fresh


def make_steps(
    rule: Rule,
    timesteps: Sequence[int],
    alphas_cumprod: Sequence[float],
    *,
    timestep_scaling: float = 10.0,
    eta: float = 0.3,
) -> tuple[Step, ...]:
    """Gather the scalars of every step, from the noisiest on.

    Args:
        rule: How one step's outcome becomes the next one's input.
        timesteps: Falling.
        alphas_cumprod: alpha-bar_t of every training timestep.
        timestep_scaling: Of the LCM boundary condition.
        eta: How much of its noise TCD draws anew (the paper's gamma), 0 to 1.
    """
    if rule in ("euler", "euler_ancestral"):
        alphas_cumprod = [max(alpha_cumprod, LEAST_ALPHA) for alpha_cumprod in alphas_cumprod]
    steps = []
    fresh = alpha_sigma(alphas_cumprod[timesteps[0]])[1]
    for t, following in zip(timesteps, (*timesteps[1:], None), strict=True):
        alpha, sigma = alpha_sigma(alphas_cumprod[t])
        if rule == "lcm":
            c_skip, c_out = boundary_scalings(t, timestep_scaling)
            after = 0.0 if following is None else alpha_sigma(alphas_cumprod[following])[1]
        else:
            to_alpha, along, after = _landing(rule, t, following, alphas_cumprod, eta)
            # the next step multiplies by its alpha, which is divided out here
            own = 1.0 if following is None else to_alpha
            c_skip, c_out = along / sigma / own, (to_alpha - along * alpha / sigma) / own
        steps.append(Step(t, alpha, sigma, c_skip, c_out, fresh))
        fresh = after
    return tuple(steps)


def _landing(
    rule: Rule, t: int, following: int | None, alphas_cumprod: Sequence[float], eta: float
) -> tuple[float, float, float]:
    """(alpha_s, along_s, fresh_s) of the next input; of the picture itself after the last step."""
    if rule == "tcd":
        return _tcd_landing(following, alphas_cumprod, eta)
    if following is None:
        return 1.0, 0.0, 0.0
    alpha, sigma = alpha_sigma(alphas_cumprod[following])
    if rule == "euler":
        return alpha, sigma, 0.0
    from_alpha, from_sigma = alpha_sigma(alphas_cumprod[t])
    # noise put back, in the variables of the Euler samplers (sigma / alpha; arXiv 2206.00364)
    ratio = (sigma / alpha) / (from_sigma / from_alpha)
    return alpha, sigma * ratio, sigma * math.sqrt(1 - ratio**2)


def _tcd_landing(
    following: int | None, alphas_cumprod: Sequence[float], eta: float
) -> tuple[float, float, float]:
    """Down to s = (1 - eta) t' along the predicted noise, up to t' with fresh noise."""
    below = 0 if following is None else math.floor((1 - eta) * following)
    alpha_s, sigma_s = alpha_sigma(alphas_cumprod[below])
    if following is None:
        return alpha_s, sigma_s, 0.0
    alpha, _ = alpha_sigma(alphas_cumprod[following])
    shrink = alpha / alpha_s
    return alpha, shrink * sigma_s, math.sqrt(1 - shrink**2)


def lcm_timesteps(
    num_inference_steps: int,
    strength: float,
    *,
    original_inference_steps: int = 50,
    num_train_timesteps: int = 1000,
) -> tuple[int, ...]:
    """Pick timesteps evenly from the distillation grid below `strength` (2310.04378, section 4.3).

    The same as `set_timesteps` of diffusers' LCMScheduler and TCDScheduler, except that a
    combination without a timestep is refused here; `make_schedule` raises the strength first.
    """
    _check_strength(strength)
    k = num_train_timesteps // original_inference_steps  # skipping interval of the distillation
    count = int(original_inference_steps * strength)
    if not 1 <= num_inference_steps <= count:
        raise ValueError(f"got num_inference_steps={num_inference_steps}, expected 1 to {count}")
    origin = [k * i - 1 for i in range(count, 0, -1)]
    return tuple(origin[i * count // num_inference_steps] for i in range(num_inference_steps))


def trailing_timesteps(
    num_inference_steps: int, strength: float, *, num_train_timesteps: int = 1000
) -> tuple[int, ...]:
    """Timesteps spaced evenly below `strength`, the noisiest included (arXiv 2305.08891, table 2).

    diffusers' pipelines count otherwise: of N asked, the last n = int(N strength) run. Where
    N = n / strength is whole, these are the same timesteps; here every strength has its own.
    """
    _check_strength(strength)
    spacing = num_train_timesteps * strength / num_inference_steps
    if num_inference_steps < 1 or spacing < 1:
        most = int(num_train_timesteps * strength)
        raise ValueError(f"got num_inference_steps={num_inference_steps}, expected 1 to {most}")
    return tuple(round(spacing * left) - 1 for left in range(num_inference_steps, 0, -1))


def smallest_strength(num_inference_steps: int, grid: int = 50) -> float:
    """The smallest strength whose part of a grid still holds `num_inference_steps` timesteps."""
    if not 1 <= num_inference_steps <= grid:
        raise ValueError(f"got num_inference_steps={num_inference_steps}, expected 1 to {grid}")
    strength = num_inference_steps / grid
    while int(grid * strength) < num_inference_steps:
        strength = math.nextafter(strength, 2.0)
    return strength


def alpha_sigma(alpha_cumprod: float) -> tuple[float, float]:
    """(alpha_t, sigma_t) = (sqrt(alpha-bar_t), sqrt(1 - alpha-bar_t))."""
    return math.sqrt(alpha_cumprod), math.sqrt(1 - alpha_cumprod)


def boundary_scalings(timestep: float, timestep_scaling: float = 10.0) -> tuple[float, float]:
    """(c_skip(t), c_out(t)) with f(z, 0) = z (2310.04378, section 4.1; 2303.01469, appendix C)."""
    t = timestep * timestep_scaling
    denominator = t**2 + SIGMA_DATA**2
    return SIGMA_DATA**2 / denominator, t / math.sqrt(denominator)


def _check_strength(strength: float) -> None:
    if not 0 < strength <= 1:
        raise ValueError(f"got strength={strength}, expected (0, 1]")
