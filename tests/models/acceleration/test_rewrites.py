"""A UNet in two paints what it painted whole: every miniature, in float32, to 1e-4."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from miniature import (
    SIZE,
    make_engine,
    make_instruct_pix2pix,
    make_lcm,
    make_sdxl,
    make_unet,
    save_bundled_like,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from models import Engine, Style, load_engine
from models.acceleration.rewrites import SplitPredictor, UnsupportedUNetError, split
from models.networks import Predictor

STYLE = Style("oil painting", 0.6, 2, guidance_scale=4.0, seed=5)
TOLERANCE = 1e-4


def make_bundled_like(folder: Path) -> Engine:
    return load_engine(save_bundled_like(folder), device="cpu", dtype=torch.float32)


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "lcm": lambda _: make_engine(make_lcm()),
    "no-guidance": lambda _: make_engine(make_lcm(guidance_width=None)),
    "sdxl": lambda _: make_engine(make_sdxl()),
    "pix2pix": lambda _: make_engine(make_instruct_pix2pix()),
    "bundled": make_bundled_like,
}


def paint(engine: Engine, style: Style, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, SIZE[1], SIZE[0], generator=generator) * 2 - 1
    noise, conditioning = engine.noise(style, SIZE), engine.encode_prompt(style)
    latents = engine.denoise(engine.encode(image), noise, conditioning, engine.schedule(style))
    return engine.decode(latents)


def divided(engine: Engine) -> Engine:
    assert isinstance(engine.networks.predict, Predictor)
    engine.networks = replace(engine.networks, predict=split(engine.networks.predict))
    return engine


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_split_unet_paints_what_the_whole_one_does(
    make: Callable[[Path], Engine], batch: int, tmp_path: Path
) -> None:
    engine = make(tmp_path)
    whole = paint(engine, STYLE, batch)
    torch.testing.assert_close(paint(divided(engine), STYLE, batch), whole, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
def test_changed_style_is_a_fresh_start(make: Callable[[Path], Engine], tmp_path: Path) -> None:
    engine = divided(make(tmp_path))
    paint(engine, STYLE)
    other = replace(STYLE, prompt="neon", strength=0.9, guidance_scale=7.0, seed=9)
    expected = paint(divided(make(tmp_path)), other)
    assert torch.equal(paint(engine, other), expected)


def test_the_whole_unet_still_works_beside_the_split_one() -> None:
    engine = make_engine(make_lcm())
    before, plain = paint(engine, STYLE), engine.networks
    paint(divided(engine), STYLE)
    engine.networks = plain
    assert torch.equal(paint(engine, STYLE), before)


def test_weights_are_shared_not_copied() -> None:
    unet = make_unet()
    body = split(Predictor(unet)).body
    addresses = {parameter.data_ptr() for parameter in unet.parameters()}
    assert {parameter.data_ptr() for parameter in body.parameters()} <= addresses


def test_weights_written_in_place_are_seen_by_both_halves() -> None:
    def rescaled(engine: Engine, unet: Any) -> Tensor:
        for parameter in unet.parameters():
            parameter.data.mul_(1.25)
        return paint(engine, STYLE)

    plain, engine = make_engine(make_lcm()), make_engine(make_lcm())
    assert isinstance(plain.networks.predict, Predictor)
    assert isinstance(engine.networks.predict, Predictor)
    expected = rescaled(plain, plain.networks.predict.unet)
    unet = engine.networks.predict.unet
    painted = rescaled(divided(engine), unet)
    torch.testing.assert_close(painted, expected, rtol=0, atol=TOLERANCE)


def test_conditions_are_worked_out_once_a_step() -> None:
    engine = divided(make_engine(make_lcm()))
    predict = engine.networks.predict
    assert isinstance(predict, SplitPredictor)
    calls: list[int] = []
    predict.conditions.register_forward_hook(lambda *_: calls.append(1))
    noise, conditioning = engine.noise(STYLE, SIZE), engine.encode_prompt(STYLE)
    schedule = engine.schedule(STYLE)
    for _ in range(3):
        engine.denoise(torch.zeros(1, 4, 6, 8), noise, conditioning, schedule)
    assert len(calls) == STYLE.num_inference_steps


def test_conditions_are_worked_out_once_a_step_for_several_frames_with_guidance() -> None:
    """Two rows of conditions a frame, which are laid out anew for each number of frames."""
    engine = divided(make_engine(make_lcm(guidance_width=None)))
    predict = engine.networks.predict
    assert isinstance(predict, SplitPredictor)
    calls: list[int] = []
    predict.conditions.register_forward_hook(lambda *_: calls.append(1))
    noise, conditioning = engine.noise(STYLE, SIZE), engine.encode_prompt(STYLE)
    assert len(conditioning.prompt_embeds) == 2
    schedule = engine.schedule(STYLE)
    for _ in range(3):
        engine.denoise(torch.zeros(3, 4, 6, 8), noise, conditioning, schedule)
    assert len(calls) == STYLE.num_inference_steps


def test_conditions_of_old_styles_are_forgotten() -> None:
    engine = divided(make_engine(make_lcm()))
    predict = engine.networks.predict
    assert isinstance(predict, SplitPredictor)
    for index in range(20):
        paint(engine, replace(STYLE, prompt=str(index)))
    assert len(predict._known) <= 8


def test_a_frame_multiplies_less() -> None:
    predictor = Predictor(make_unet())
    latents, timestep, text = torch.zeros(1, 4, 8, 8), torch.tensor([499]), torch.zeros(1, 16, 16)
    divided_predictor = split(predictor)
    divided_predictor(latents, timestep, text, None, None)  # works out the conditions

    def flops(call: Callable[[], Tensor]) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            call()
        return counter.get_total_flops()

    whole = flops(lambda: predictor(latents, timestep, text))
    assert flops(lambda: divided_predictor(latents, timestep, text, None, None)) < whole


@pytest.mark.parametrize(
    "changes",
    [
        {"class_embed_type": "timestep", "time_embedding_type": "positional"},
        {"down_block_types": ("DownBlock2D", "AttnDownBlock2D")},
        {"encoder_hid_dim": 16, "encoder_hid_dim_type": "text_proj"},
    ],
    ids=["class", "attention-block", "projection"],
)
def test_unknown_parts_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedUNetError):
        split(Predictor(make_unet(**changes)))
