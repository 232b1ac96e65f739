"""Figures of merit as pure functions on images (B, 3, H, W) in [-1, 1] and on engines."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.engine import Engine
from models.style import Style
from models.training.teachers.renderers import Picture

SIDE = 256
BORDER = 16
"""Pixels of the rim that temporal figures leave out: there the picture has entered newly."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, of the 8-bit pictures."""
    mse = ((_bytes(a) - _bytes(b)) ** 2).mean().item()
    return 10 * float(np.log10(255**2 / max(mse, 1e-9)))


def _bytes(image: Tensor) -> Tensor:
    return ((image.clamp(-1, 1) + 1) * 127.5).round()


def luma(image: Tensor) -> Tensor:
    """(B, 1, H, W), 0-255."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    weighted: Tensor = (_bytes(image) * weights).sum(1, keepdim=True)
    return weighted


def gaussian(plane: Tensor, sigma: float) -> Tensor:
    """(B, 1, H, W), blurred."""
    radius = max(1, round(3 * sigma))
    x = torch.arange(-radius, radius + 1, dtype=torch.float32, device=plane.device)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    padded = F.pad(plane, (radius,) * 4, mode="reflect")
    smoothed: Tensor = F.conv2d(F.conv2d(padded, kernel), kernel.transpose(2, 3))
    return smoothed


def ssim(a: Tensor, b: Tensor) -> float:
    """Structural similarity of the luma, Gaussian window of 1.5 px (Wang et al. 2004)."""
    x, y = luma(a), luma(b)
    mx, my = gaussian(x, 1.5), gaussian(y, 1.5)
    vx = gaussian(x * x, 1.5) - mx**2
    vy = gaussian(y * y, 1.5) - my**2
    cov = gaussian(x * y, 1.5) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return value.mean().item()


def gradient_correlation(a: Tensor, b: Tensor, sigma: float = 2.0) -> float:
    """Correlation of the gradient magnitudes of two lumas, smoothed by `sigma`: mean over B."""
    magnitudes = []
    for image in (a, b):
        plane = gaussian(luma(image), sigma)
        dx = plane[..., :-1, 1:] - plane[..., :-1, :-1]
        dy = plane[..., 1:, :-1] - plane[..., :-1, :-1]
        magnitudes.append((dx**2 + dy**2).sqrt().flatten(1))
    return float(torch.stack([_correlation(x, y) for x, y in zip(*magnitudes, strict=True)]).mean())


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(), y - y.mean()
    correlation: Tensor = (x * y).sum() / (x.norm() * y.norm() + 1e-9)
    return correlation


def band(plane: Tensor) -> Tensor:
    """What lies between 0.7 and 4 px: the scale of strokes."""
    return gaussian(plane, 0.7) - gaussian(plane, 4.0)


def band_correlation_of(painted: Tensor, taught: Tensor) -> float:
    """Correlation of two pictures' stroke bands, (1, 3, H, W) each, without the rim."""
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    x, y = (band(luma(image))[inner].flatten() for image in (painted, taught))
    return _correlation(x, y).item()


def stroke_energy(painted: Tensor, taught: Tensor) -> float:
    """Deviation of a picture's stroke band over that of the teacher's."""
    return (band(luma(painted)).std() / band(luma(taught)).std().clamp(min=1e-6)).item()


def paint(
    engine: Engine, style: Style, pictures: list[Picture], noises: list[Tensor] | None = None
) -> Tensor:
    """The pictures through the engine, one by one: (B, 3, H, W).

    `noises`: one for each picture; the style's fixed noise for all if not given.
    """
    height, width = pictures[0].shape[:2]
    noises = noises or [engine.noise(style, (width, height))] * len(pictures)
    conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)
    painted = []
    for picture, noise in zip(pictures, noises, strict=True):
        image = engine.to_image(picture)
        features = engine.features(image, noise, conditioning)
        latents = engine.denoise(
            engine.encode(image), noise, conditioning, schedule, features=features
        )
        painted.append(engine.decode(latents).clone())
    return torch.cat(painted).float().cpu()


def shifted(picture: Picture, dx: float, size: int) -> Picture:
    """A window of `size` whose content lies `dx` px further left; bicubic for parts of a pixel."""
    top, left = (picture.shape[0] - size) / 2, 2.0
    matrix = np.array([[1, 0, -(left + dx)], [0, 1, -top]], np.float32)
    return np.asarray(
        cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_CUBIC), np.uint8
    )


def pan(picture: Picture, dx: float, sensor_noise: float = 0.0, size: int = SIDE) -> list[Picture]:
    """Two frames of a camera that pans by `dx` px, with sensor noise of that standard deviation."""
    random = np.random.default_rng(0)
    return [_with_noise(shifted(picture, d, size), sensor_noise, random) for d in (0.0, dx)]


def band_correlation(painted: Tensor, dx: float) -> float:
    """Correlation of a frame's stroke band with the previous frame's, along the true motion.

    Args:
        painted: The two frames of `pan`, painted: (2, 3, H, W).
        dx: Pixels that the picture moved to the left from one to the other.
    """
    before, after = band(luma(painted))[:, 0].numpy()
    back, inner = _moved(before, dx), _inner(after, dx)
    return float(np.corrcoef(back[inner].ravel(), after[inner].ravel())[0, 1])


def warp_error(painted: Tensor, dx: float) -> float:
    """Squared difference along the true motion, over the variance of the luma (0-255)."""
    before, after = luma(painted)[:, 0].numpy()
    back, inner = _moved(before, dx), _inner(after, dx)
    return float(np.square(back[inner] - after[inner]).mean() / after[inner].var())


def _inner(plane: NDArray[np.float32], dx: float) -> tuple[slice, slice]:
    height, width = plane.shape
    return np.s_[BORDER : height - BORDER, BORDER : width - BORDER - round(dx)]


def _moved(plane: NDArray[np.float32], dx: float) -> NDArray[np.float32]:
    matrix = np.array([[1, 0, -dx], [0, 1, 0]], np.float32)
    size = plane.shape[1], plane.shape[0]
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_CUBIC), np.float32)


def _with_noise(picture: Picture, level: float, random: np.random.Generator) -> Picture:
    if level == 0:
        return picture
    noise = random.normal(0, level, picture.shape)
    return np.asarray(np.clip(np.rint(picture + noise), 0, 255), np.uint8)
