"""The training loop that every stage shares: seeded, resumable, logged; CPU and GPU alike.

A stage gives a model and a function `loss(step) -> dict of scalar tensors` (the sum is minimised).
The state of a run lies in `<folder>/checkpoint.pt` (tensors and numbers only), its log in
`<folder>/log.jsonl`, one JSON object a line.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.acceleration.cpu.accelerate import best_dtype
from models.training.muon import Muon, is_matrix

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast.

    Attributes:
        steps: Optimiser steps at most.
        minutes: Of training; where given, the learning rate falls with the time and not with the
            steps, and the last step is the one at which it is over.
        batch: Samples a step.
        learning_rate: Peak of the cosine.
        warmup_steps: Linear rise to the peak.
        ema_decay: Of the averaged weights (the ones that are kept).
        weight_decay: AdamW's.
        checkpoint_every: Steps between two checkpoints.
        seed: Of everything random.
    """

    steps: int
    batch: int = 16
    minutes: float | None = None
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    ema_decay: float = 0.998
    weight_decay: float = 1e-3
    checkpoint_every: int = 500
    seed: int = 0


LOG_EVERY = 50
"""Steps between two lines of the log."""


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic for the wide layers, float32 for the rest.

    float32 for all on a CPU that does not multiply bfloat16: it would take twelve times as long.
    """
    is_quick = device.type != "cpu" or best_dtype() == torch.bfloat16
    return torch.autocast(device.type, torch.bfloat16, enabled=is_quick)


def rate_factor(step: int, plan: Plan, elapsed_s: float = 0.0) -> float:
    """Linear warm-up, then half a cosine to 2 % of the peak."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    progress = (step - plan.warmup_steps) / max(1, plan.steps - plan.warmup_steps)
    if plan.minutes is not None:
        progress = elapsed_s / (60 * plan.minutes)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def averaged(module: nn.Module) -> nn.Module:
    """A copy of the module for the moving average: no gradients."""
    import copy

    return copy.deepcopy(module).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * module."""
    for a, p in zip(average.parameters(), module.parameters(), strict=True):
        a.lerp_(p, 1 - decay)


def generator(seed: int, step: int) -> torch.Generator:
    """A CPU generator of this step alone, so that a resumed run draws what the first would have."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


def fit(
    module: nn.Module,
    loss: Callable[[int], dict[str, Tensor]],
    plan: Plan,
    folder: Path,
    *,
    after_step: Callable[[int], None] | None = None,
    on_checkpoint: Callable[[nn.Module], None] | None = None,
    shares: dict[str, float] | None = None,
) -> nn.Module:
    """Train `module` in place; returns its moving average. Resumes from the folder's checkpoint.

    Args:
        after_step: Called with the step's number.
        on_checkpoint: Called with the moving average when it was saved.
        shares: Beginnings of parameters' names, and the share of the learning rate that they get.
    """
    folder.mkdir(parents=True, exist_ok=True)
    average = averaged(module)
    groups = _groups(module, plan.learning_rate, shares or {})
    optimizer = Muon(groups, plan.learning_rate, plan.weight_decay)
    start, spent_s = _resume(folder, module, average, optimizer)
    began = clock = time.perf_counter()
    sums: dict[str, float] = {}
    module.train()
    for step in range(start, plan.steps):
        elapsed_s = spent_s + time.perf_counter() - began
        is_last = step + 1 == plan.steps or is_over(plan, elapsed_s)
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * group["share"] * rate_factor(step, plan, elapsed_s)
        losses = loss(step)
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        update_average(average, module, min(plan.ema_decay, (1 + step) / (10 + step)))
        if after_step is not None:
            after_step(step)
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + value.item()
        if (step + 1) % LOG_EVERY == 0:
            now = time.perf_counter()
            rate = LOG_EVERY * plan.batch / (now - clock)
            _log(folder, step + 1, {k: v / LOG_EVERY for k, v in sums.items()}, rate)
            sums, clock = {}, now
        if (step + 1) % plan.checkpoint_every == 0 or is_last:
            _save(folder, step + 1, elapsed_s, module, average, optimizer)
            if on_checkpoint is not None:
                on_checkpoint(average)
        if is_last:
            break
    return average


def is_over(plan: Plan, elapsed_s: float) -> bool:
    """Whether the plan's minutes are spent."""
    return plan.minutes is not None and elapsed_s >= 60 * plan.minutes


def _groups(
    module: nn.Module, learning_rate: float, shares: dict[str, float]
) -> list[dict[str, object]]:
    """One group for each share of the learning rate, of matrices and of other parameters."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        share = next((v for start, v in shares.items() if name.startswith(start)), 1.0)
        groups.setdefault((share, is_matrix(parameter)), []).append(parameter)
    return [
        {"params": parameters, "share": share, "matrices": matrices, "lr": share * learning_rate}
        for (share, matrices), parameters in groups.items()
    ]


def _log(folder: Path, step: int, losses: dict[str, float], samples_per_s: float) -> None:
    row = {"step": step, **{k: round(v, 5) for k, v in losses.items()}}
    row["samples_per_s"] = round(samples_per_s, 1)
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(row) + "\n")
    logger.info("%s %s", folder.name, row)


def _save(
    folder: Path,
    step: int,
    spent_s: float,
    module: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    state = {
        "step": step,
        "spent_s": spent_s,
        "module": module.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    partial = folder / "checkpoint.part"
    torch.save(state, partial)
    os.replace(partial, folder / "checkpoint.pt")


def _resume(
    folder: Path, module: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """The step to go on with, and the seconds of training that were spent on those before."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["module"].keys() != module.state_dict().keys():
        raise ValueError(f"{path} is of a run that trained other parts; move it away")
    module.load_state_dict(state["module"])
    average.load_state_dict(state["average"])
    rates = [group["share"] for group in optimizer.param_groups]
    optimizer.load_state_dict(state["optimizer"])
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["share"] = rate  # this run's, not the earlier one's
    logger.info("%s goes on at step %d", folder.name, state["step"])
    return int(state["step"]), float(state.get("spent_s", 0.0))
