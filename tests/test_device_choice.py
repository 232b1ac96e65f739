"""Which device a model runs on, and what is said of one that is not there."""

import pytest
import torch

from models import load_engine
from models.loading import choose_device


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="got device='tpu', expected cpu"):
        load_engine("bundled", device="tpu")


@pytest.mark.parametrize(
    ("build", "words"), [(None, "built without CUDA"), ("13.0", "for CUDA 13.0 sees no GPU")]
)
def test_a_gpu_that_is_not_seen_is_refused_with_a_reason(
    monkeypatch: pytest.MonkeyPatch, build: str | None, words: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", build)
    with pytest.raises(ValueError, match=rf"got device='cuda:1', expected cpu\b.*{words}"):
        choose_device("cuda:1")


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(choose_device(name)) for name in ("cuda", "cuda:1")] == ["cuda", "cuda:1"]
    with pytest.raises(ValueError, match="got device='cuda:2', expected cuda:0 to cuda:1"):
        choose_device("cuda:2")
