"""The stability benchmark: its truths are true, its metrics read what they should, cheats fall."""

import math

import cv2
import numpy as np
import pytest
import stability_gates as gates
import stability_methods as methods
import stability_metrics as metrics
import stability_report as report
import stability_sequences as sequences
import torch
from diffusers.models.attention_processor import Attention
from fakes import FakeEngine
from stability_bank import BankedAttention
from stability_methods import RememberingEngine
from stability_sequences import Clip, clip_of, glide
from stability_statistics import statistics_lock

from models import Style

FRAMES = 12
STYLE = Style(prompt="oil painting")


@pytest.fixture(scope="module")
def canvas() -> np.ndarray:
    return sequences.canvases()[0]


def pan(canvas: np.ndarray, speed_px: float, sigma: float = 0) -> Clip:
    path = [glide(speed_px * index) for index in range(FRAMES)]
    return clip_of("pan", canvas, path, sigma=sigma, is_moving=True)


@pytest.mark.parametrize(
    "step", [{"x_px": 3.3, "y_px": -0.4}, {"zoom": 1.02}, {"degrees": 1.0}, {"x_px": 12}]
)
def test_true_flow_leads_back_to_the_same_colours(canvas: np.ndarray, step: dict) -> None:
    clip = clip_of("step", canvas, [glide(), glide(**step)], sigma=0)

    assert metrics.warp_error(clip.clean, clip) < 5e-5
    standing = Clip(clip.name, clip.pictures, [None, 0 * clip.flows[1]], clip.valid, clip.clean)
    assert metrics.warp_error(clip.clean, standing) > 20 * metrics.warp_error(clip.clean, clip)


def test_what_the_sprite_uncovers_is_not_judged(canvas: np.ndarray) -> None:
    ground = clip_of("ground", canvas, [glide()] * 2)
    clip = sequences.sprite_clip("sprite", ground, canvas[:64, :64].copy(), [20.0, 40.0])

    assert not clip.valid[1][100:150, 22:38].any()
    assert clip.valid[1][110:140, 50:90].all()
    assert metrics.warp_error(clip.clean, clip) < 1e-4


def test_lag_is_read_in_frames(canvas: np.ndarray) -> None:
    clip = pan(canvas, 5)
    late = [clip.clean[max(0, index - 2)] for index in range(FRAMES)]

    assert metrics.lag(clip.clean, clip) == pytest.approx(0, abs=0.1)
    assert metrics.lag(late, clip) == pytest.approx(2, abs=0.1)


def test_motion_gain_tells_moving_from_sticking(canvas: np.ndarray) -> None:
    clip = pan(canvas, 3.3)

    assert metrics.motion_gain(clip.clean, clip) == pytest.approx(1, abs=0.05)
    assert metrics.motion_gain([clip.clean[0]] * FRAMES, clip) == pytest.approx(0, abs=0.02)


def test_sharpness_of_a_blurred_run_is_low(canvas: np.ndarray) -> None:
    clip = pan(canvas, 1)

    assert metrics.sharpness(clip.clean, clip.clean) == 1
    assert metrics.sharpness([cv2.blur(p, (3, 3)) for p in clip.clean], clip.clean) < 0.6


def test_flicker_is_1_for_the_base_and_0_for_what_moves_as_the_input(canvas: np.ndarray) -> None:
    clip = pan(canvas, 3.3)
    base = [sequences.noisy(p, 5, seed) for seed, p in enumerate(clip.clean)]

    assert metrics.relative_flicker(base, base, clip)[1] == pytest.approx(1)
    assert metrics.relative_flicker(clip.clean, base, clip)[1] == pytest.approx(0, abs=0.01)


def test_step_response_counts_frames(canvas: np.ndarray) -> None:
    a, b = canvas[:256, :256], 255 - canvas[:256, :256]
    clip = Clip("cut", [], [], [], [], event=2)
    base = [a] * 2 + [b] * 6
    slow = [a] * 2 + [cv2.addWeighted(a, 0.5**k, b, 1 - 0.5**k, 0) for k in range(1, 7)]

    assert metrics.response(base, base, clip) == 0
    assert metrics.response(slow, base, clip) == 3  # 1/2, 1/4, 1/8, 1/16 < 10 %


def test_bit_equality_and_return_are_shares(canvas: np.ndarray) -> None:
    still = np.ones((256, 256), bool)
    half = canvas[:256, :256].copy()
    half[:128] += 1
    clip = Clip("still", [], [], [], [], still=still, returns=[(12, 0)])

    pictures = [canvas[:256, :256]] * 12 + [half]

    assert metrics.bit_equal(pictures, clip) == pytest.approx((1 + 0.5) / 2)
    assert metrics.returned(pictures, clip) == 0.5


def row(**changed: object) -> gates.Row:
    values: gates.Row = {"method": gates.PER_FRAME, "moving": True, "clip": "pan", "flicker": 1.0}
    values |= {"lag": 0.0, "t90": math.nan, "ghost": math.nan, "sharpness": 1.0, "style": 0.3}
    return values | {"structure": 0.9, "gain": 1.0} | changed


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"lag": 0.6}, "lag"),
        ({"t90": 4.0}, "t90"),
        ({"ghost": 2.1}, "ghost"),
        ({"sharpness": 0.89}, "sharpness"),
        ({"sharpness": 1.16}, "sharpness"),
        ({"style": 0.31}, "style"),
        ({"structure": 0.87}, "structure"),
        ({"gain": 0.8}, "gain"),
    ],
)
def test_each_gate_closes_at_its_limit(changed: gates.Row, gate: str) -> None:
    assert gates.failures(row(), row()) == []
    assert gates.failures(row(**changed), row()) == [gate]


def test_cheats_are_thrown_out_though_they_flicker_less(canvas: np.ndarray) -> None:
    """On a pan, painted by a model of known answer whose paint flickers."""
    clip = pan(canvas, 3.3, sigma=1)
    base = [sequences.noisy(p, 6, 100 + seed) for seed, p in enumerate(clip.clean)]
    cheats = [methods.freeze(base), methods.blur(base), methods.average(base)]

    def measured(name: str, pictures: list[np.ndarray]) -> gates.Row:
        _, flicker = metrics.relative_flicker(pictures, base, clip)
        return row(
            method=name,
            flicker=flicker,
            lag=metrics.lag(pictures, clip),
            gain=metrics.motion_gain(pictures, clip),
            sharpness=metrics.sharpness(pictures, base),
            structure=metrics.structure(pictures, clip),
            style=metrics.style_strength(pictures, clip),
        )

    rows = [measured(gates.PER_FRAME, base)]
    rows += [measured(f"cheat {index}", pictures) for index, pictures in enumerate(cheats)]
    ways = gates.summarise(gates.admit(rows), "cheat 0")["ways"]

    assert [way["admitted"] for way in ways.values()] == [True, False, False, False]


def test_remembered_engine_paints_what_the_engine_paints(canvas: np.ndarray) -> None:
    clip = pan(canvas, 0)
    engine = RememberingEngine(FakeEngine())
    frames = Clip(clip.name, clip.clean[:3], [None] * 3, [None] * 3, clip.clean[:3])

    first = methods.ours(engine, frames, STYLE, 0)
    again = methods.ours(engine, frames, STYLE, 0)

    plain = methods.ours(FakeEngine(), frames, STYLE, 0)
    assert all(
        (a == b).all() and (a == c).all() for a, b, c in zip(first, again, plain, strict=True)
    )
    assert engine.engine.calls.counts["denoise"] == 1  # three equal frames, asked for six times
    assert engine.frames_painted == 6


def test_bank_of_the_same_frame_changes_nothing_and_another_does() -> None:
    """Each key twice is each key once: softmax weights are shared, the mean is the same."""
    torch.manual_seed(0)
    plain = Attention(query_dim=32, heads=4, dim_head=8)
    banked = BankedAttention()
    frame, other = torch.randn(1, 9, 32), torch.randn(1, 9, 32)
    with torch.no_grad():
        wanted = plain(frame)
        plain.set_processor(banked)
        banked.is_banking = True
        assert torch.allclose(plain(frame), wanted, atol=1e-6)  # nothing is banked yet
        banked.is_banking = False
        assert torch.allclose(plain(frame), wanted, atol=1e-6)
        looked_back = plain(other)
        banked.forget()
        assert not torch.allclose(plain(other), looked_back, atol=1e-3)


def test_statistics_lock_leaves_a_still_scene_and_holds_a_moving_one(canvas: np.ndarray) -> None:
    engine = RememberingEngine(FakeEngine())
    still, moving = pan(canvas, 0), pan(canvas, 12)

    for clip, is_held in ((still, False), (moving, True)):
        base = methods.ours(engine, clip, STYLE, 0)
        locked = statistics_lock(engine, clip, STYLE)
        apart = [cv2.absdiff(a, b).max() for a, b in zip(base, locked, strict=True)]
        assert apart[0] <= 1
        assert (max(apart) > 1) == is_held


def test_what_was_not_measured_is_null() -> None:
    assert report.without_nan({"a": [math.nan, 1.5, math.inf], "b": "nan"}) == {
        "a": [None, 1.5, None],
        "b": "nan",
    }


def test_prompt_switch_changes_the_style_at_its_frame(canvas: np.ndarray) -> None:
    clip = pan(canvas, 0)
    clip = Clip(clip.name, clip.pictures, clip.flows, clip.valid, clip.clean, event=5)

    assert {style.prompt for style in methods.styles(clip, STYLE)} == {"oil painting"}
