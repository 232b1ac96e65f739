"""The pure parts of reading and writing media: orientation, timeline, colour."""

import itertools
import struct
from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from clips import quadrants
from hypothesis import given
from hypothesis import strategies as st

from stream.media import colour
from stream.media.orientation import Orientation
from stream.media.timeline import Timeline
from stream.sources.decoding import Damage, Order

ONE = 1 << 16


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    return struct.pack("=9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("abcd", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
@pytest.mark.parametrize("mirror", [1, -1])
def test_each_pixel_goes_where_the_matrix_sends_it(
    abcd: tuple[int, int, int, int], mirror: int
) -> None:
    a, b, c, d = abcd[0] * mirror, abcd[1], abcd[2] * mirror, abcd[3]
    data = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    upright = Orientation.from_matrix(matrix(a, b, c, d)).apply(data)
    spots = {(p, q): (a * p + c * q, b * p + d * q) for p in range(3) for q in range(2)}
    left = min(x for x, _ in spots.values())
    top = min(y for _, y in spots.values())
    for (p, q), (x, y) in spots.items():
        assert np.array_equal(upright[y - top, x - left], data[q, p])


def test_upright_size_and_pixel_shape_follow_the_axes() -> None:
    quarter = Orientation.from_matrix(matrix(0, 1, -1, 0))
    assert quarter.size((96, 64)) == (64, 96)
    assert quarter.aspect_ratio(Fraction(4, 3)) == Fraction(3, 4)
    assert quarter.apply(quadrants()).flags.c_contiguous


def test_a_turn_by_an_odd_angle_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a quarter turn"):
        Orientation.from_matrix(matrix(1, 1, -1, 1))


@given(st.lists(st.none() | st.integers(-(10**9), 10**9), min_size=1, max_size=50))
def test_timeline_always_moves_forward(times: list[int | None]) -> None:
    timeline = Timeline(Fraction(1, 1000), 40)
    placed = [timeline.place(pts) for pts in times]
    assert all(a < b for a, b in itertools.pairwise(placed))


@given(st.sets(st.integers(-(10**9), 10**9), min_size=1))
def test_timeline_leaves_sound_times_alone(times: set[int]) -> None:
    timeline = Timeline(Fraction(1, 1000), 40)
    assert [timeline.place(pts) for pts in sorted(times)] == sorted(times)
    assert timeline.notes() == []


def test_timeline_names_each_repair() -> None:
    timeline = Timeline(Fraction(1, 1000), 40)
    placed = [timeline.place(pts) for pts in (5000, None, 5040, 0, 40)]
    assert placed == [5000, 5040, 5041, 5081, 5121]
    assert len(timeline.notes()) == 3


@pytest.mark.parametrize(
    ("size", "matrix_code"),
    [((640, 480), 6), ((720, 576), 6), ((1280, 720), 1), ((1920, 800), 1), ((608, 1080), 1)],
)
def test_untagged_matrices_follow_the_size(size: tuple[int, int], matrix_code: int) -> None:
    tags = colour.complete_tags(size, color_primaries=2, color_trc=2, colorspace=2)
    assert tags.colorspace == matrix_code


def test_tags_of_the_source_are_kept() -> None:
    tags = colour.complete_tags((96, 64), color_primaries=9, color_trc=14, colorspace=9)
    assert tags == colour.ColourTags(9, 14, 9)


def test_rgb_gets_a_matrix() -> None:
    tags = colour.complete_tags((1920, 1080), color_primaries=1, color_trc=13, colorspace=0)
    assert tags == colour.ColourTags(1, 13, 1)


def picture_of(pts: int, *, interlaced: bool) -> Any:
    return SimpleNamespace(pts=pts, interlaced_frame=interlaced, is_corrupt=False)


def damage_of(packets: list[int], pictures: list[int], *, interlaced: bool) -> Damage:
    """All packets go in before the first picture comes out."""
    damage = Damage(Fraction(1, 50))
    for pts in packets:
        damage.expect(cast(Any, SimpleNamespace(pts=pts, is_discard=False)))
    for pts in pictures:
        damage.arrived(picture_of(pts, interlaced=interlaced))
    damage.ended()
    return damage


@pytest.mark.parametrize(
    ("packets", "pictures", "interlaced", "lost"),
    [
        (range(0, 12, 2), range(0, 12, 2), False, 0),
        (range(0, 12, 2), [0, 2, 6, 10], False, 2),
        (range(0, 12, 2), [0, 2, 6, 10], True, 2),
        (range(12), range(0, 12, 2), True, 0),  # a packet a field
        (range(12), range(0, 12, 2), False, 6),
        (range(12), [0, 2, 6, 8, 10], True, 2),  # both fields of one
        (range(6), [1, 3, 4, 2, 5, 0], False, 0),  # times by the order of decoding
    ],
    ids=str,
)
def test_pictures_are_lost_where_no_field_or_order_explains_it(
    packets: Sequence[int], pictures: Sequence[int], interlaced: bool, lost: int
) -> None:
    damage = damage_of(list(packets), list(pictures), interlaced=interlaced)
    assert damage.lost == lost
    assert bool(damage.notes()) == bool(lost)


def test_a_pictures_time_is_dts_only_where_pts_runs_back() -> None:
    def times(pairs: list[tuple[int | None, int | None]]) -> list[int | None]:
        order = Order()
        return [order.time_of(cast(Any, SimpleNamespace(pts=p, dts=d))) for p, d in pairs]

    assert times([(1, 2), (3, 3), (4, 4), (2, 5), (6, 6), (5, 7)]) == [1, 3, 4, 5, 6, 7]
    assert times([(9, 8), (10, 9), (0, 0), (1, 1)]) == [9, 10, 0, 1]  # a clock that jumps back
    assert times([(1, None), (0, None)]) == [1, 0]
    assert times([(None, 5)]) == [None]
