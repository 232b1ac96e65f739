"""Temporal: the blend, what resets it, and the whole through the stylizer."""

from collections import deque
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from fakes import FakeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
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
from stream.stylizer.stylizer import Stylizer
from stream.temporal import Decision, Temporal, blend, mixing
from stream.temporal.blend import check_stability, history_weight
from stream.temporal.mixing import History


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
    [(0, 0.0), (0.25, 0.3292), (0.5, 0.5738), (0.75, 0.6756), (1, 0.7386)],
)
def test_history_weight_at_30_frames_a_second(stability: float, expected: float) -> None:
    """exp(-(1/30) / tau) for tau of 0, 30, 60, 85 and 110 ms."""
    assert history_weight(1 / 30, stability) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("by", [1, 2])
def test_history_is_pulled_along_the_flow(by: int) -> None:
    """Flow of (3, -1) px at any reduction: what is at p now was at p + 3 by right, by up."""
    data = view(photograph(1))
    flow = np.zeros((SIZE_PX // by, SIZE_PX // by, 2), np.float32)
    flow[..., 0], flow[..., 1] = 3, -1

    moved = blend.pulled(data, flow)

    assert (moved[8:-8, 8:-8] == data[8 - by : -8 - by, 8 + 3 * by : 3 * by - 8 or None]).all()


def test_part_of_a_picture_is_pulled_as_in_the_whole() -> None:
    data = view(photograph(1))
    flow = np.random.default_rng(0).normal(0, 4, (SIZE_PX // 4, SIZE_PX // 4, 2))
    flow = cv2.blur(flow.astype(np.float32), (5, 5))

    part = blend.pulled(data, flow[10:30, 20:50], to=(120, 80), at=(80, 40))

    inner = np.s_[8:-8, 8:-8]
    assert (part[inner] == blend.pulled(data, flow)[40:120, 80:200][inner]).all()


def test_only_around_open_cells_is_anything_mixed() -> None:
    """Two open cells are what mixing gives, up to rounding; the rest keeps its bytes."""
    random = np.random.default_rng(0)
    old, new = view(photograph(1)), with_noise(view(photograph(1)), 3, 1)
    copied = np.ones(GRID[::-1], np.uint8)
    copied[4:6, 7] = 0
    side = SIZE_PX // 2
    weight = np.full((side, side), 0.6, np.float32)
    flow = cv2.blur(random.normal(0, 2, (side, side, 2)).astype(np.float32), (9, 9))

    mixed = mixing.Mixer().mix(old, new, History(weight, flow, copied), GRID)

    part = mixing.Box(4, 1, 7, 8, GRID)
    pulled = part.of(blend.pulled(old, flow))
    agreed = cv2.resize(blend.agreement(pulled, part.of(new), (7, 8)), (28, 32))
    kept = part.of(weight) * agreed
    wanted = blend.blend(pulled, part.of(new), kept)
    blend.restore(wanted, part.of(new), kept)
    is_open = cv2.resize(1 - copied, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST) > 0
    assert (mixed[~is_open] == old[~is_open]).all()
    assert cv2.absdiff(mixed[is_open], wanted[part.of(is_open)]).max() <= 1
    assert (mixed != old)[is_open].any() and (mixed != new)[is_open].any()


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan")])
def test_stability_outside_its_range_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        check_stability(wrong)


# All together, through the stylizer


def test_static_input_gives_equal_bytes() -> None:
    painted = paint([view(photograph(1))] * 6, stability=1)

    assert len({data.tobytes() for data in painted}) == 1


def test_noise_flickers_less_than_per_frame() -> None:
    picture = view(photograph(1)) // 2 + 64
    pictures = [with_noise(picture, 4, seed) for seed in range(20)]

    flicker = []
    for stability in (0, 0.25, 0.5, 1):
        painted = paint(pictures, stability)[1:]
        flicker.append(np.mean([difference(a, b) for a, b in pairwise(painted)]))

    assert max(flicker[1:]) < 0.5 * flicker[0]


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
        assert difference(stable[index][96:160, left], plain[index][96:160, left]) < 2


@pytest.mark.parametrize("speed_px", [3.3, 12])
def test_pan_does_not_lag(speed_px: float) -> None:
    """The output is nearer to this frame's plain output than to the one before's."""
    picture = photograph(4, side_px=SIZE_PX + 150)
    pictures = [view(picture, speed_px * index) for index in range(10)]

    stable, plain = paint(pictures, 0.5), paint(pictures, 0)

    for index in range(2, 10):
        now = difference(stable[index], plain[index])
        assert now < difference(stable[index], plain[index - 1])


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
    for data, time_s in zip((view(photograph(1)), view(photograph(2))), times, strict=True):
        decision = temporal.decide(data, GRID, time_s, 1)
        temporal.mix(data, decision)

    assert decision.is_cut and decision.trail is None


def test_frames_shown_twice_or_thrice_are_remembered_as_long() -> None:
    """24 frames a second in a stream of 48 or 72: history lasts a time, not a number of frames."""
    canvas = photograph(4, side_px=SIZE_PX + 150)
    views = [view(canvas, 2 * index) for index in range(10)]

    outs = [
        paint([data for data in views for _ in range(times)], 1, rate=24 * times)
        for times in (1, 2, 3)
    ]

    assert all(np.array_equal(outs[0][-1], other[-1]) for other in outs[1:])


def test_picture_that_stands_for_seconds_is_no_new_shot() -> None:
    engine, data = FakeEngine(), view(photograph(1))
    stylizer = Stylizer(engine, short_side_px=SIZE_PX, stability=0.5)
    for index in range(6):
        stylizer.process(Frame(data, 2 * index, Fraction(1)))

    assert engine.calls.counts["denoise"] == 1
    assert stylizer.stats.events == {"still": 5}


def test_reset_forgets_everything() -> None:
    temporal = Temporal()
    data = view(photograph(1))
    temporal.mix(data, temporal.decide(data, GRID, 0, 1))
    temporal.reset()

    decision = temporal.decide(data, GRID, 1 / RATE, 1)
    assert not decision.is_still and decision.trail is None
    assert decision.canvas is not None and decision.canvas.shown is None


# What is copied


def test_noise_on_a_still_picture_is_not_painted_once_settled() -> None:
    engine = FakeEngine()
    stylizer = Stylizer(engine, short_side_px=SIZE_PX, stability=0.5)
    picture = view(photograph(1)) // 2 + 64
    frames = frames_of([with_noise(picture, 2, seed) for seed in range(30)])

    outs = [stylizer.process(frame)[0].data.tobytes() for frame in frames]

    assert len(set(outs[10:])) == 1
    assert engine.calls.counts["denoise"] <= 12
    assert stylizer.stats.events["still"] >= 18


def test_repeated_frame_is_not_painted_again() -> None:
    engine = FakeEngine()
    stylizer = Stylizer(engine, short_side_px=SIZE_PX, stability=0.5)
    canvas = photograph(4, side_px=SIZE_PX + 150)
    pictures = [view(canvas, 6 * (index // 2)) for index in range(12)]

    outs = [stylizer.process(frame)[0].data.tobytes() for frame in frames_of(pictures, 60)]

    assert engine.calls.counts["denoise"] == 6
    assert outs[::2] == outs[1::2]


def test_background_keeps_its_bytes_behind_a_moving_object() -> None:
    background = view(photograph(1)) // 2 + 40
    pictures = []
    for index in range(24):
        data = background.copy()
        data[96:144, 4 * index : 4 * index + 40] = 240
        pictures.append(with_noise(data, 2, index))

    painted = paint(pictures, 0.5)

    assert all((a[176:] == b[176:]).all() for a, b in pairwise(painted[10:]))
    assert not all((a[96:144] == b[96:144]).all() for a, b in pairwise(painted[10:]))


@pytest.mark.parametrize("gap", [1, 3])
def test_shot_that_comes_back_has_its_paint_again(gap: int) -> None:
    """A|B|A, and a flash: the very bytes of before, and nothing painted anew."""
    a, b = view(photograph(1)) // 2 + 30, 255 - view(photograph(2)) // 2
    pictures = [with_noise(p, 2, i) for i, p in enumerate([a] * 12 + [b] * gap + [a] * 2)]

    painted = paint(pictures, 0.5)

    assert painted[12 + gap].tobytes() == painted[11].tobytes()
    assert painted[13 + gap].tobytes() == painted[11].tobytes()


@pytest.mark.parametrize("behind", [1, 5, 30])
def test_pictures_may_come_later_than_the_next_decisions(behind: int) -> None:
    """Across a cut, back again and over stills: the very bytes of frame by frame."""
    a, b = ([view(photograph(seed), 3 * index) for index in range(6)] for seed in (1, 2))
    pictures = [*a, *[a[-1]] * 2, *b, *(with_noise(data, 2, 7) for data in a[-4:])]
    outs = []
    for most in (0, behind):
        temporal, waiting, shown = Temporal(), deque[tuple[Picture, Decision]](), []
        for index, data in enumerate(pictures):
            waiting.append((data, temporal.decide(data, GRID, index / RATE, 0.5)))
            while len(waiting) > (most if index + 1 < len(pictures) else 0):
                data, decision = waiting.popleft()
                painted = None if decision.is_still else temporal.mix(data, decision)
                assert decision.canvas is not None
                shown.append(decision.canvas.shown if painted is None else painted)
        outs.append([data.tobytes() for data in shown if data is not None])

    assert len(outs[0]) == len(pictures)
    assert outs[0] == outs[1]


def test_pause_in_a_still_scene_changes_nothing() -> None:
    temporal = Temporal()
    picture = view(photograph(1)) // 2 + 64
    for index in range(12):
        data = with_noise(picture, 2, index)
        decision = temporal.decide(data, GRID, index / RATE, 0.5)
        if not decision.is_still:
            shown = temporal.mix(data, decision)

    later = temporal.decide(with_noise(picture, 2, 99), GRID, 60, 0.5)
    assert later.is_still
    assert later.canvas is not None and later.canvas.shown is shown


def test_style_change_forgets_the_other_shots_too() -> None:
    a, b = view(photograph(1)), 255 - view(photograph(2))
    stylizer = Stylizer(FakeEngine(), Style(prompt="oil painting"), short_side_px=SIZE_PX)
    outs = []
    for index, frame in enumerate(frames_of([a, a, b, a])):
        if index == 2:
            stylizer.style = Style(prompt="neon")
        outs.append(stylizer.process(frame)[0].data)

    fresh = Stylizer(FakeEngine(), Style(prompt="neon"), short_side_px=SIZE_PX)
    assert (outs[3] == fresh.process(frames_of([a])[0])[0].data).all()


# Nothing breaks it


@pytest.mark.parametrize("size", [(16, 16), (64, 16), (256, 256), (512, 384)])
@pytest.mark.parametrize("kind", ["black", "white", "flat", "noise"])
def test_no_picture_gives_a_weight_out_of_range(kind: str, size: tuple[int, int]) -> None:
    levels = {"black": (0, 1), "white": (255, 256), "flat": (90, 91), "noise": (0, 256)}[kind]
    random = np.random.default_rng(0)
    temporal = Temporal()
    for index in range(4):
        data = random.integers(*levels, (size[1], size[0], 3), np.uint8)
        decision = temporal.decide(data, (size[0] // 8, size[1] // 8), index / RATE, 1)
        if decision.is_still:
            continue
        shown = temporal.mix(data, decision)
        assert shown.shape == data.shape and shown.dtype == np.uint8
        history = temporal.follow(decision).history
        if history is not None:
            assert np.isfinite(history.weight).all()
            assert history.weight.min() >= 0 and history.weight.max() <= 1


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 120),
    st.floats(0.01, 1),
    st.integers(0, 100),
)
@settings(max_examples=30, deadline=None)
def test_any_size_rate_and_stability_runs(
    cells: tuple[int, int], rate: int, stability: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    temporal = Temporal()
    data = random.integers(0, 256, (8 * cells[1], 8 * cells[0], 3), np.uint8)
    for index in range(5):
        data = np.roll(with_noise(data, 1, seed), index % 3, axis=1)
        decision = temporal.decide(data, cells, index / rate, stability)
        if not decision.is_still:
            assert temporal.mix(data, decision).shape == data.shape
