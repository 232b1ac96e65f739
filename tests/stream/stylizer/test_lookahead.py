"""Look-ahead and tweens: each frame once, the future's help, shots apart, memory bounded."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from fakes import LIMIT_S, FakeEngine, ListSink, ListSource
from sequences import GRID, RATE, SIZE_PX, Picture, photograph, view, with_noise

from models import Style
from stream.frame import Frame
from stream.offline.session import Session
from stream.stylizer.stylizer import Stylizer
from stream.temporal import Decision, gate, shots
from stream.temporal.interpolation import Interpolator, Key
from stream.temporal.lookahead import BEYOND, BLOCK, LookAhead, Moment
from stream.temporal.splitter import Splitter

PAINTING = Style(prompt="oil painting", strength=0.5, seed=7)
WINDOW = BLOCK + BEYOND
SIDE_PX = 128


def frames_of(pictures: list[Picture], first: int = 0, rate: int = RATE) -> list[Frame]:
    return [Frame(data, first + i, Fraction(1, rate), 1) for i, data in enumerate(pictures)]


def film(engine: FakeEngine | None = None, **options: object) -> Stylizer:
    return Stylizer(
        engine or FakeEngine(),
        PAINTING,
        short_side_px=SIDE_PX,
        **{"look_ahead": True, **options},  # type: ignore[arg-type]
    )


def restyle(stylizer: Stylizer, frames: list[Frame]) -> list[Frame]:
    out = [painted for frame in frames for painted in stylizer.process(frame)]
    return [*out, *stylizer.process(None)]


def pan(count: int, seed: int = 1, speed_px: float = 3) -> list[Picture]:
    canvas = photograph(seed, SIZE_PX + 192)
    return [with_noise(small(view(canvas, speed_px * i)), 2, i) for i in range(count)]


def small(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[:SIDE_PX, :SIDE_PX])


def other_shot(count: int) -> list[Picture]:
    return [255 - data for data in pan(count, seed=2)]


def grey_blocks(seed: int) -> Picture:
    """Blocks of 8x8 px, each of another grey."""
    blocks = np.random.default_rng(seed).integers(100, 220, (SIDE_PX // 8, SIDE_PX // 8, 1))
    return blocks.repeat(8, 0).repeat(8, 1).repeat(3, 2).astype(np.uint8)


def bytes_of(frames: list[Frame]) -> list[bytes]:
    return [frame.data.tobytes() for frame in frames]


def boil(pictures: list[Picture], step_px: int) -> float:
    """Mean squared change along a pan of whole pixels."""
    inner = slice(32, -32)
    return float(
        np.mean(
            [
                np.square(
                    then[inner, 32 + step_px : -32].astype(np.float32)
                    - now[inner, 32 : -32 - step_px]
                ).mean()
                for then, now in pairwise(pictures)
            ]
        )
    )


# Each frame once


@pytest.mark.parametrize("count", [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 3])
@pytest.mark.parametrize("options", [{}, {"every": 3}, {"every": 3, "look_ahead": False}])
def test_every_frame_comes_out_once_with_its_time(count: int, options: dict) -> None:
    frames = frames_of([data[:64, :64].copy() for data in pan(count, speed_px=1)])

    painted = restyle(film(**options), frames)

    assert [frame.pts for frame in painted] == list(range(count))
    assert {(frame.time_base, frame.duration) for frame in painted} == {(Fraction(1, RATE), 1)}
    assert {frame.size for frame in painted} == {(64, 64)}


def test_at_most_a_window_is_held_back_and_comes_back_without_a_burst() -> None:
    """However long the shot. Whoever writes the frames works beside the painting."""
    stylizer, given = film(), 0
    pictures = [data[:64, :64].copy() for data in pan(6)]

    for index in range(3 * WINDOW):
        frame = Frame(pictures[index % 6], index, Fraction(1, RATE), 1)
        ready = list(stylizer.process(frame))
        given += len(ready)
        assert len(ready) <= 1
        assert index + 1 - given <= WINDOW


def test_what_is_too_far_ahead_to_count_is_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(pan(WINDOW + 4))
    mixed: list[int] = []
    pulled = LookAhead._pulled

    def counted(self: LookAhead, *given: object) -> Picture:
        mixed.append(1)
        return pulled(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(LookAhead, "_pulled", counted)
    quick, quickly = restyle(film(), frames), len(mixed)
    monkeypatch.setattr("stream.temporal.lookahead.COUNTS", 0.0)
    mixed.clear()
    whole = restyle(film(), frames)

    assert quickly < len(mixed)
    apart = [
        np.abs(one.data.astype(int) - other.data) for one, other in zip(quick, whole, strict=True)
    ]
    assert np.max(apart) <= 4 and np.mean(apart) < 0.01


def test_stopped_session_writes_all_that_was_read() -> None:
    """What waits for its future when the user stops is smoothed from what there is."""
    pictures = [data[:64, :64].copy() for data in pan(40, speed_px=1)]
    sink = ListSink(on_write=lambda: session.stop())
    session = Session(ListSource(frames_of(pictures)), film(), sink, join_limit_s=LIMIT_S)

    stats = session.run()

    assert stats.frames_out == stats.frames_in >= WINDOW
    assert [frame.pts for frame in sink.frames] == list(range(stats.frames_in))


def test_reset_drops_what_is_held_back() -> None:
    stylizer = film()
    for frame in frames_of(pan(3)):
        stylizer.process(frame)
    stylizer.reset()

    assert list(stylizer.process(None)) == []


# The future's help


def test_look_ahead_flickers_by_an_eighth_less_than_live() -> None:
    frames = frames_of(pan(20))

    live = restyle(film(look_ahead=False), frames)
    ahead = restyle(film(), frames)

    flicker = [boil([frame.data for frame in run], 3) for run in (live, ahead)]
    assert flicker[1] < 0.875 * flicker[0]


def test_what_rests_shows_what_it_will_settle_to() -> None:
    """Live, a new scene takes a quarter of a second to settle; here, the time to see it rest."""
    still = [with_noise(small(view(photograph(1))) // 2 + 64, 2, seed) for seed in range(16)]

    live = restyle(film(look_ahead=False), frames_of(still))
    ahead = restyle(film(), frames_of(still))

    assert len(set(bytes_of(live[3:]))) > 2
    assert len(set(bytes_of(ahead[3:]))) == 1


def test_a_picture_takes_nothing_from_where_the_flow_is_lost() -> None:
    """What a cell will be after something else has come to it must not show before."""
    a, b = view(photograph(1)), view(photograph(2))
    ahead: LookAhead[int] = LookAhead()
    resting = np.zeros(GRID[::-1], bool)
    for index, data in enumerate((a, b)):
        decision = Decision(resting=resting)
        ahead.push(Moment(index, data, gate.look_at(data, GRID), index / RATE, decision), 0.5)

    first, last = ahead.flush()

    assert (
        np.abs(first.shown.astype(np.int16) - a).mean()
        < 0.02 * np.abs(a.astype(np.int16) - b).mean()
    )
    assert (last.shown == b).all()


def test_two_runs_are_equal_byte_for_byte() -> None:
    frames = frames_of(pan(WINDOW + 4))

    assert bytes_of(restyle(film(), frames)) == bytes_of(restyle(film(), frames))


# Shots apart


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("length", [5, WINDOW + 5])
def test_job_cut_at_a_shot_gives_the_bytes_of_the_whole(every: int, length: int) -> None:
    """A|B|A: nothing of the first shot is remembered in the third, which looks the same."""
    shots = [frames_of(pan(length)), frames_of(other_shot(7), length)]
    shots.append(frames_of(pan(4), length + 7))

    whole = film(every=every)
    together = restyle(whole, [frame for shot in shots for frame in shot])
    apart = [painted for shot in shots for painted in restyle(film(every=every), shot)]

    assert whole.stats.events["cut"] == 2
    assert bytes_of(together) == bytes_of(apart)


def test_shot_does_not_depend_on_when_it_begins() -> None:
    pictures = pan(9)

    early, late = (restyle(film(), frames_of(pictures, first, rate=24)) for first in (0, 1_000_003))

    assert bytes_of(early) == bytes_of(late)


def test_style_change_ends_the_shot() -> None:
    """The old look is not smoothed into the new one, nor the new one into the old."""
    stylizer, frames = film(every=2), frames_of(pan(12))
    painted = [out for frame in frames[:6] for out in stylizer.process(frame)]
    stylizer.style = Style(prompt="neon")
    painted += restyle(stylizer, frames[6:])

    first = restyle(film(every=2), frames[:6])
    fresh = film(every=2)
    fresh.style = Style(prompt="neon")
    assert bytes_of(painted) == bytes_of(first) + bytes_of(restyle(fresh, frames[6:]))


def test_stability_zero_is_the_plain_path_with_look_ahead_too() -> None:
    frames = frames_of(pan(5))

    plain = restyle(film(look_ahead=False, stability=0), frames)

    assert bytes_of(restyle(film(stability=0), frames)) == bytes_of(plain)


# Tweens


@pytest.mark.parametrize(("every", "painted"), [(1, 10), (2, 6), (4, 4), (20, 2)])
def test_one_frame_in_so_many_is_painted_and_the_ends_of_the_shot(every: int, painted: int) -> None:
    engine = FakeEngine()
    stylizer = film(engine, every=every, stability=0)

    restyle(stylizer, frames_of(pan(10, speed_px=1)))

    assert engine.calls.counts["denoise"] == painted
    assert stylizer.stats.events.get("interpolated", 0) == 10 - painted
    assert "painted extra" not in stylizer.stats.events


def test_frames_that_no_flow_finds_in_their_neighbours_are_painted() -> None:
    """A third of the picture comes and goes between two frames that would be keys."""
    pictures = pan(9, speed_px=1)
    for index, data in enumerate(pictures):
        data[:, 40:88] = grey_blocks(index)[:, 40:88]
    engine = FakeEngine()
    stylizer = film(engine, every=4)

    painted = restyle(stylizer, frames_of(pictures))

    assert [frame.pts for frame in painted] == list(range(9))
    assert engine.calls.counts["denoise"] == 9
    assert stylizer.stats.events["painted extra"] == 6  # each four in halves, and each half again
    assert "interpolated" not in stylizer.stats.events


@pytest.mark.parametrize("every", [2, 3, 4, 8])
def test_what_is_there_for_one_frame_alone_is_shown(every: int) -> None:
    """Wherever it is among those that would not be painted: a blink, a flash, a spark."""
    for at in range(1, every + 1):
        pictures = [data.copy() for data in pan(1)] * (2 * every + 1)
        pictures[at] = pictures[at].copy()
        pictures[at][40:72, 40:72] = 255 - pictures[at][40:72, 40:72]
        plain = restyle(film(stability=0, look_ahead=False), frames_of(pictures))[at]
        shown = restyle(film(stability=0, every=every), frames_of(pictures))[at]
        assert np.array_equal(shown.data, plain.data), at


def test_frames_of_one_time_are_a_shot_each() -> None:
    frames = [frame.replace(frame.data, pts=0) for frame in frames_of(pan(4))]
    assert len(restyle(film(every=2), frames)) == 4


def test_the_last_frame_before_a_cut_is_painted() -> None:
    frames = [*frames_of(pan(4)), *frames_of(other_shot(2), 4)]

    plain = bytes_of(restyle(film(stability=0, look_ahead=False), frames))
    interpolated = bytes_of(restyle(film(stability=0, every=8), frames))

    assert [a == b for a, b in zip(interpolated, plain, strict=True)] == [
        *(True, False, False, True, True, True)
    ]


def test_what_moves_far_between_paintings_is_no_cut() -> None:
    pictures = pan(12, speed_px=10)
    first, later = (shots.thumbnail(pictures[index]) for index in (0, 4))
    assert shots.content_difference(first, later) > shots.CUT_DIFFERENCE
    stylizer = film(every=4)

    restyle(stylizer, frames_of(pictures))

    assert "cut" not in stylizer.stats.events


def test_cut_between_shots_of_like_colours_is_seen_where_no_flow_leads() -> None:
    first, second = (grey_blocks(seed) for seed in (1, 2))
    difference = shots.content_difference(shots.thumbnail(first), shots.thumbnail(second))
    assert shots.DOUBT_DIFFERENCE < difference < shots.CUT_DIFFERENCE
    splitter, grid = Splitter(), (SIDE_PX // 8, SIDE_PX // 8)
    scene = [first, first, second, second]

    starts = [
        splitter.starts_shot(gate.see(data, grid), index / RATE) for index, data in enumerate(scene)
    ]

    assert starts == [False, False, True, False]


def test_tween_is_where_its_thing_is() -> None:
    """Between 0 and 12 px of a pan; cross-fading would double every edge."""
    canvas = photograph(1)
    keys = [Key(view(canvas, x), gate.look_at(view(canvas, x), GRID)) for x in (0, 12)]
    wanted = view(canvas, 4)

    made = Interpolator().between(*keys, gate.look_at(wanted, GRID), 1 / 3)

    inner = slice(24, -24)
    off = [
        np.abs(data[inner, inner].astype(np.int16) - wanted[inner, inner]).mean()
        for data in (made, keys[0].shown, keys[1].shown)
    ]
    assert off[0] < 0.25 * min(off[1:])


def test_tween_of_what_rests_keeps_its_bytes() -> None:
    picture = view(photograph(1)) // 2 + 64
    looks = [gate.look_at(with_noise(picture, 2, seed), GRID) for seed in range(3)]
    keys = [Key(picture, looks[0]), Key(with_noise(picture, 1, 9), looks[1])]

    assert (Interpolator().between(*keys, looks[2], 0.5) == picture).all()


def test_what_one_neighbour_hides_comes_from_the_other() -> None:
    """A square uncovers texture: the key after knows it, the key before does not."""
    ground, square = view(photograph(1)), view(photograph(2))[:96, :96]

    def scene(x: int) -> Picture:
        data = ground.copy()
        data[80:176, x : x + 96] = square
        return data

    before, after, wanted = scene(40), scene(72), scene(56)
    keys = [Key(data, gate.look_at(data, GRID)) for data in (before, after)]

    made = Interpolator().between(*keys, gate.look_at(wanted, GRID), 0.5)

    uncovered = np.s_[96:160, 42:52]
    off = np.abs(made[uncovered].astype(np.int16) - wanted[uncovered]).mean()
    assert off < 0.3 * np.abs(before[uncovered].astype(np.int16) - wanted[uncovered]).mean()


@pytest.mark.parametrize("wrong", [0, -1])
def test_every_below_1_is_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=f"got every={wrong}, expected 1 or more"):
        film(every=wrong)
