"""LoRAs switched while an engine paints equal LoRAs fused before; nothing is captured again."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fakes import make_frames
from miniature import make_engine, make_lcm
from painting import STYLE, divided, make_lora, paint
from replays import Recorder

from models import Engine, ModelFormatError
from models.acceleration.cuda.graphs import FrameGraphs
from models.weights.lora import LoraFile, fuse_lora
from models.weights.lora_switching import Loras
from stream import Stylizer


def fused(*loras: tuple[LoraFile, float]) -> np.ndarray[Any, Any]:
    """What a fresh start with these LoRAs paints."""
    pipeline = make_lcm()
    for lora, weight in loras:
        modules = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
        fuse_lora(lora, modules, weight)
    return paint(make_engine(pipeline), STYLE)


def plain(_: Recorder) -> Engine:
    return make_engine(make_lcm())


def rewritten(_: Recorder) -> Engine:
    return divided(plain(_))


def graphed(device: Recorder) -> Engine:
    engine = rewritten(device)
    engine.painter = FrameGraphs(engine, device)
    return engine


@pytest.mark.parametrize("make", [plain, rewritten, graphed])
def test_switched_loras_are_a_fresh_start(make: Callable[[Recorder], Engine]) -> None:
    device = Recorder()
    engine, one, two = make(device), make_lora(1), make_lora(2)
    loras = Loras(engine)
    bare = paint(engine, STYLE)
    sets: list[list[tuple[LoraFile, float]]] = [[(one, 1.0)], [(one, 0.4), (two, -0.7)], [], []]
    painted = []
    for chosen in sets:
        loras.set(chosen)
        painted.append(paint(engine, STYLE))
        difference = painted[-1].astype(int) - fused(*chosen).astype(int)
        assert np.abs(difference).max() <= 1
    assert engine.revision == len(sets)
    assert np.array_equal(painted[-1], bare)  # nothing is left of any of them
    assert not np.array_equal(painted[0], painted[1])
    assert device.captures == (make is graphed)


def test_weights_come_back_to_the_bit() -> None:
    engine = plain(Recorder())
    predict: Any = engine.networks.predict
    before = {name: p.clone() for name, p in predict.unet.named_parameters()}
    loras = Loras(engine)
    for seed in range(3):
        loras.set([(make_lora(seed), 0.9)])
    loras.set([])
    for name, parameter in predict.unet.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("layer", ["unet.mid_block.resnets.0.time_emb_proj", "unet.nowhere"])
def test_a_lora_that_does_not_fit_changes_nothing(layer: str) -> None:
    engine, good = plain(Recorder()), (make_lora(1), 1.0)
    loras = Loras(engine)
    loras.set([good])
    before, revision = paint(engine, STYLE), engine.revision
    with pytest.raises(ModelFormatError, match=r"another shape|has not"):
        loras.set([(make_lora(2), 1.0), (make_lora(3, {layer: (16, 16)}), 1.0)])
    with pytest.raises(ValueError, match="got weight nan"):
        loras.set([good, (make_lora(2), float("nan"))])
    assert engine.revision == revision
    assert np.array_equal(paint(engine, STYLE), before)


def test_copied_weights_are_refused() -> None:
    engine = plain(Recorder())
    from dataclasses import replace

    engine.networks = replace(engine.networks, predict=lambda *_: torch.zeros(1))
    with pytest.raises(ValueError, match="copies of its weights"):
        Loras(engine)


def test_stylizer_encodes_the_prompt_again_for_another_lora() -> None:
    engine = make_engine(make_lcm())
    stylizer = Stylizer(engine, STYLE, short_side_px=64, stability=0, output_size="model")
    frame, *_ = make_frames(1, (64, 64))
    before = stylizer.process(frame)[0].data
    Loras(engine).set([(make_lora(1), 1.0)])
    after = stylizer.process(frame)[0].data
    fresh = Stylizer(engine, STYLE, short_side_px=64, stability=0, output_size="model")
    assert np.array_equal(after, fresh.process(frame)[0].data)
    assert not np.array_equal(after, before)
