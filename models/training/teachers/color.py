"""Colour: Oklab (Ottosson 2020), ramps of pigments, grading. float32, RGB in [0, 1]."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
"""float32 (H, W) or (H, W, 3)."""

Picture = NDArray[np.uint8]
"""uint8 RGB (H, W, 3)."""

TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
FROM_LMS = np.linalg.inv(TO_LMS).astype(np.float32)
FROM_LAB = np.linalg.inv(TO_LAB).astype(np.float32)
GAMMA_STEPS = 4096


def _decoded() -> Plane:
    code = np.linspace(0, 1, GAMMA_STEPS, dtype=np.float32)
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def _encoded() -> Plane:
    # Over the square root of linear light, where the curve is nearly straight.
    linear = np.linspace(0, 1, GAMMA_STEPS, dtype=np.float32) ** 2
    code = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return code.astype(np.float32)


DECODED, ENCODED = _decoded(), _encoded()


def _mapped(plane: Plane, table: Plane) -> Plane:
    index = np.clip(plane, 0, 1) * (GAMMA_STEPS - 1) + 0.5
    return table[index.astype(np.int32)]


def oklab(rgb: Plane) -> Plane:
    """RGB -> L in [0, 1], a, b."""
    lms = cv2.transform(_mapped(rgb, DECODED), TO_LMS)
    root = cv2.pow(np.maximum(lms, 0), 1 / 3)
    return np.asarray(cv2.transform(root, TO_LAB), np.float32)


def rgb_of(lab: Plane) -> Plane:
    """Oklab -> RGB, clipped to [0, 1]."""
    lms = cv2.transform(np.asarray(lab, np.float32), FROM_LAB)
    linear = cv2.transform(lms * lms * lms, FROM_LMS)
    return _mapped(np.sqrt(np.clip(linear, 0, 1)), ENCODED)


def lab_of(lightness: Plane, ab: Plane) -> Plane:
    """Stack lightness (H, W) and colour (H, W, 2)."""
    return np.concatenate([lightness[..., None], ab], -1).astype(np.float32)


def inks(*codes: str) -> Plane:
    """Hexadecimal colours as (n, 3)."""
    triples = [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in codes]
    return np.array(triples, np.float32) / 255


def ramp(colors: Plane, position: Plane) -> Plane:
    """Piecewise linear from the first colour (0) to the last (1)."""
    table = np.stack(
        [np.interp(np.linspace(0, 1, 1024), np.linspace(0, 1, len(colors)), c) for c in colors.T],
        -1,
    ).astype(np.float32)
    return table[(np.clip(position, 0, 1) * 1023 + 0.5).astype(np.int32)]


def luma(rgb: Plane) -> Plane:
    return np.asarray(cv2.transform(rgb, np.array([[0.299, 0.587, 0.114]], np.float32)), np.float32)


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian; wide ones are taken on a smaller plane."""
    if sigma < 6:
        return np.asarray(
            cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32
        )
    factor = 4 if sigma >= 12 else 2
    height, width = plane.shape[:2]
    small = cv2.resize(plane, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32
    )


def smoothstep(low: float, high: float, plane: Plane) -> Plane:
    """0 below `low`, 1 above `high`."""
    t = np.clip((plane - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(under: Plane, over: Plane, share: Plane) -> Plane:
    """`under` where `share` (H, W) is 0, `over` where it is 1."""
    wide = share[..., None] if share.ndim == 2 else share
    return np.asarray(under + (over - under) * wide, np.float32)


def uint8(rgb: Plane) -> Picture:
    """Rounded; a grey plane becomes three channels."""
    if rgb.ndim == 2:
        rgb = np.repeat(rgb[..., None], 3, 2)
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def graded(
    lab: Plane,
    saturation: float = 1.0,
    contrast: float = 1.0,
    middle: float = 0.6,
    warm: float = 0.0,
    local: float = 0.0,
    sigma: float = 26.0,
) -> Plane:
    """Oklab in and out: saturation, contrast about `middle`, local contrast, warm lights."""
    lightness = lab[..., 0]
    if local:
        lightness = lightness + local * (lightness - blur(lightness, sigma))
    lightness = middle + (lightness - middle) * contrast
    ab = lab[..., 1:] * saturation
    if warm:
        tint = (smoothstep(0.3, 0.9, lightness) - 0.5) * warm
        ab = ab + np.stack([tint * 0.35, tint], -1)
    return lab_of(np.clip(lightness, 0, 1.02), ab)


def relief(
    rgb: Plane, height: Plane, depth: float, gloss: float = 0.2, shininess: int = 24
) -> Plane:
    """Light on the height of the paint from above left; flat paint keeps its colour.

    Lambert over its flat value and a little Blinn-Phong.
    """
    dx = cv2.Scharr(height, cv2.CV_32F, 1, 0) * (depth / 32)
    dy = cv2.Scharr(height, cv2.CV_32F, 0, 1) * (depth / 32)
    light = np.array([-0.6, -0.7, 0.65], np.float32)
    light /= np.linalg.norm(light)
    norm = 1 / np.sqrt(1 + dx * dx + dy * dy)
    lambert = (light[2] - dx * light[0] - dy * light[1]) * norm / light[2]
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = np.maximum(half[2] - dx * half[0] - dy * half[1], 0) * norm
    shine = shine**shininess - half[2] ** shininess
    return np.asarray(np.clip(rgb * lambert[..., None] + gloss * shine[..., None], 0, 1))
