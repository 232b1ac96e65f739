"""Windows, losses and additions: the parts of learning a look, without the model."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from models.learning.additions import Additions
from models.learning.losses import look_losses, patch_loss
from models.learning.pairs import HELD_SIDE, Pairs, make_pair, working_size
from models.weights.lora import LoraFile, fuse_lora


def noise(seed: int, height: int = 256, width: int = 384) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [((640, 360), (448, 256)), ((360, 640), (256, 448)), ((400, 300), (336, 256))],
)
def test_the_working_size_keeps_the_shape(
    frame: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert working_size(frame, 256, 16) == expected


def test_pictures_of_two_shapes_make_no_pair() -> None:
    with pytest.raises(ValueError, match=r"painting of 384x200 for a frame of 384x256"):
        make_pair(noise(0), noise(1, 200), (384, 256))


def test_the_held_out_corner_is_never_learned_from() -> None:
    frame = noise(0) // 2  # darker than the corner will be
    pair = make_pair(frame, frame, (384, 256))
    top, left = pair.held
    pair.painting[..., 2 * top : 2 * (top + HELD_SIDE), 2 * left : 2 * (left + HELD_SIDE)] = 1
    assert (pair.held_of(pair.painting) == 1).all()
    drawn = [Pairs([pair], 0).draw(step, 4, 128).painting for step in range(60)]
    assert torch.cat(drawn).max() < 1
    assert len({float(window.sum()) for window in drawn}) > 20


def test_the_corner_that_is_like_the_rest_is_held_out() -> None:
    frame = np.full((256, 384, 3), 90, np.uint8)
    frame[:96, :96], frame[160:, :96], frame[:96, 288:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    assert make_pair(frame, frame, (384, 256)).held == (160, 288)


def test_the_same_seed_draws_the_same_windows() -> None:
    pair = make_pair(noise(0), noise(1), (384, 256))
    first, again, other = (Pairs([pair], seed).draw(3, 2, 128) for seed in (5, 5, 6))
    assert torch.equal(first.frame, again.frame)
    assert not torch.equal(first.frame, other.frame)


def image(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))[None, None].expand(1, 3, -1, -1) / 2


def test_patches_know_marks_wherever_they_lie() -> None:
    y, x = np.mgrid[:128, :128]
    lines, moved = (np.sign(np.sin(2 * np.pi * (x + start) / 8)) for start in (0, 4))
    across = np.sign(np.sin(2 * np.pi * y / 8))
    photo = image(np.zeros((128, 128)))

    def loss(other: np.ndarray) -> float:
        random = torch.Generator().manual_seed(0)
        return patch_loss(image(other), image(lines), photo, random).item()

    assert loss(moved) < 0.2 * loss(across)
    assert loss(moved) < 0.2 * loss(np.zeros_like(lines))


def test_marks_belong_to_the_colours_around_them() -> None:
    """Lines on the dark half are not lines on the bright half."""
    y, x = np.mgrid[:128, :128]
    lines, left = np.sin(2 * np.pi * y / 8), x < 64
    photo = image(np.where(left, -1.5, 1.5))
    painting, swapped = image(lines * left), image(lines * ~left)
    random = torch.Generator().manual_seed(0)
    assert patch_loss(swapped, painting, photo, random) > 3 * patch_loss(
        image(np.roll(lines, 4, 0) * left), painting, photo, random
    )


def test_all_losses_are_0_at_the_painting_and_lead_there() -> None:
    random = torch.Generator().manual_seed(0)
    painting = torch.rand(1, 3, 128, 128, generator=random) * 2 - 1
    assert sum(look_losses(painting, painting, painting, random).values()) == 0
    painted = torch.zeros_like(painting, requires_grad=True)
    loss = torch.stack(list(look_losses(painted, painting, painting, random).values())).sum()
    loss.backward()
    assert painted.grad is not None
    assert painted.grad.abs().max() > 0


def test_what_is_saved_and_fused_is_what_was_learned() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 36, 5))
    network.config = {}  # type: ignore[assignment]
    additions = Additions({"stem": network}, 4, 0)
    given = torch.randn(2, 3, 6, 6)
    before = network(given)
    assert torch.equal(functional_call(network, additions.weights("stem"), (given,)), before)
    for up in additions.up.values():
        up.normal_()
    learned = functional_call(network, additions.weights("stem"), (given,))
    assert (learned - before).abs().max() > 0.1
    file = LoraFile("a", additions.tensors())
    assert fuse_lora(file, {"unet": network, "stem": network}, 1.0) == 2
    torch.testing.assert_close(network(given), learned, atol=0.05, rtol=0.02)


def test_the_average_follows() -> None:
    additions = Additions({"stem": nn.Linear(4, 4)}, 2, 0)
    average = additions.copy()
    additions.up["stem."].fill_(1.0)
    average.follow(additions, 0.75)
    assert torch.allclose(average.up["stem."], torch.tensor(0.25))
