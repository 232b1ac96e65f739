"""Which device a model runs on, and what is said of one that is not there."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from miniature import SIZE, make_engine, make_instruct_pix2pix, make_lcm, make_sdxl
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models import Style, load_engine
from models.acceleration.choice import check_acceleration, loading_dtype
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


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A machine whose one GPU is Apple's."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    return torch.device("mps")


def test_apples_gpu_is_taken_where_there_is_no_other(apple: torch.device) -> None:
    assert choose_device(None) == choose_device("mps") == apple
    assert loading_dtype("auto", apple, None) == torch.float16


def test_apples_gpu_is_painted_on_plainly(apple: torch.device) -> None:
    for acceleration in ("auto", "off"):
        check_acceleration(acceleration, apple, None)
    with pytest.raises(ValueError, match="acceleration='openvino' on mps, expected auto, off"):
        check_acceleration("openvino", apple, None)
    with pytest.raises(ValueError, match="compile='now' on mps"):
        check_acceleration("auto", apple, None, "now")


class _NoDoubles(TorchDispatchMode):
    """Apple's GPU has no float64; and what is elsewhere is not there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "meta":
                assert tensor.dtype not in (torch.float64, torch.complex128), func.name()
        return result


@pytest.mark.parametrize("make", [make_lcm, make_sdxl, make_instruct_pix2pix])
def test_a_frame_on_another_device_needs_no_float64_and_stays_there(
    make: Callable[[], Any],
) -> None:
    device = torch.device("meta")  # has shapes and devices, and no numbers
    plain = make_engine(make())
    engine = make_engine(make().to(device), device=device)
    style = Style("oil painting", 0.6, 2, guidance_scale=4.0)
    given = plain.encode_prompt(style)
    moved = {
        field.name: value.to(device)
        for field in fields(given)
        if isinstance(value := getattr(given, field.name), torch.Tensor)
    }
    image = torch.zeros(1, 3, SIZE[1], SIZE[0], device=device)
    with _NoDoubles():
        latents = engine.denoise(
            engine.encode(image),
            plain.noise(style, SIZE).to(device),
            replace(given, **moved),
            engine.schedule(style),
        )
        painted = engine.decode(latents)
    assert painted.shape == image.shape and painted.device == device
