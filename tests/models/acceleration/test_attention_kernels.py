"""The quickest attention kernel is looked up by shape; whichever it is, the picture is the same."""

import pytest
import torch
from miniature import make_unet
from torch import Tensor
from torch.nn.attention import SDPBackend

from models.acceleration.attention_kernels import CALLS, ROUNDS, AttentionKernels
from models.acceleration.rewrites import Conditions, UNetBody

MATH, FLASH, CUDNN = SDPBackend.MATH, SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION


def used(query: Tensor, kernels: AttentionKernels) -> set[str]:
    """Names of the kernels that a call runs on a CPU."""
    with torch.profiler.profile() as profile:
        kernels(query, query, query)
    names = {event.key for event in profile.key_averages()}
    return {name for name in names if "scaled_dot_product_" in name and "_for_cpu" in name} | {
        "math" for name in names if name == "aten::_scaled_dot_product_attention_math"
    }


class _Clock:
    """Times what is asked for in turns: torch's own choice first, then each candidate."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds
        self.timed = 0

    def __call__(self, call: object) -> float:
        self.timed += 1
        return self.seconds[(self.timed - 1) % len(self.seconds)]


@pytest.fixture
def query() -> Tensor:
    return torch.rand(1, 2, 16, 8)


@pytest.mark.parametrize(
    ("seconds", "expected"), [((2.0, 1.0), {"math"}), ((1.0, 2.0), set()), ((1.0, 0.99), set())]
)
def test_a_kernel_is_taken_where_it_is_quicker(
    query: Tensor, seconds: tuple[float, float], expected: set[str]
) -> None:
    kernels = AttentionKernels()
    before = kernels(query, query, query)
    clock = _Clock(*seconds)
    kernels.choose(lambda: kernels(query, query, query), clock, (MATH,))
    assert clock.timed == 2 * ROUNDS
    assert used(query, kernels) & {"math"} == expected
    torch.testing.assert_close(kernels(query, query, query), before, rtol=0, atol=1e-5)
    other = torch.rand(1, 2, 9, 8)  # another shape is torch's to choose for
    assert "math" not in used(other, kernels)


def test_a_kernel_that_does_not_take_the_shape_is_passed_over(query: Tensor) -> None:
    kernels = AttentionKernels()
    clock = _Clock(2.0, 1.0)
    kernels.choose(lambda: kernels(query, query, query), clock, (CUDNN, MATH))  # no cuDNN on a CPU
    assert clock.timed == 2 * ROUNDS and "math" in used(query, kernels)


def test_every_shape_of_a_unet_is_timed_once() -> None:
    unet = make_unet()
    body, conditions = UNetBody(unet), Conditions(unet)
    held = conditions(torch.tensor([499]), torch.rand(1, 16, 16))
    latents = torch.rand(1, 4, 6, 8)
    clock = _Clock(2.0, 1.0)
    with torch.no_grad():
        before = body(latents, *held)
        for _ in range(2):
            body.attention.choose(lambda: body(latents, *held), clock, (MATH,))
        # self- and cross-attention of two levels, one of them with as many tokens as the text
        shapes = len(body.attention._table)
        assert shapes >= 2 and clock.timed == 2 * ROUNDS * shapes
        torch.testing.assert_close(body(latents, *held), before, rtol=0, atol=1e-5)


def test_a_trial_is_many_calls(query: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import models.acceleration.attention_kernels as attention

    kernels, calls = AttentionKernels(), []
    plain = attention.F.scaled_dot_product_attention

    def counted(*tensors: Tensor) -> Tensor:
        calls.append(1)
        return plain(*tensors)

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", counted)
    kernels.choose(lambda: kernels(query, query, query), lambda call: call() or 1.0, (MATH,))
    # one to see the shape, one trial of the candidate, then both in rounds
    assert len(calls) == 1 + CALLS + 2 * ROUNDS * CALLS
