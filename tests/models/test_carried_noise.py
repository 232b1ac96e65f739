"""Carried noise: what a stem is shown, on every path, and noise that moves with the picture."""

import numpy as np
import pytest
import torch
from miniature import save_bundled_like

from models import Engine, Style, load_engine, moved_noise
from models.fields import noise_plane

SIZE = (96, 64)
PROMPTS = ("oil", "ink:0.5|glass:0.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_bundled_like(tmp_path_factory.mktemp("stem"), stem=True)


@pytest.fixture(scope="module")
def engine(folder: str) -> Engine:
    return load_engine(folder, acceleration="off")


def frame(seed: int = 5) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    return small.repeat(8, 0).repeat(8, 1)


def given(engine: Engine, style: Style) -> tuple:
    return engine.noise(style, SIZE), engine.encode_prompt(style), engine.schedule(style)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    error = np.square(a.astype(np.float32) - b).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.parametrize(
    "acceleration", [pytest.param("openvino", marks=pytest.mark.slow), "eager"]
)
def test_fast_paths_paint_the_same(engine: Engine, folder: str, acceleration: str) -> None:
    fast = load_engine(folder, acceleration=acceleration, dtype=torch.float32)  # type: ignore[arg-type]
    for prompt, steps in ((PROMPTS[0], 1), (PROMPTS[1], 3)):
        style = Style(prompt, 0.6, steps, seed=3)
        assert psnr_db(fast.paint(frame(), *given(fast, style)), exact(engine, style)) > 45


def exact(engine: Engine, style: Style) -> np.ndarray:
    return engine.paint(frame(), *given(engine, style))


def test_the_picture_has_twice_the_sides(engine: Engine) -> None:
    assert engine.output_scale == 2 and engine.carries_noise
    assert exact(engine, Style("oil")).shape == (2 * SIZE[1], 2 * SIZE[0], 3)


def test_the_unet_sees_the_fields(engine: Engine) -> None:
    """With the same z_t, other planes make another picture."""
    style = Style("oil", 0.6)
    noise, conditioning, schedule = given(engine, style)
    image = engine.to_image(frame())
    latents = engine.encode(image)
    pictures = [
        engine.denoise(
            latents,
            noise,
            conditioning,
            schedule,
            features=engine.features(image, seen, conditioning),
        )
        for seen in (noise, noise.flip(-1))
    ]
    assert not torch.allclose(*pictures, atol=1e-3)


def test_several_frames_in_one_call_each_under_its_own_noise(engine: Engine) -> None:
    style = Style("oil", 0.6, 2)
    noise, *rest = given(engine, style)
    places = [shift(dx) for dx in (0, 3)]
    each = [moved_noise(noise, where) for where in places]
    data = np.stack([frame(1), frame(2)])
    together = engine.paint(data, torch.stack(each, dim=1), *rest)
    for picture, one, own in zip(together, data, each, strict=True):
        assert psnr_db(picture, engine.paint(one, own, *rest)) > 60


def shift(dx: int, size: tuple[int, int] = SIZE) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size[1] // 2), torch.arange(size[0] // 2), indexing="ij")
    return torch.stack([x + dx, y], dim=-1)


def test_noise_moves_by_places_finer_than_a_cell() -> None:
    noise = torch.randn(2, 16, 8, 12)
    plane = noise_plane(moved_noise(noise, shift(3)))
    assert torch.equal(plane, noise_plane(noise).roll(-3, dims=-1))
    assert torch.equal(moved_noise(noise, shift(0)), noise)
