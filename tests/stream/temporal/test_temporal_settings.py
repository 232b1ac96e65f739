"""Temporal: expert settings, the same time constants at any frame rate, and tiny pictures."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from fakes import FakeEngine
from hypothesis import given
from hypothesis import strategies as st
from sequences import GRID, RATE, SIZE_PX, photograph, view, with_noise

from stream.frame import Frame
from stream.stylizer.stylizer import Stylizer
from stream.temporal import Temporal, TemporalSettings, blend
from stream.temporal.state import RECENT_S


@pytest.mark.parametrize(
    "wrong",
    [{"memory": -1}, {"settle_s": float("nan")}, {"shots_kept": 101}, {"most_contrast": 1.1}],
)
def test_setting_outside_its_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"got {next(iter(wrong))}=.*, expected 0 to"):
        TemporalSettings(**wrong)


@pytest.mark.parametrize("look_ahead", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"memory": 3},
        {"settle_s": 0},
        {"cut_difference": 0},
        {"agree_levels": 0},
        {"most_contrast": 0},
    ],
)
def test_each_setting_changes_what_is_shown(changed: dict[str, float], look_ahead: bool) -> None:
    canvas = photograph(4, side_px=SIZE_PX + 150)
    pictures = [with_noise(view(canvas, 3 * min(i, 3)), 4, i) for i in range(10)]

    frames = [Frame(data, index, Fraction(1, RATE), 1) for index, data in enumerate(pictures)]

    def shown(**settings: float) -> list[bytes]:
        stylizer = Stylizer(
            FakeEngine(),
            short_side_px=SIZE_PX,
            look_ahead=look_ahead,
            temporal=TemporalSettings(**settings),
        )
        painted = [done for frame in frames for done in stylizer.process(frame)]
        return [frame.data.tobytes() for frame in (*painted, *stylizer.process(None))]

    plain = shown()
    assert shown() == plain
    assert shown(**changed) != plain


def test_no_shot_kept_is_no_shot_known_again() -> None:
    a, b = view(photograph(1)) // 2 + 30, 255 - view(photograph(2)) // 2
    temporal = Temporal(TemporalSettings(shots_kept=0))
    for index, data in enumerate([a, b, a]):
        decision = temporal.decide(data, GRID, index / RATE, 0.5)
        temporal.mix(data, decision)

    assert decision.is_cut and decision.trail is None


# Frame rates


@given(st.floats(1 / 240, 1 / 10), st.integers(2, 8), st.floats(0.01, 1), st.floats(0.1, 10))
def test_many_short_frames_forget_as_much_as_a_long_one(
    dt_s: float, count: int, stability: float, memory: float
) -> None:
    short, long = (blend.history_weight(t, stability, memory) for t in (dt_s, count * dt_s))

    assert short**count == pytest.approx(long, rel=1e-6)
    assert 0 <= long <= short < 1


@pytest.mark.parametrize("rate", [24, 30, 50, 60, 120])
def test_scene_settles_after_the_same_time_at_any_frame_rate(rate: int) -> None:
    temporal, wanted = Temporal(), TemporalSettings().settle_s
    scene = np.ascontiguousarray(view(photograph(1))[:64, :64] // 2 + 64)
    for index in range(rate):
        data = with_noise(scene, 1, index)
        decision = temporal.decide(data, (8, 8), index / rate, 0.5)
        if decision.is_still:
            break
        temporal.mix(data, decision)

    assert decision.is_still
    # the noise is not known in the first frames: cells may seem to move until they are quiet
    assert wanted - 1e-6 <= index / rate <= wanted + RECENT_S + 1.5 / rate


# Flat, saturated, one pixel high


@pytest.mark.parametrize("size", [(64, 1), (1, 64), (8, 1), (1, 1), (300, 2)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_pictures_a_pixel_high_are_blended_without_nan(size: tuple[int, int], level: int) -> None:
    """Each function by itself, and all together with a cell as high as the picture."""
    width, height = size
    flat = np.full((height, width, 3), level, np.uint8)
    noisy = with_noise(flat, 6, 1)
    grid = max(1, width // 8), max(1, height // 8)
    flow = np.full((max(1, height // 2), max(1, width // 2), 2), 0.4, np.float32)

    assert blend.pulled(noisy, flow).shape == flat.shape
    assert np.isfinite(blend.faded(flow)).all()
    assert np.isfinite(blend.agreement(flat, noisy, grid)).all()
    weight = np.full(flow.shape[:2], 0.5, np.float32)
    mixed = blend.blend(flat, noisy, weight)
    blend.restore(mixed, noisy, weight)
    assert cv2.absdiff(mixed, flat).max() <= cv2.absdiff(noisy, flat).max() + 1
    temporal = Temporal()
    for index, data in enumerate([flat, noisy, flat, with_noise(flat, 6, 2)]):
        decision = temporal.decide(data, grid, index / RATE, 1)
        history = temporal.follow(decision).history
        if history is not None:
            assert np.isfinite(history.weight).all()
        if not decision.is_still:
            assert temporal.mix(data, decision).shape == flat.shape
