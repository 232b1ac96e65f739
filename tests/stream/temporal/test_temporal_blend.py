"""The mixture of old and new paint by itself: exact where it must be, as crisp as the new."""

import cv2
import numpy as np
from sequences import photograph

from stream.temporal import blend


def test_blend_is_exact_at_weight_zero_and_one() -> None:
    old, new = photograph(1)[:64, :64], photograph(2)[:64, :64]
    weight = np.zeros((64, 64), np.float32)
    weight[32:] = 1

    mixed = blend.blend(old, new, weight)

    assert (mixed[:32] == new[:32]).all() and (mixed[32:] == old[32:]).all()


def test_blend_mixes_to_a_level_and_leaves_what_is_equal() -> None:
    old, new = photograph(1)[:64, :64].copy(), photograph(2)[:64, :64]
    old[:8] = new[:8]
    weight = np.full((32, 32), 0.7, np.float32)

    mixed = blend.blend(old, new, weight)

    assert (mixed[:8] == new[:8]).all()
    assert np.abs(mixed - (0.7 * old + 0.3 * new)).max() < 1.2


def test_what_has_no_history_is_not_sharpened() -> None:
    new = photograph(1)[:64, :64]
    mixed = cv2.blur(new, (3, 3))
    weight = np.zeros((64, 64), np.float32)
    weight[32:] = 0.5
    restored = mixed.copy()

    blend.restore(restored, new, weight)

    assert (restored[:32] == mixed[:32]).all() and (restored[32:] != mixed[32:]).any()


def test_old_paint_is_dropped_where_the_new_has_another_colour() -> None:
    old, new = (np.full((64, 64, 3), 100, np.uint8) for _ in range(2))
    new[:32] = 108
    new[32:] = 160

    agreed = blend.agreement(old, new, (8, 8))

    assert (agreed[:4] == 1).all() and agreed[4:].max() < 1e-3


def test_fine_contrast_lost_by_averaging_is_given_back() -> None:
    """Two paintings with most of their texture in common: the mean has less of it than either."""
    random = np.random.default_rng(0)
    common, *own = (cv2.GaussianBlur(random.normal(0, 30, (128, 128, 3)), (0, 0), 1) for _ in "123")
    old, new = ((128 + common + part).clip(0, 255).astype(np.uint8) for part in own)
    weight = np.full((128, 128), 0.5, np.float32)
    mixed = blend.blend(old, new, weight)

    restored = mixed.copy()
    blend.restore(restored, new, weight)

    fine = [cv2.Laplacian(data, cv2.CV_32F).var() for data in (mixed, restored, new)]
    assert fine[0] < 0.8 * fine[2]
    assert 0.9 < fine[1] / fine[2] < 1.4
