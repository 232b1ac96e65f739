"""The distance in look: blind to where strokes lie, not to what they are."""

import numpy as np
import pytest
import torch
from unseen_painters import PAINTERS

from models.learning.distance import look_distance
from models.training.batches import to_image


def photograph() -> np.ndarray:
    """Soft shapes, uint8 RGB (256, 384, 3)."""
    y, x = np.mgrid[:256, :384] / 255
    planes = [0.5 + 0.4 * np.sin(5 * x + k) * np.cos(4 * y - k) for k in range(3)]
    return np.asarray(np.stack(planes, -1) * 255, np.uint8)


def hatched(start: float, spacing: float = 7.0, contrast: float = 60.0) -> torch.Tensor:
    """The photograph under slanting lines."""
    y, x = np.mgrid[:256, :384]
    lines = contrast * np.sign(np.sin(2 * np.pi * (x + 0.4 * y + start) / spacing))
    return to_image(np.clip(photograph() * 0.5 + 60 + lines[..., None], 0, 255).astype("u1")[None])


def test_the_painting_itself_is_at_0_and_the_photograph_at_1() -> None:
    photo, painting = to_image(photograph()[None]), hatched(0)
    assert look_distance(painting, painting, photo) == (0, 0)
    assert look_distance(photo, painting, photo) == pytest.approx((1, 1))


def test_where_the_lines_lie_is_no_matter() -> None:
    photo, painting, moved = to_image(photograph()[None]), hatched(0), hatched(3.5)
    assert (moved - painting).abs().mean() > 0.3
    assert look_distance(moved, painting, photo).mean < 0.1


@pytest.mark.parametrize("other", [hatched(0, spacing=14), hatched(0, contrast=20)])
def test_which_lines_they_are_is(other: torch.Tensor) -> None:
    distance = look_distance(other, hatched(0), to_image(photograph()[None]))
    assert distance.marks > 0.3


def test_the_mean_of_all_strokes_is_no_painting() -> None:
    """What regression on strokes that nothing determines would end in."""
    photo, painting = to_image(photograph()[None]), hatched(0)
    mean = torch.stack([hatched(step) for step in range(7)]).mean(0)
    distance = look_distance(mean, painting, photo)
    assert distance.colors < 0.1
    assert distance.marks > 0.7


@pytest.mark.parametrize("name", PAINTERS)
def test_the_painters_of_these_tests_paint_something_of_their_own(name: str) -> None:
    photo = photograph()
    painted = PAINTERS[name](photo)
    assert painted.shape == photo.shape
    assert painted.dtype == np.uint8
    assert np.array_equal(painted, PAINTERS[name](photo))
    assert np.abs(painted.astype(int) - photo).mean() > 20
