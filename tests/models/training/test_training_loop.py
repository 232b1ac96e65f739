"""The loop that every training stage shares: it resumes, and computes in what is quick."""

from pathlib import Path

import pytest
import torch

from models.training.loop import Plan, autocast, fit, generator


def test_broken_off_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    plan = Plan(steps=12, warmup_steps=2, checkpoint_every=5)

    def train(folder: Path, break_at: int | None = None) -> torch.Tensor:
        torch.manual_seed(0)
        module = torch.nn.Linear(3, 1)

        def loss(step: int) -> dict[str, torch.Tensor]:
            if step == break_at:
                raise KeyboardInterrupt
            x = torch.randn(8, 3, generator=generator(plan.seed, step))
            return {"square": (module(x) - 1).square().mean()}

        fit(module, loss, plan, folder)
        return module.weight.detach()

    whole = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", break_at=8)
    assert torch.equal(train(tmp_path / "broken"), whole)


@pytest.mark.parametrize("is_quick", [False, True])
def test_bfloat16_only_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, is_quick: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: is_quick)
    ones = torch.ones(2, 2)
    with autocast(torch.device("cpu")):
        assert (ones @ ones).dtype == (torch.bfloat16 if is_quick else torch.float32)
