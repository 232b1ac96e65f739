"""LiveStylizer, presenter, carried motion: what a look makes of a frame, and what moves."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeEngine, ListSink, make_frames
from live_fakes import make_painter
from PIL import Image

from models import Style
from stream.clock import ManualClock
from stream.frame import Frame, Size
from stream.geometry import OutputSize
from stream.live.controls import Look
from stream.live.fan_out import FanOut, Outlet
from stream.live.live_stylizer import EASE_S
from stream.live.motion_carry import Carrier, make_reference
from stream.live.presenter import Presenter, compose
from stream.stats import Stats

LOOK = Look(Style(), stability=0.0, transition_s=0.0)
SIZE = (64, 48)


def texture(size: tuple[int, int], seed: int) -> np.ndarray:
    """uint8 RGB with soft fields and finer marks, which flow can hold on to."""
    random = np.random.default_rng(seed)
    fields = [
        cv2.resize(random.random((n, n, 3)), size, interpolation=cv2.INTER_CUBIC) for n in (6, 30)
    ]
    return (np.clip(sum(fields) / 2, 0, 1) * 255).astype(np.uint8)


def at(frame: Frame, captured_at_s: float) -> Frame:
    return frame.replace(frame.data, captured_at_s=captured_at_s)


class SlowEngine(FakeEngine):
    """Each painting takes as long as is told, by the clock."""

    def __init__(self, clock: ManualClock, paint_s: float) -> None:
        super().__init__()
        self.clock = clock
        self.paint_s = paint_s

    def denoise(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.clock.advance(self.paint_s)
        return super().denoise(*args)


# Painting


def test_a_new_style_shows_in_the_next_frame() -> None:
    painter, frame = make_painter(), make_frames(1)[0]
    plain = painter.paint(frame, LOOK)
    other = painter.paint(frame, replace(LOOK, style=Style(prompt="neon")))
    assert not np.array_equal(plain.data, other.data)


def test_a_transition_mixes_old_and_new_by_time() -> None:
    clock = ManualClock()
    painter, frame = make_painter(clock=clock), make_frames(1)[0]
    other = replace(LOOK, style=Style(prompt="neon"), transition_s=1.0)
    old = painter.paint(frame, LOOK).data.astype(int)
    first = painter.paint(frame, other).data.astype(int)
    clock.advance(0.5)
    middle = painter.paint(frame, other).data.astype(int)
    clock.advance(0.6)
    new = painter.paint(frame, other).data.astype(int)
    assert np.abs(first - old).max() <= 1
    assert np.abs(middle - (old + new) / 2).max() <= 1
    assert np.abs(new - old).max() > 1


@pytest.mark.parametrize(
    ("pause_s", "transition_s", "level", "fades"),
    [
        (0.5, 0.5, 235, True),
        (600, 0.5, 235, False),
        (2.0, 5.0, 235, True),
        (600, 5.0, 235, False),
        (0.5, 0.5, 10, False),
    ],
    ids=["fresh", "old", "slow", "old and slow", "another scene"],
)
def test_only_a_fresh_painting_of_the_scene_is_faded_from(
    pause_s: float, transition_s: float, level: int, fades: bool
) -> None:
    """After a bypass the scene may be another: the old one is no ghost in the new one."""
    clock = ManualClock()
    painter = make_painter(clock=clock)
    white, then = (Frame(np.full((48, 64, 3), v, np.uint8), 0, Fraction(1)) for v in (240, level))
    first = painter.paint(at(white, clock.now_s()), replace(LOOK, transition_s=transition_s))
    clock.advance(pause_s)
    other = replace(LOOK, style=Style(prompt="neon"), transition_s=transition_s)
    assert np.array_equal(painter.paint(at(then, clock.now_s()), other).data, first.data) == fades


def test_a_stale_painting_ends_the_fade_before() -> None:
    clock = ManualClock()
    painter = make_painter(clock=clock)
    white, black = (Frame(np.full((48, 64, 3), v, np.uint8), 0, Fraction(1)) for v in (240, 10))
    painter.paint(at(white, clock.now_s()), LOOK)
    painter.paint(at(white, 0.0), replace(LOOK, style=Style(prompt="neon"), transition_s=60.0))
    clock.advance(5.0)
    other = replace(LOOK, style=Style(prompt="ink"), transition_s=0.5)
    assert painter.paint(at(black, clock.now_s()), other).data.mean() < 100


def test_a_slow_engine_makes_the_painter_give_up_and_say_so() -> None:
    clock = ManualClock()
    engine = SlowEngine(clock, 0.2)
    stats = Stats(clock=clock)
    painter = make_painter(engine, clock)
    painter._stats = stats
    for frame in make_frames(6):
        painter.paint(frame, LOOK)
    assert painter.effort.every > 1
    assert stats.events["governor down"] == 1
    assert "1 frame in" in stats.effort


def test_only_one_frame_in_every_is_due() -> None:
    clock = ManualClock()
    painter = make_painter(SlowEngine(clock, 0.2), clock)
    frames = make_frames(6)
    for index, frame in enumerate(frames):
        painter.paint(at(frame, index * 0.2), LOOK)
    every = painter.effort.every
    assert not painter.is_due(at(frames[0], 1.0 + (every - 1) / 24))
    assert painter.is_due(at(frames[0], 1.0 + every / 24))


@pytest.mark.parametrize(
    ("output_size", "expected"), [("source", (64, 48)), ("model", (80, 64)), ((40, 30), (40, 30))]
)
def test_a_smaller_size_of_the_governors_keeps_the_output_size(
    output_size: OutputSize, expected: Size
) -> None:
    clock = ManualClock()
    painter = make_painter(SlowEngine(clock, 0.2), clock, output_size=output_size)
    sizes = {painter.paint(frame, LOOK).size for frame in make_frames(8)}
    assert painter.effort.short_side_px < 64
    assert sizes == {painter.output_size(SIZE)} == {expected}


def test_a_step_of_the_governors_is_no_jump() -> None:
    """Paint of another size has other strokes: they come in over a quarter of a second."""
    clock = ManualClock()
    engine = SlowEngine(clock, 0.2)
    painter = make_painter(engine, clock, output_size="source")
    frames = make_frames(1)
    before = painter.paint(frames[0], LOOK).data
    while painter.effort.short_side_px == 64:
        before = painter.paint(frames[0], LOOK).data
    engine.paint_s = 0.0

    first = painter.paint(frames[0], LOOK).data
    clock.advance(EASE_S / 2)
    middle = painter.paint(frames[0], LOOK).data
    clock.advance(EASE_S)
    after = painter.paint(frames[0], LOOK).data

    jump = np.abs(after.astype(int) - before).mean()
    assert jump > 1
    share = [np.abs(data.astype(int) - before).mean() / jump for data in (first, middle)]
    assert share == pytest.approx([0, 0.5], abs=0.1)


# Presenting


def make_presenter() -> tuple[Presenter, ListSink, Stats, Outlet]:
    clock, stats, sink = ManualClock(), Stats(), ListSink()
    outlet = Outlet("list", sink, clock=clock, stats=stats, max_age_s=1)
    return Presenter(FanOut([outlet]), clock=clock, stats=stats), sink, stats, outlet


def test_a_mask_shows_the_painting_where_it_says_and_the_frame_elsewhere() -> None:
    frame = make_frames(1)[0]
    mask = np.zeros((2, 2), np.uint8)
    painted = 255 - frame.data
    assert np.array_equal(compose(frame, painted, LOOK, SIZE, mask), frame.data)
    assert np.array_equal(compose(frame, painted, LOOK, SIZE, 255 - mask), painted)


def test_the_mask_is_switched_while_painting(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.full((4, 4), 77, np.uint8)).save(path)
    painter, frame = make_painter(mask=str(path)), make_frames(1)[0]
    assert painter.paint(frame, LOOK).mask is None
    masked = painter.paint(frame, replace(LOOK, mask=True))
    assert masked.mask is not None
    assert set(masked.mask.ravel().tolist()) == {77}
    assert painter.paint(frame, LOOK).mask is None


def test_a_mask_moves_with_the_painting() -> None:
    picture = texture((320, 240), 5)
    frame = Frame(picture[:, :256].copy(), 0, Fraction(1, 24))
    moved = Frame(picture[:, 20:276].copy(), 1, Fraction(1, 24))
    mask = np.zeros((240, 256), np.uint8)
    mask[:, :128] = 255
    reference = make_reference(frame, frame.replace(frame.data, mask=mask))
    carried = Carrier().carry(reference, moved)
    assert carried is not None
    assert carried.mask is not None
    assert (carried.mask[60:180, 20:100] > 200).all()
    assert (carried.mask[60:180, 116:230] < 50).all()


def test_a_split_shows_before_and_after() -> None:
    frame = make_frames(1)[0]
    data = compose(frame, 255 - frame.data, replace(LOOK, split=True), SIZE)
    assert np.array_equal(data[:, :31], frame.data[:, :31])
    assert np.array_equal(data[:, 33:], 255 - frame.data[:, 33:])


def test_a_bypass_shows_the_frame_at_the_output_size() -> None:
    frame = make_frames(1)[0]
    assert np.array_equal(compose(frame, None, LOOK, SIZE), frame.data)
    assert compose(frame, None, LOOK, (32, 24)).shape == (24, 32, 3)


def test_frozen_pictures_stand_still_and_keep_their_time_stamps() -> None:
    presenter, _, _, outlet = make_presenter()
    one, other = make_frames(2)
    presenter.show(one, one.data, LOOK, SIZE)
    outlet.channel.poll()
    presenter.show(other, None, replace(LOOK, freeze=True), SIZE)
    shown = outlet.channel.poll()
    assert shown is not None
    assert np.array_equal(shown.data, one.data)
    assert shown.pts == other.pts


def test_a_frame_that_was_overtaken_is_dropped() -> None:
    presenter, _, stats, outlet = make_presenter()
    one, other = make_frames(2)
    presenter.show(other, other.data, LOOK, SIZE)
    presenter.show(one, one.data, LOOK, SIZE)
    shown = outlet.channel.poll()
    assert shown is not None and shown.pts == other.pts
    assert stats.dropped_by_cause == {"overtaken": 1}


def test_closing_ends_what_runs_beside_the_engine() -> None:
    engine = FakeEngine()
    make_painter(engine).close()
    assert engine.is_closed


# Moving


def test_a_painting_follows_the_motion() -> None:
    """Four pixels to the right: the carried painting meets the one made of the moved frame."""
    wide = texture((200, 120), seed=3)
    frames = [
        Frame(np.ascontiguousarray(wide[:, x : x + 160]), index, Fraction(1, 24))
        for index, x in enumerate((20, 16))
    ]
    painted = [frame.replace(255 - frame.data) for frame in frames]
    carried = Carrier().carry(make_reference(frames[0], painted[0]), frames[1])
    assert carried is not None
    moved = carried.data
    inner = np.s_[16:-16, 16:-16]
    still = np.abs(painted[0].data[inner].astype(int) - painted[1].data[inner]).mean()
    error = np.abs(moved[inner].astype(int) - painted[1].data[inner]).mean()
    assert error < still / 8


def test_a_painting_is_not_bent_onto_another_scene() -> None:
    one = Frame(texture((160, 120), seed=3), 0, Fraction(1))
    other = Frame(255 - texture((160, 120), seed=4) // 2, 1, Fraction(1))
    assert Carrier().carry(make_reference(one, one), other) is None


def test_frames_that_are_shown_again_tell_the_governor_nothing() -> None:
    """A still scene is no sign that the machine has become faster."""
    clock = ManualClock()
    painter = make_painter(SlowEngine(clock, 0.2), clock)
    look = replace(LOOK, stability=0.5)
    frames = make_frames(40, (64, 48))
    for frame in frames:
        painter.paint(at(frame, clock.now_s()), look)
        clock.advance(0.04)
    low = painter.effort
    for _ in range(400):
        painter.paint(at(frames[-1], clock.now_s()), look)
        clock.advance(0.04)
    assert low.every > 1 and painter.effort == low


def test_tiny_pictures_stand_still() -> None:
    one, other = make_frames(2, (16, 16))
    assert Carrier().carry(make_reference(one, one), other) is one


@pytest.mark.parametrize("size", [(64, 48), (320, 180)])
def test_a_still_scene_is_carried_unchanged(size: tuple[int, int]) -> None:
    frame = Frame(texture(size, seed=1), 0, Fraction(1, 24))
    moved = Carrier().carry(make_reference(frame, frame), frame)
    assert moved is not None
    assert np.abs(moved.data.astype(int) - frame.data).max() <= 1
