"""A shortcut is taken where the picture bears it, and only while kernels are chosen."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from miniature import make_engine, make_lcm
from painting import STYLE, assert_same, make_frame, paint, ready
from replays import Recorder

from models import Engine
from models.acceleration.cuda.fp16_accumulation import (
    approximation_for,
    fp16_accumulation,
    keeps_picture,
)
from models.acceleration.cuda.graphs import FrameGraphs


def blurring(engine: Engine, amount: float) -> Callable[[], AbstractContextManager[None]]:
    """A shortcut that moves every weight of the UNet's last layer by a share of itself."""
    predict: Any = engine.networks.predict
    weight = predict.conditions.unet.conv_out.weight

    @contextmanager
    def shortcut() -> Iterator[None]:
        exact = weight.detach().clone()
        weight.data.mul_(1 + amount)
        yield
        weight.data.copy_(exact)

    return shortcut


@pytest.mark.parametrize(("amount", "expected"), [(0.0, True), (0.001, True), (5.0, False)])
def test_the_picture_decides(amount: float, expected: bool) -> None:
    engine = ready(make_engine(make_lcm()))
    frame = make_frame(engine)
    assert keeps_picture(frame, blurring(engine, amount)) == expected
    assert len(frame.output.unique()) > 10  # a picture was painted


def test_a_shortcut_that_spoils_the_picture_is_not_taken() -> None:
    engine = ready(make_engine(make_lcm()))
    engine.painter = FrameGraphs(engine, Recorder(), None, blurring(engine, 5.0))
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    assert not engine.notes


def test_a_shortcut_that_keeps_it_is_on_for_a_capture_and_not_for_a_frame() -> None:
    engine, on = ready(make_engine(make_lcm())), []

    @contextmanager
    def shortcut() -> Iterator[None]:
        on.append(True)
        yield

    engine.painter = FrameGraphs(engine, Recorder(), None, shortcut)
    assert_same(paint(engine, STYLE), paint(make_engine(make_lcm()), STYLE))
    assert engine.notes == ["adds in float16, which this picture bears"]
    before = len(on)
    paint(engine, STYLE)
    assert before > 1 and len(on) == before


def test_the_switch_is_put_back() -> None:
    matmul = SimpleNamespace(allow_fp16_accumulation=False)
    with pytest.raises(RuntimeError), fp16_accumulation(matmul):
        assert matmul.allow_fp16_accumulation
        raise RuntimeError
    assert not matmul.allow_fp16_accumulation


def test_only_geforce_in_float16_has_something_to_gain() -> None:
    assert approximation_for("NVIDIA GeForce RTX 4090", torch.float16) is fp16_accumulation
    assert approximation_for("NVIDIA GeForce RTX 4090", torch.bfloat16) is None
    assert approximation_for("NVIDIA H100 80GB HBM3", torch.float16) is None
