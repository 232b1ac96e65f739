"""Muon: momentum whose matrices are made orthogonal before they are taken as a step.

Keller Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the scale of a
step is that of arXiv 2502.16982, equation 4, so that AdamW's learning rates serve. Convolutions are
matrices of (output channels, input channels times places). All that is no matrix gets AdamW.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ROUNDS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial, from the same place."""

RMS = 0.2
"""Root mean square of a step's entries over the learning rate, about AdamW's."""


class Muon(torch.optim.Optimizer):
    """Groups with `"matrices": True` take Muon's steps, all others AdamW's."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, weight_decay: float = 0.0
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "matrices": False}
        super().__init__(groups, {**defaults, "betas": (0.9, 0.99), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            move = self._turned if group["matrices"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(move(parameter, group), alpha=-group["lr"])

    def _turned(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter.grad)
        momentum = state["momentum"].lerp_(parameter.grad, 1 - MOMENTUM)
        ahead = parameter.grad.lerp(momentum, MOMENTUM)
        matrix = orthogonal(ahead.flatten(1))
        turned: Tensor = (matrix * RMS * float(max(matrix.shape)) ** 0.5).view_as(parameter)
        return turned

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = (torch.zeros_like(parameter) for _ in range(2))
        state["step"] += 1
        first, second = group["betas"]
        state["mean"].lerp_(parameter.grad, 1 - first)
        state["square"].lerp_(parameter.grad.square(), 1 - second)
        mean = state["mean"] / (1 - first ** state["step"])
        square = state["square"] / (1 - second ** state["step"])
        step: Tensor = mean / (square.sqrt() + group["eps"])
        return step


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix with the singular vectors of this one and singular values near 1, float32."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    turned: Tensor = (x.T if tall else x).float()
    return turned


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether a parameter is a matrix that is worth turning."""
    return parameter.ndim >= 2 and min(parameter.flatten(1).shape) >= 16
