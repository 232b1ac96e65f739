"""The pure parts of reading and writing media: orientation, timeline, colour."""

import itertools
import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av.video.frame import PictureType
from clips import quadrants
from hypothesis import given
from hypothesis import strategies as st

from stream.media import colour
from stream.media.orientation import Orientation
from stream.media.timeline import Timeline
from stream.sources.decoding import Stamps

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
    placed = [timeline.place(pts) for pts in (5000, None, 5040, 5100)]
    assert placed == [5000, 5040, 5041, 5100]
    assert len(timeline.notes()) == 2


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


def packet_of(pts: int) -> Any:
    return SimpleNamespace(pts=pts)


def picture_of(
    pts: int | None, dts: int | None = None, *, kind: str = "P", interlaced: bool = False
) -> Any:
    return SimpleNamespace(
        pts=pts, dts=dts, pict_type=PictureType[kind], interlaced_frame=interlaced
    )


def missed(
    packets: Iterable[int],
    pictures: Iterable[int],
    *,
    interlaced: bool,
    broken: Sequence[int] = (),
) -> list[int]:
    """What came to nothing, if all packets go in before the first picture comes out."""
    stamps = Stamps()
    for pts in packets:
        stamps.expect(packet_of(pts))
    for pts in broken:
        stamps.failed(packet_of(pts))
    lost = [
        pts for time in pictures for pts in stamps.place(picture_of(time, interlaced=interlaced))
    ]
    return lost + stamps.rest()


@pytest.mark.parametrize(
    ("packets", "pictures", "interlaced", "lost"),
    [
        (range(0, 12, 2), range(0, 12, 2), False, []),
        (range(0, 12, 2), [0, 2, 6, 10], False, [4, 8]),
        (range(0, 12, 2), [0, 2, 6, 10], True, [4, 8]),
        (range(12), range(0, 12, 2), True, []),  # a packet a field
        ([0, 1, 2, 4, 5, 6], [0, 2, 4, 6], True, []),  # fields and frames, by turns
        (range(12), range(0, 12, 2), False, [1, 3, 5, 7, 9, 11]),
        (range(12), [0, 2, 6, 8, 10], True, [4, 5]),  # both fields of one
    ],
    ids=str,
)
def test_pictures_are_missed_where_no_second_field_explains_it(
    packets: Sequence[int], pictures: Sequence[int], interlaced: bool, lost: list[int]
) -> None:
    assert missed(packets, pictures, interlaced=interlaced) == lost


def test_a_second_field_that_does_not_decode_is_missed() -> None:
    assert missed(range(6), [0, 2, 4], interlaced=True, broken=[3]) == [3]


def times(packets: list[int], pictures: list[Any], ahead: int) -> list[int | None]:
    """The times of pictures, each of which comes when `ahead` packets more than pictures are in."""
    stamps, waiting = Stamps(), iter(packets)
    for pts in itertools.islice(waiting, ahead):
        stamps.expect(packet_of(pts))
    for picture in pictures:
        for pts in itertools.islice(waiting, 1):
            stamps.expect(packet_of(pts))
        assert stamps.place(picture) == []
    return [picture.pts for picture in pictures]


def test_times_in_the_order_of_decoding_become_those_of_the_pictures() -> None:
    coded = [(1, 2, "I"), (3, 3, "B"), (4, 4, "B"), (2, 5, "P"), (6, None, "B"), (5, None, "P")]
    pictures = [picture_of(pts, dts, kind=kind) for pts, dts, kind in coded]
    assert times([1, 2, 3, 4, 5, 6], pictures, ahead=2) == [1, 2, 3, 4, 5, 6]


def test_pictures_with_times_of_their_own_keep_them() -> None:
    coded = [(0, 2, "I"), (70, 3, "B"), (90, 4, "B"), (200, None, "P")]
    pictures = [picture_of(pts, dts, kind=kind) for pts, dts, kind in coded]
    assert times([0, 200, 70, 90], pictures, ahead=2) == [0, 70, 90, 200]
