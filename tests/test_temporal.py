"""Temporal stability: cuts, the gate, the blend, on generated sequences of known motion."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from fakes import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import Style
from stream.frame import Frame
from stream.stylizer import Stylizer
from stream.temporal import Decision, Temporal, gate, shots
from stream.temporal.blend import blend, check_stability, history_weight

CLIPS = Path(__file__).resolve().parent.parent / "examples" / "clips"
SIZE_PX = 256
GRID = (32, 32)
RATE = 30

Picture = NDArray[np.uint8]


def photograph(seed: int, side_px: int = SIZE_PX + 64) -> Picture:
    """A picture with soft fields, edges and fine texture, in its own colours."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((cells, cells, 3)), (side_px, side_px), interpolation=how) * weight
        for cells, weight, how in (
            (4, 0.5, cv2.INTER_CUBIC),
            (20, 0.25, cv2.INTER_NEAREST),
            (120, 0.25, cv2.INTER_CUBIC),
        )
    ]
    return (np.clip(sum(layers), 0, 1) * 255).astype(np.uint8)


def view(picture: Picture, x_px: float = 0.0) -> Picture:
    """A window into the picture, moved to the right by a part of a pixel or more."""
    shift = np.float64([[1, 0, -x_px], [0, 1, 0]])
    return np.ascontiguousarray(
        cv2.warpAffine(picture, shift, (SIZE_PX, SIZE_PX), flags=cv2.INTER_CUBIC)
    )


def with_noise(data: Picture, sigma: float, seed: int) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, data.shape)
    return np.clip(data + noise, 0, 255).round().astype(np.uint8)


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


def decide_all(pictures: list[Picture], stability: float = 0.5) -> list[Decision]:
    temporal, decisions = Temporal(), []
    for index, data in enumerate(pictures):
        decisions.append(temporal.decide(data, GRID, index / RATE, stability))
        temporal.update(torch.zeros(1, 4, *GRID))
    return decisions


def clip_pictures(name: str) -> list[Picture]:
    with av.open(str(CLIPS / name)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# Shots


def test_same_picture_has_no_content_difference() -> None:
    small = shots.thumbnail(photograph(1))

    assert shots.content_difference(small, small) == 0


def test_other_picture_is_a_cut() -> None:
    now, then = shots.thumbnail(255 - photograph(1)), shots.thumbnail(photograph(2))

    assert shots.content_difference(now, then) > shots.CUT_DIFFERENCE


def test_hue_is_a_circle() -> None:
    """Two reds on either side of 0 degrees are neighbours."""
    red = np.full((8, 8, 3), (200, 10, 20), np.uint8)
    other_red = np.full((8, 8, 3), (200, 20, 10), np.uint8)

    assert shots.content_difference(shots.thumbnail(red), shots.thumbnail(other_red)) < 5


def test_hue_of_grey_does_not_count() -> None:
    """Grey with a breath of colour has any hue; that is noise, not a cut."""
    random = np.random.default_rng(0)
    pictures = [random.integers(126, 131, (128, 128, 3), np.uint8) for _ in range(2)]

    assert shots.content_difference(*map(shots.thumbnail, pictures)) < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (4000, 3)])
def test_thumbnail_of_any_shape_is_small(size: tuple[int, int]) -> None:
    small = shots.thumbnail(np.zeros((size[1], size[0], 3), np.uint8))

    assert max(small.shape) <= shots.THUMBNAIL_PX and min(small.shape) >= 1


def test_cut_is_seen_in_its_first_frame_and_only_there() -> None:
    a, b = photograph(1), 255 - photograph(2)
    pictures = [view(a, x) for x in (0, 3, 6)] + [view(b, x) for x in (0, 3, 6)]

    assert [decision.is_cut for decision in decide_all(pictures)] == [False] * 3 + [True] + [
        False
    ] * 2


@pytest.mark.parametrize("clip", ["bunny.mp4", "face.mp4"])
def test_clip_without_a_cut_has_none(clip: str) -> None:
    pictures = [cv2.resize(data, (SIZE_PX, SIZE_PX)) for data in clip_pictures(clip)[::2]]

    assert not any(decision.is_cut for decision in decide_all(pictures))


def test_fast_pan_is_no_cut() -> None:
    picture = cv2.resize(clip_pictures("bunny.mp4")[0], (400, 300))
    pictures = [view(picture, 6 * index) for index in range(10)]  # a width in 1.4 s

    assert not any(decision.is_cut for decision in decide_all(pictures))


# Gate


def test_unchanged_picture_is_trusted_everywhere() -> None:
    data = view(photograph(1))

    assert decide_all([data, data])[1].weight == pytest.approx(history_weight(1 / RATE, 0.5))


@pytest.mark.parametrize("sigma", [1, 2, 4, 8])
def test_sensor_noise_does_not_open_the_gate(sigma: float) -> None:
    picture = view(photograph(1)) // 2 + 64
    decisions = decide_all([with_noise(picture, sigma, seed) for seed in range(10)])

    full = history_weight(1 / RATE, 0.5)
    assert np.mean([decision.weight for decision in decisions[2:]]) > 0.97 * full


@pytest.mark.parametrize("sigma", [1.0, 3.0, 5.0])
def test_sensor_noise_is_estimated(sigma: float) -> None:
    """On a picture with flat parts, still or moving, to within a third."""
    flat = np.full((SIZE_PX, SIZE_PX), 120, np.uint8)
    flat[:, 100:] = photograph(1)[:SIZE_PX, : SIZE_PX - 100, 0]
    pair = [with_noise(flat, sigma, seed) for seed in (1, 2)]
    moved = np.roll(pair[1], 5, axis=0)

    for now in (pair[1], moved):
        estimate = gate.sensor_noise(now, gate.pixel_change(now, pair[0], GRID))
        assert estimate == pytest.approx(sigma, rel=0.34)


def test_moved_object_takes_the_new_paint_and_the_rest_keeps_the_old() -> None:
    background = view(photograph(1)) // 3
    pictures = []
    for x in (40, 60):
        data = background.copy()
        data[100:140, x : x + 40] = 230
        pictures.append(data)

    weight = decide_all(pictures)[1].weight

    assert weight is not None
    assert weight[13:17, 5:7].max() < 0.01  # where it was
    assert weight[13:17, 10:12].max() < 0.01  # where it is
    assert weight[:8].min() == pytest.approx(history_weight(1 / RATE, 0.5))


def test_texture_that_moves_without_changing_its_mean_is_noticed() -> None:
    stripes = np.tile(np.array([100, 100, 140, 140], np.uint8), (SIZE_PX, SIZE_PX // 4))
    data = np.repeat(stripes[..., np.newaxis], 3, axis=2)
    moved = np.roll(data, 2, axis=1)
    assert np.abs(gate.look_at(data, GRID).cells - gate.look_at(moved, GRID).cells).max() < 1

    weight = decide_all([data, moved])[1].weight

    assert weight is not None and weight.max() < 0.01


def test_slow_drift_is_noticed_before_it_adds_up() -> None:
    """A light that changes by half a level a frame never differs from the frame before."""
    picture = view(photograph(1)) // 2
    decisions = decide_all([picture + np.uint8(i // 2) for i in range(120)], stability=1)

    lags = []
    shown = 0.0
    for index, decision in enumerate(decisions):
        weight = 0.0 if decision.weight is None else float(decision.weight.mean())
        shown = weight * shown + (1 - weight) * (index // 2)
        lags.append(index // 2 - shown)
    assert max(lags) < 4


def test_confidence_falls_off_without_a_seam() -> None:
    means = np.zeros((16, 16), np.float32)
    means[8, 8] = 100
    confidence = gate.confidence(means, np.zeros_like(means), 1.0, 64)

    row = confidence[8]
    assert row[8] == 0
    assert np.abs(np.diff(row)).max() <= 0.34
    assert row[4] == row[12] == pytest.approx(1)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.3, 6),
    st.sampled_from([16.0, 64.0]),
)
@settings(max_examples=50)
def test_cell_is_never_trusted_more_than_it_was_alone(
    seed: int, noise: float, cell_px: float
) -> None:
    means = np.random.default_rng(seed).exponential(3, (12, 20)).astype(np.float32)
    confidence = gate.confidence(means, np.zeros_like(means), noise, cell_px)

    assert (confidence >= 0).all() and (confidence <= 1 + 1e-6).all()
    for row, column in ((0, 0), (5, 7), (11, 19)):
        same = np.full_like(means, means[row, column])
        alone = gate.confidence(same, np.zeros_like(same), noise, cell_px)[row, column]
        assert confidence[row, column] <= alone + 1e-6


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
