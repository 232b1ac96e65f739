"""The carried fields: they follow the picture and the noise, and nothing else."""

import pytest
import torch
from torch import Tensor

from models.fields import KINDS, MARKS, PLANES, CarriedFields, noise_plane
from models.styles import STYLES

HEIGHT, WIDTH = 128, 160


def make_image(seed: int = 3, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Soft shapes with firm edges, (1, 3, height, width) in [-1, 1]."""
    random = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, height // 16, width // 16, generator=random) * 2 - 1
    up = torch.nn.functional.interpolate(small, (height, width), mode="bicubic")
    return (up * 3).tanh()


def make_noise(seed: int = 5, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, height // 2, width // 2, generator=random)


def correlation(one: Tensor, other: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def fields_of(kind: str) -> CarriedFields:
    return CarriedFields(() if kind == "none" else (kind,))


def test_noise_plane_is_a_pixel_shuffle() -> None:
    noise = torch.arange(16 * 6, dtype=torch.float32).view(1, 16, 2, 3)
    plane = noise_plane(noise)
    assert plane.shape == (1, 1, 8, 12)
    assert torch.equal(plane[0, 0, :4, :4].flatten(), noise[0, :, 0, 0])


@pytest.mark.parametrize("kind", ("none", *KINDS))
def test_planes_have_unit_spread(kind: str) -> None:
    image = torch.cat([make_image(s) for s in (3, 4, 5)])
    noise = torch.cat([make_noise(s) for s in (5, 6, 7)])
    planes = fields_of(kind)(image, noise)
    assert planes.shape == (3, PLANES, HEIGHT // 2, WIDTH // 2)
    used = planes[:, :2] if kind == "none" else planes
    spread = used.std((0, 2, 3))
    assert ((spread > 0.7) & (spread < 1.3)).all(), spread
    assert (used.mean((0, 2, 3)).abs() < 0.45).all()
    if kind == "none":
        assert not planes[:, 2:].any()


@pytest.mark.parametrize("kind", ("none", *KINDS))
def test_planes_move_with_picture_and_noise(kind: str) -> None:
    """Both moved by 2 px of the picture, which is 1 px of the planes."""
    image, noise = make_image(), make_noise()
    fields = fields_of(kind)
    before = fields(image[..., : WIDTH - 4], noise[..., : WIDTH // 2 - 2])
    after = fields(image[..., 2 : WIDTH - 2], noise[..., 1 : WIDTH // 2 - 1])
    inner = (slice(None), slice(None), slice(16, -16))
    moved, kept = before[(*inner, slice(17, -16))], after[(*inner, slice(16, -17))]
    for plane in range(2 if kind == "none" else PLANES):
        least = 0.93 if plane < 3 else 0.8  # a wedge of a facet is won or lost as a whole
        assert correlation(moved[:, plane], kept[:, plane]) > least, plane
        stays = before[(*inner, slice(16, -17))][:, plane]
        assert correlation(stays, kept[:, plane]) < 0.9


@pytest.mark.parametrize("kind", ("none", *KINDS))
def test_sensor_noise_leaves_the_planes(kind: str) -> None:
    image, noise = make_image(), make_noise()
    random = torch.Generator().manual_seed(9)
    grain = torch.randn(image.shape, generator=random) * (2 * 2 / 255)
    fields = fields_of(kind)
    before, after = fields(image, noise), fields(image + grain, noise)
    for plane in range(2 if kind == "none" else PLANES):
        assert correlation(before[:, plane], after[:, plane]) > 0.9, plane


def test_other_noise_gives_other_strokes() -> None:
    image = make_image()
    one, other = (CarriedFields()(image, make_noise(s)) for s in (5, 6))
    assert abs(correlation(one[:, :2], other[:, :2])) < 0.1


def test_strokes_follow_the_lines_of_the_picture() -> None:
    """On vertical stripes a plane changes less along them than across."""
    x = torch.arange(WIDTH) // 8 % 2 * 2.0 - 1
    image = x.expand(1, 3, HEIGHT, WIDTH).contiguous()
    planes = CarriedFields()(image, make_noise())[:, :2]
    along = (planes[:, :, 3:] - planes[:, :, :-3]).square().mean()
    across = (planes[..., 3:] - planes[..., :-3]).square().mean()
    assert along < 0.6 * across


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.trace(_method)?. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ("none", *KINDS))
def test_traced_module_equals_eager(kind: str) -> None:
    fields = fields_of(kind).eval()
    image, noise = make_image(), make_noise()
    traced = torch.jit.trace(fields, (image, noise))
    image, noise = make_image(7), make_noise(8)
    assert torch.equal(traced(image, noise), fields(image, noise))


def test_a_batch_is_its_pictures() -> None:
    fields = CarriedFields(("panes",))
    image = torch.cat([make_image(3), make_image(4)])
    noise = torch.cat([make_noise(5), make_noise(6)])
    both = fields(image, noise)
    for index in range(2):
        alone = fields(image[index : index + 1], noise[index : index + 1])
        torch.testing.assert_close(both[index : index + 1], alone, atol=2e-3, rtol=0)


def test_weights_mix_the_kinds() -> None:
    image, noise = make_image(), make_noise()
    both = CarriedFields(("panes", "hatching"))
    alone = CarriedFields(("hatching",))(image, noise)
    torch.testing.assert_close(both(image, noise, torch.tensor([[0.0, 1.0]])), alone)
    with pytest.raises(ValueError, match="no such kind of marks: brush"):
        CarriedFields(("brush",))


def test_a_picture_without_lines_has_planes_too() -> None:
    for kind in ("none", *KINDS):
        planes = fields_of(kind)(torch.zeros(1, 3, 64, 64), torch.randn(1, 1, 32, 32))
        assert planes.isfinite().all()


def test_sources_name_the_winner() -> None:
    """The carried value is about that of the smoothed noise at the source."""
    from models.fields.carried import BROAD, unit_noise

    image, noise = make_image(), make_noise()
    fields = CarriedFields(("panes",))
    planes, sources = fields(image, noise), fields.sources(image, noise)
    smooth = unit_noise(noise, BROAD.sigma)
    x, y = sources.broad[0].round().long()
    there = smooth[0, 0, y.clamp(0, smooth.shape[2] - 1), x.clamp(0, smooth.shape[3] - 1)]
    assert correlation(there, planes[0, 1]) > 0.9
    assert sources.cells is not None


def test_every_look_names_a_kind() -> None:
    assert set(MARKS.values()) <= {"none", *KINDS}
    assert {style.prompt for style in STYLES} <= set(MARKS)
