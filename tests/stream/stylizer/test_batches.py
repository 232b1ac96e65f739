"""Frames in work: painted while later ones are decided on, or several at once; the same bytes."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from fakes import FakeEngine, LateEngine, make_frames
from miniature import make_engine, make_lcm
from painting import assert_same
from replays import Recorder
from sequences import RATE, Picture, photograph, view, with_noise

from models import Engine, Style
from models.acceleration.cuda.accelerate import accelerate_cuda
from stream.frame import Frame
from stream.stylizer.batches import Batches
from stream.stylizer.stylizer import Stylizer
from stream.temporal.motion import FlowEstimator, Motion

PAINTING = Style(prompt="oil painting", strength=0.5, seed=7)
SIDE_PX = 64


def pan(seed: int, count: int) -> list[Picture]:
    canvas = photograph(seed, SIDE_PX + 128)
    return [with_noise(view(canvas, 3 * i)[:SIDE_PX, :SIDE_PX], 1, i) for i in range(count)]


def story() -> list[Frame]:
    """A|B|A with frames that stand still between."""
    first, other = pan(1, 9), [255 - data for data in pan(2, 5)]
    pictures = [*first[:6], *[first[5]] * 3, *first[6:], *other, *first[:4], *[first[3]] * 2]
    return [
        Frame(np.ascontiguousarray(data), 1000 + i, Fraction(1, RATE), 1)
        for i, data in enumerate(pictures)
    ]


def restyle(engine: FakeEngine | Engine, frames: list[Frame], **options: object) -> list[Frame]:
    """The frames painted; the style changes on the way, and so does the stability."""
    stylizer = Stylizer(engine, PAINTING, **{"short_side_px": SIDE_PX, **options})  # type: ignore[arg-type]
    out: list[Frame] = []
    for index, frame in enumerate(frames):
        if index == 4:
            stylizer.style = replace(PAINTING, prompt="neon")
        if index == 16 and stylizer.stability > 0:
            stylizer.stability = 0.8
        out += stylizer.process(frame)
    return [*out, *stylizer.process(None)]


def bytes_of(frames: list[Frame]) -> list[bytes]:
    return [frame.data.tobytes() for frame in frames]


def moving(count: int) -> list[Frame]:
    return make_frames(count, (SIDE_PX, SIDE_PX))


# The same bytes


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("stability", [0, 0.5])
@pytest.mark.parametrize("options", [{}, {"look_ahead": True}, {"look_ahead": True, "every": 3}])
def test_frames_in_work_change_no_byte(batch: int, stability: float, options: dict) -> None:
    frames = story()
    plain = restyle(FakeEngine(), frames, stability=stability, **options)
    for engine in (FakeEngine(), LateEngine()):
        ours = restyle(engine, frames, stability=stability, overlap=True, batch=batch, **options)

        assert [frame.pts for frame in ours] == [frame.pts for frame in frames]
        assert bytes_of(ours) == bytes_of(plain)


@pytest.mark.parametrize("batch", [1, 3])
def test_real_engines_paint_batches_as_single_frames(batch: int) -> None:
    """Call by call, and by captured graphs; the last batch is not full."""
    style = Style("oil painting", 0.6, 2, guidance_scale=4.0, seed=5)
    frames = moving(7)
    graphs = make_engine(make_lcm())
    accelerate_cuda(graphs, "off", Recorder())

    def painted(engine: Engine, **options: int) -> list[Frame]:
        stylizer = Stylizer(engine, style, short_side_px=64, stability=0, **options)
        out = [out for frame in frames for out in stylizer.process(frame)]
        return [*out, *stylizer.process(None)]

    plain = painted(make_engine(make_lcm()))
    for engine in (make_engine(make_lcm()), graphs):
        ours = painted(engine, overlap=True, batch=batch)
        assert [frame.pts for frame in ours] == list(range(7))
        for one, other in zip(ours, plain, strict=True):
            assert_same(one.data, other.data)


# Overlap


def test_next_frame_is_begun_before_the_last_one_is_waited_for() -> None:
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, stability=0, overlap=True)

    given = [len(list(stylizer.process(frame))) for frame in moving(4)]
    rest = list(stylizer.process(None))

    assert given == [0, 1, 1, 1] and len(rest) == 1
    steps = [step for step, _ in engine.log]
    assert steps == ["begin", "begin", "wait", "begin", "wait", "begin", "wait", "wait"]


@pytest.mark.parametrize(("engine", "overlap"), [(FakeEngine(), True), (LateEngine(), False)])
def test_nothing_is_held_back_live_nor_where_the_host_paints(
    engine: FakeEngine, overlap: bool
) -> None:
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, overlap=overlap)

    assert [len(list(stylizer.process(frame))) for frame in moving(3)] == [1, 1, 1]


def test_style_change_lets_what_was_begun_keep_the_old_style() -> None:
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, stability=0, batch=4)
    frames = moving(3)
    for frame in frames[:2]:
        assert stylizer.process(frame) == []
    stylizer.style = replace(PAINTING, prompt="neon")
    ours = [*stylizer.process(frames[2]), *stylizer.process(None)]

    alone = [
        Stylizer(FakeEngine(), style, short_side_px=SIDE_PX, stability=0).process(frame)[0]
        for frame, style in zip(frames, [PAINTING, PAINTING, stylizer.style], strict=True)
    ]
    assert bytes_of(ours) == bytes_of(alone)


def test_stream_goes_on_after_a_failure() -> None:
    engine = LateEngine()
    engine.calls.at, engine.calls.nth = "begin", 2
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, overlap=True)
    frames = moving(5)
    for frame in frames[:2]:
        stylizer.process(frame)
    with pytest.raises(RuntimeError, match="broken"):
        stylizer.process(frames[2])

    again = [*stylizer.process(frames[2]), *stylizer.process(None)]

    assert bytes_of(again) == bytes_of(restyle(FakeEngine(), frames[2:3]))


# Batches


def test_every_call_has_the_same_shape_and_is_counted() -> None:
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, stability=0, batch=4)
    for frame in moving(10):
        stylizer.process(frame)
    list(stylizer.process(None))

    assert [shape for step, shape in engine.log if step == "begin"] == [(4, 64, 64, 3)] * 3
    assert [step for step, _ in engine.log].count("wait") == 3
    assert stylizer.stats.events["batch"] == 3


def test_second_batch_is_begun_before_the_first_is_waited_for() -> None:
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, stability=0, batch=2)
    for frame in moving(4):
        stylizer.process(frame)

    assert [step for step, _ in engine.log] == ["begin", "begin", "wait"]


@pytest.mark.parametrize("repeats", [1, 2, 20])
@pytest.mark.parametrize("batch", [2, 4])
def test_no_more_is_held_back_than_two_batches(batch: int, repeats: int) -> None:
    """Also where most frames stand still, so that batches do not fill."""
    stylizer = Stylizer(LateEngine(), PAINTING, short_side_px=SIDE_PX, batch=batch)
    given = 0
    for index, frame in enumerate(frame for frame in moving(8) for _ in range(repeats)):
        ready = stylizer.process(replace(frame, pts=index))
        assert len(ready) <= 1
        given += len(ready)
        assert index + 1 - given < (2 if repeats == 1 else 8) * batch
    assert given + len(list(stylizer.process(None))) == 8 * repeats


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_batches_fill_although_most_frames_stand_still(repeats: int) -> None:
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, batch=4)
    for index, frame in enumerate(frame for frame in moving(8) for _ in range(repeats)):
        stylizer.process(replace(frame, pts=index))
    list(stylizer.process(None))

    assert [step for step, _ in engine.log].count("begin") == 2
    assert stylizer.stats.events["still"] == 8 * (repeats - 1)


def test_batch_that_is_asked_for_early_is_filled_with_its_last_picture() -> None:
    given: list[Picture] = []
    pictures = [frame.data for frame in moving(3)]

    def begin(data: Picture, places: object, advances: object) -> object:
        given.append(data)
        return lambda: 255 - data

    batches = Batches(begin, 4)  # type: ignore[arg-type]
    paintings = [batches.begin(data) for data in pictures]
    assert given == []

    for painting, data in zip(paintings, pictures, strict=True):
        assert (painting() == 255 - data).all()
    assert len(given) == 1
    assert (given[0] == np.stack([*pictures, pictures[2]])).all()


@pytest.mark.parametrize("wrong", [0, -2])
def test_batch_below_1_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"got batch={wrong}, expected 1 or more"):
        Stylizer(FakeEngine(), batch=wrong)


def test_motion_is_found_after_painting_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU paints meanwhile: what takes the host longest does not hold it up."""
    done: list[str] = []
    begin, estimate = LateEngine.begin, FlowEstimator.estimate

    def begun(engine: LateEngine, *given: object, **asked: object) -> Callable[[], Picture]:
        done.append("begin")
        return begin(engine, *given, **asked)

    def estimated(estimator: FlowEstimator, *given: object) -> Motion:
        done.append("motion")
        return estimate(estimator, *given)

    monkeypatch.setattr(LateEngine, "begin", begun)
    monkeypatch.setattr(FlowEstimator, "estimate", estimated)
    engine = LateEngine()
    stylizer = Stylizer(engine, PAINTING, short_side_px=SIDE_PX, stability=0.5)

    canvas = cv2.GaussianBlur(photograph(1, SIDE_PX + 8), (0, 0), 4)
    for index in range(4):
        data = np.ascontiguousarray(canvas[:SIDE_PX, index : SIDE_PX + index])
        stylizer.process(Frame(data, index, Fraction(1, RATE), 1))

    assert done == ["begin", *["begin", "motion"] * 3]
