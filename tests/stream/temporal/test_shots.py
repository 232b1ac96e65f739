"""Shots: a cut is seen in its first frame, and motion is none."""

import cv2
import numpy as np
import pytest
from sequences import SIZE_PX, clip_pictures, decide_all, photograph, view

from stream.temporal import shots


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


def test_same_shot_in_another_light_is_not_the_same() -> None:
    cells = np.random.default_rng(0).uniform(0, 150, (32, 32, 3)).astype(np.float32)

    assert shots.is_same_shot(cells + 1, cells)
    assert not shots.is_same_shot(1.6 * cells, cells)
    assert not shots.is_same_shot(cells, cells[:16])


def test_flash_is_a_cut_and_so_is_the_way_back() -> None:
    picture = view(photograph(1)) // 2
    pictures = [picture] * 3 + [(picture * 1.6).astype(np.uint8)] + [picture] * 2

    decisions = decide_all(pictures)

    assert [decision.is_cut for decision in decisions] == [False] * 3 + [True, True, False]


@pytest.mark.parametrize("clip", ["bunny.mp4", "face.mp4"])
def test_clip_without_a_cut_has_none(clip: str) -> None:
    pictures = [cv2.resize(data, (SIZE_PX, SIZE_PX)) for data in clip_pictures(clip)[::2]]

    assert not any(decision.is_cut for decision in decide_all(pictures))


def test_fast_pan_is_no_cut() -> None:
    picture = cv2.resize(clip_pictures("bunny.mp4")[0], (400, 300))
    pictures = [view(picture, 6 * index) for index in range(10)]  # a width in 1.4 s

    assert not any(decision.is_cut for decision in decide_all(pictures))
