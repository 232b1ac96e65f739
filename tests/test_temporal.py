"""Temporal: the blend, what resets it, and the whole through the stylizer."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from fakes import FakeEngine
from sequences import (
    GRID,
    RATE,
    SIZE_PX,
    Picture,
    photograph,
    view,
    with_noise,
)

from models import Style
from stream.frame import Frame
from stream.stylizer import Stylizer
from stream.temporal import Temporal
from stream.temporal.blend import blend, check_stability, history_weight


def frames_of(pictures: list[Picture], rate: int = RATE) -> list[Frame]:
    return [Frame(data, index, Fraction(1, rate), 1) for index, data in enumerate(pictures)]


def paint(pictures: list[Picture], stability: float, rate: int = RATE) -> list[Picture]:
    stylizer = Stylizer(
        FakeEngine(),
        Style(prompt="oil painting"),
        short_side_px=SIZE_PX,
        stability=stability,
    )
    return [stylizer.process(frame)[0].data for frame in frames_of(pictures, rate)]


def difference(a: Picture, b: Picture) -> float:
    return float(np.abs(a.astype(np.int16) - b).mean())


# Blend


def test_history_weight_does_not_depend_on_the_frame_rate() -> None:
    at_30, at_60 = history_weight(1 / 30, 0.5), history_weight(1 / 60, 0.5)

    assert at_60**2 == pytest.approx(at_30)


@pytest.mark.parametrize(
    ("stability", "expected"),
    [(0, 0.0), (0.25, 0.5738), (0.5, 0.7881), (0.75, 0.8703), (1, 0.9200)],
)
def test_history_weight_at_30_frames_a_second(stability: float, expected: float) -> None:
    """exp(-(1/30) / tau) for tau of 0, 60, 140, 240 and 400 ms."""
    assert history_weight(1 / 30, stability) == pytest.approx(expected, abs=1e-4)


def test_blend_is_exact_at_weight_zero_and_for_equal_latents() -> None:
    latents, history = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8) * 100

    assert torch.equal(blend(latents, history, torch.zeros(8, 8)), latents)
    assert torch.equal(blend(latents, latents.clone(), torch.rand(8, 8)), latents)


def test_blend_weighs_each_cell() -> None:
    weight = torch.tensor([[0.0, 0.25], [0.5, 1.0]])

    mixed = blend(torch.zeros(1, 2, 2, 2), torch.ones(1, 2, 2, 2), weight)

    assert torch.equal(mixed[0, 0], weight)


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan")])
def test_stability_outside_its_range_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        check_stability(wrong)


# All together, through the stylizer


def test_static_input_gives_equal_bytes() -> None:
    painted = paint([view(photograph(1))] * 6, stability=1)

    assert len({data.tobytes() for data in painted}) == 1


def test_noise_flickers_less_with_more_stability() -> None:
    picture = view(photograph(1)) // 2 + 64
    pictures = [with_noise(picture, 4, seed) for seed in range(20)]

    flicker = []
    for stability in (0, 0.25, 0.5, 1):
        painted = paint(pictures, stability)[8:]
        flicker.append(np.mean([difference(a, b) for a, b in pairwise(painted)]))

    assert flicker == sorted(flicker, reverse=True)
    assert flicker[2] < 0.5 * flicker[0]


def test_first_frame_after_a_cut_equals_the_per_frame_output() -> None:
    pictures = [view(photograph(1))] * 4 + [255 - view(photograph(2))] * 2

    stable, plain = paint(pictures, 1), paint(pictures, 0)

    assert stable[4].tobytes() == plain[4].tobytes()
    assert stable[5].tobytes() == plain[5].tobytes()


def test_nothing_of_the_old_shot_shows_even_where_both_are_black() -> None:
    """Bars above and below stay as they were; what is beside them must not keep old paint."""
    shots_of_two = []
    for picture in (view(photograph(1)), 255 - view(photograph(2))):
        picture[:40] = picture[-40:] = 0
        shots_of_two += [picture] * 3

    assert paint(shots_of_two, 1)[3].tobytes() == paint(shots_of_two, 0)[3].tobytes()


def test_moving_object_leaves_no_ghost() -> None:
    background = view(photograph(1)) // 3
    pictures = []
    for index in range(10):
        data = background.copy()
        data[96:160, 16 * index : 16 * index + 48] = 240
        pictures.append(data)

    stable, plain = paint(pictures, 1), paint(pictures, 0)

    for index in range(1, 10):
        left = slice(max(0, 16 * index - 64), 16 * index)  # what it has just left
        assert difference(stable[index][96:160, left], plain[index][96:160, left]) < 1


@pytest.mark.parametrize("speed_px", [3.3, 12])
def test_pan_does_not_lag(speed_px: float) -> None:
    """The output is nearer to this frame's plain output than to the one before's."""
    picture = photograph(4, side_px=SIZE_PX + 150)
    pictures = [view(picture, speed_px * index) for index in range(10)]

    stable, plain = paint(pictures, 0.5), paint(pictures, 0)

    for index in range(2, 10):
        now = difference(stable[index], plain[index])
        assert now < 0.5 * difference(stable[index], plain[index - 1])


def test_30_and_60_frames_a_second_settle_alike() -> None:
    """The same half second after a small change, shown in twice as many frames."""
    before = view(photograph(1)) // 2 + 64
    after = before + np.uint8(1)

    slow = paint([before] * 3 + [after] * 9, 1, rate=30)
    fast = paint([before] * 6 + [after] * 18, 1, rate=60)

    assert difference(slow[-1], fast[-1]) < 0.3


@pytest.mark.parametrize("times", [[0, 0], [5, 2], [0, 100]])
def test_time_that_stands_still_jumps_back_or_leaps_starts_afresh(times: list[int]) -> None:
    temporal = Temporal()
    data = view(photograph(1))
    temporal.decide(data, GRID, times[0], 1)
    temporal.update(torch.zeros(1, 4, *GRID))

    assert temporal.decide(data, GRID, times[1], 1).weight is None


def test_reset_forgets_everything() -> None:
    temporal = Temporal()
    data = view(photograph(1))
    temporal.decide(data, GRID, 0, 1)
    temporal.update(torch.zeros(1, 4, *GRID))
    temporal.reset()

    assert temporal.decide(data, GRID, 1 / RATE, 1).weight is None


def test_history_is_a_copy() -> None:
    """An engine may paint every frame into the same memory."""
    temporal = Temporal()
    data = view(photograph(1))
    latents = torch.ones(1, 4, *GRID)
    temporal.decide(data, GRID, 0, 1)
    temporal.update(latents)
    latents.zero_()

    mixed = temporal.mix(latents, temporal.decide(data, GRID, 1 / RATE, 1))

    assert mixed.min() == pytest.approx(history_weight(1 / RATE, 1))


@pytest.mark.parametrize("size", [(8, 8), (64, 8), (512, 512), (1024, 768)])
@pytest.mark.parametrize("kind", ["black", "white", "flat", "noise"])
def test_no_picture_gives_a_weight_out_of_range(kind: str, size: tuple[int, int]) -> None:
    levels = {"black": (0, 1), "white": (255, 256), "flat": (90, 91), "noise": (0, 256)}[kind]
    random = np.random.default_rng(0)
    grid = size[0] // 8, size[1] // 8
    temporal = Temporal()
    for index in range(4):
        data = random.integers(*levels, (size[1], size[0], 3), np.uint8)
        weight = temporal.decide(data, grid, index / RATE, 1).weight
        temporal.update(torch.zeros(1, 4, grid[1], grid[0]))
        if weight is not None:
            assert weight.shape == (grid[1], grid[0])
            assert np.isfinite(weight).all() and weight.min() >= 0 and weight.max() < 1
