"""Procedural teachers: each look as a pure function of the picture.

`uint8 RGB (H, W, 3) -> uint8 RGB (H, W, 3)`, any size, nothing random and nothing anchored to the
frame's border: a shifted picture gives the shifted painting, which is what lets a network trained
on them keep its paint on the object. Lengths in pixels are meant for a short side of 256.

Sources of the formulas: XDoG (Winnemoeller et al. 2012, "XDoG: An eXtended
difference-of-Gaussians compendium"), Kuwahara's filter in Papari's soft-sector form (2007),
colour dodge as in the classic pencil filter.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
"""float32 in [0, 1], (H, W) or (H, W, 3)."""

SECTORS = 8
"""Of the Kuwahara filter."""


def _plane(picture: Picture) -> Plane:
    return np.asarray(picture, np.float32) / np.float32(255)


def _picture(plane: Plane) -> Picture:
    if plane.ndim == 2:
        plane = np.repeat(plane[..., None], 3, 2)
    return np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)


def _luma(plane: Plane) -> Plane:
    return np.asarray(plane @ np.array([0.299, 0.587, 0.114], np.float32))


def _blur(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))


def _saturate(plane: Plane, amount: float) -> Plane:
    grey = _luma(plane)[..., None]
    return np.asarray(grey + (plane - grey) * amount)


def _contrast(plane: Plane, amount: float, middle: float = 0.5) -> Plane:
    return np.asarray((plane - middle) * amount + middle)


def _mix(colors: list[tuple[float, float, float]], position: Plane) -> Plane:
    """Piecewise linear map of [0, 1] to colours given as 0-255 triples."""
    stops = np.linspace(0, 1, len(colors))
    table = np.array(colors, np.float32) / 255
    return np.stack([np.interp(position, stops, table[:, c]) for c in range(3)], -1).astype(
        np.float32
    )


def smooth(plane: Plane, rounds: int = 3, sigma_color: float = 0.12) -> Plane:
    """Edge-preserving flattening by repeated bilateral filters."""
    plane = plane.astype(np.float32)
    for _ in range(rounds):
        plane = np.asarray(cv2.bilateralFilter(plane, 7, sigma_color, 3))
    return plane


def kuwahara(plane: Plane, radius: float) -> Plane:
    """Each pixel takes the mean of its calmest neighbouring sectors (soft minimum of variance)."""
    total = np.zeros_like(plane)
    weights = np.zeros((*plane.shape[:2], 1), np.float32)
    mean = _blur(plane, radius * 0.6)
    square = _blur(plane * plane, radius * 0.6)
    variance = np.maximum(square - mean * mean, 0).sum(2)
    for k in range(SECTORS):
        angle = 2 * np.pi * k / SECTORS
        shift = np.array(
            [[1, 0, radius * np.cos(angle)], [0, 1, radius * np.sin(angle)]], np.float32
        )
        size = plane.shape[1], plane.shape[0]
        m = cv2.warpAffine(mean, shift, size, borderMode=cv2.BORDER_REFLECT)
        v = cv2.warpAffine(variance, shift, size, borderMode=cv2.BORDER_REFLECT)
        weight = (1 / (1e-4 + v) ** 2)[..., None].astype(np.float32)
        total += m * weight
        weights += weight
    return np.asarray(total / weights)


def xdog(
    luma: Plane, *, sigma: float = 0.9, p: float = 18, epsilon: float = 0.6, phi: float = 9
) -> Plane:
    """Lines and fields: 1 on paper, 0 in ink (XDoG eq. 7 with the tanh threshold of eq. 5)."""
    sharpened = (1 + p) * _blur(luma, sigma) - p * _blur(luma, 1.6 * sigma)
    return np.asarray(np.where(sharpened >= epsilon, 1, 1 + np.tanh(phi * (sharpened - epsilon))))


def lines(luma: Plane, sigma: float = 1.0, strength: float = 14) -> Plane:
    """Dark side of the edges only: 1 away from edges, to 0 on them."""
    difference = _blur(luma, 1.6 * sigma) - _blur(luma, sigma)
    return np.asarray(np.clip(1 - strength * np.maximum(difference - 0.008, 0), 0, 1))


def edges(luma: Plane, sigma: float = 1.2) -> Plane:
    """Gradient magnitude of the smoothed luma, about [0, 1]."""
    calm = _blur(luma, sigma)
    dx = cv2.Scharr(calm, cv2.CV_32F, 1, 0)
    dy = cv2.Scharr(calm, cv2.CV_32F, 0, 1)
    return np.asarray(np.clip(np.hypot(dx, dy) / 6, 0, 1))


def levels(value: Plane, count: int, softness: float = 0.12) -> Plane:
    """Quantise to `count` levels with soft steps, so that a small change stays a small change."""
    scaled = value * count - 0.5
    base = np.floor(scaled)
    step = np.clip((scaled - base - 0.5) / softness + 0.5, 0, 1)
    return np.asarray(np.clip((base + step) / (count - 1), 0, 1))


def flatten_value(plane: Plane, count: int, softness: float = 0.15) -> Plane:
    """Quantise the brightness and keep the hue."""
    value = plane.max(2)
    flat = levels(value, count, softness) * 0.85 + 0.12
    return np.asarray(plane * (flat / np.maximum(value, 0.04))[..., None])


def watercolor(picture: Picture) -> Picture:
    plane = kuwahara(smooth(_plane(picture), 2), 4)
    tone = levels(np.clip(_contrast(plane, 1.15, 0.55), 0, 1), 6, 0.5)
    wash = np.clip(_saturate(1 - (1 - tone) * 0.62, 1.7), 0, 1)
    rim = np.clip(edges(_luma(plane), 1.0) * 2.4, 0, 0.6)[..., None]
    line = lines(_luma(smooth(_plane(picture), 1)), 0.9, 8)[..., None] * 0.55 + 0.45
    return _picture(wash * (1 - rim * (1 - wash * 0.5)) * line + 0.05)


def ink_drawing(picture: Picture) -> Picture:
    luma = _luma(smooth(_plane(picture), 3))
    local = _blur(luma, 24)
    fields = xdog(luma, sigma=1.6, p=7, epsilon=0.36, phi=6)
    ink = fields * xdog(luma - local + 0.62, sigma=1.2, p=14, epsilon=0.53, phi=7)
    return _picture(_mix([(22, 20, 26), (250, 249, 244)], np.clip(ink, 0, 1)))


def charcoal(picture: Picture) -> Picture:
    luma = _luma(kuwahara(_plane(picture), 2))
    local = luma - _blur(luma, 16)
    tone = np.clip(0.62 * _contrast(luma, 1.3, 0.42) + 0.2 + 1.6 * local, 0, 1)
    drawn = tone * (0.25 + 0.75 * lines(luma, 1.3, 24)) - 0.3 * edges(luma, 1.3)
    return _picture(_mix([(20, 19, 19), (120, 117, 114), (222, 219, 213)], np.clip(drawn, 0, 1)))


def pencil_sketch(picture: Picture) -> Picture:
    luma = _luma(_plane(picture))
    inverted = _blur(1 - luma, 5)
    dodge = np.clip(luma / np.maximum(1 - inverted, 0.02), 0, 1) ** 2.2
    shade = 0.82 + 0.18 * levels(_blur(luma, 2), 3, 0.6)
    return _picture(
        _mix([(62, 62, 68), (252, 251, 248)], np.clip(dodge * shade * lines(luma, 0.8, 9), 0, 1))
    )


def pop_art(picture: Picture) -> Picture:
    plane = kuwahara(smooth(_plane(picture), 2), 3)
    luma = _luma(plane)
    ramp: list[tuple[float, float, float]] = [
        (28, 16, 92), (214, 24, 120), (250, 92, 40), (255, 214, 20), (250, 250, 220),
    ]  # fmt: skip
    poster = _mix(ramp, levels(np.clip(_contrast(luma, 1.25), 0, 1), 5, 0.18))
    color = _saturate(flatten_value(plane, 4), 2.4)
    mixed = 0.68 * poster + 0.32 * np.clip(color, 0, 1)
    return _picture(mixed * (0.2 + 0.8 * lines(luma, 1.4, 20))[..., None])


def stained_glass(picture: Picture) -> Picture:
    plane = kuwahara(kuwahara(_plane(picture), 3.5), 3.5)
    panes = np.clip(_saturate(flatten_value(plane, 5, 0.3), 2.6) * 1.1, 0, 1)
    luma = _luma(plane)
    glow = panes + 0.25 * (_blur(panes, 6) - _blur(panes, 14))
    lead = np.clip(edges(luma, 1.2) * 2.4 - 0.16, 0, 1) + (1 - lines(luma, 1.6, 24)) * 0.8
    lead = np.clip(_blur(lead, 0.8) * 1.4, 0, 1)[..., None]
    return _picture(glow * (1 - lead) + np.array([0.06, 0.05, 0.08], np.float32) * lead)


def anime(picture: Picture) -> Picture:
    plane = smooth(kuwahara(_plane(picture), 2.5), 3)
    flat = smooth(flatten_value(_saturate(plane, 1.5), 4, 0.12), 1)
    bright = 1 - (1 - np.clip(flat, 0, 1)) * 0.86
    ink = lines(_luma(smooth(_plane(picture), 1)), 1.1, 22)[..., None]
    return _picture(bright * ink + np.array([0.13, 0.08, 0.17], np.float32) * (1 - ink))


def neon(picture: Picture) -> Picture:
    plane = smooth(_plane(picture), 2)
    luma = _luma(plane)
    edge = np.clip(edges(luma, 1.1) * 3.0 - 0.06, 0, 1)
    hue = _mix(
        [(40, 90, 255), (20, 230, 255), (210, 60, 255), (255, 40, 150), (255, 190, 60)],
        np.clip(_blur(luma, 3), 0, 1),
    )
    tube = edge[..., None] * (0.55 * hue + 0.45)
    halo = _blur(edge[..., None] * hue, 4) * 1.5 + _blur(edge[..., None] * hue, 11) * 1.1
    night = np.array([0.02, 0.01, 0.06], np.float32) + plane * 0.07
    return _picture(night + tube + halo)


def vintage_film(picture: Picture) -> Picture:
    plane = _plane(picture)
    luma = _luma(plane)
    faded = _saturate(plane, 0.42)
    toned = 0.5 * faded + 0.5 * _mix([(58, 34, 22), (176, 128, 82), (255, 236, 196)], luma)
    bloom = np.clip(_blur(toned, 5) - 0.55, 0, 1) * 0.5
    return _picture(0.09 + 0.86 * _contrast(toned, 0.92) + bloom)


def film_noir(picture: Picture) -> Picture:
    luma = _luma(_plane(picture))
    curve = np.clip(_contrast(luma, 1.75, 0.47), 0, 1)
    curve = curve * curve * (3 - 2 * curve)
    bloom = _blur(np.clip(curve - 0.6, 0, 1), 6) * 0.7
    return _picture(_mix([(6, 7, 10), (118, 121, 126), (248, 248, 244)], curve + bloom))


def comic_book(picture: Picture) -> Picture:
    plane = smooth(_plane(picture), 3)
    luma = _luma(plane)
    printed = np.clip(_saturate(flatten_value(plane, 3, 0.14), 1.9), 0, 1)
    printed = printed * np.array([1.04, 0.98, 0.86], np.float32) + 0.04
    shadow = xdog(luma, sigma=1.0, p=20, epsilon=0.3, phi=14)
    ink = np.clip(lines(luma, 1.2, 30) * shadow, 0, 1)[..., None]
    return _picture(printed * ink + np.array([0.05, 0.05, 0.09], np.float32) * (1 - ink))


def cyberpunk(picture: Picture) -> Picture:
    plane = _plane(picture)
    luma = np.clip(_contrast(_luma(plane), 1.3, 0.5), 0, 1)
    graded = _mix([(6, 4, 34), (10, 60, 110), (70, 40, 170), (240, 50, 170), (255, 200, 235)], luma)
    warm = np.clip(plane[..., :1] - plane[..., 2:], -0.5, 0.5)
    tint = graded + warm * np.array([0.35, -0.05, -0.3], np.float32)
    light = _blur(np.clip(tint - 0.55, 0, 1), 5) * 0.9
    rim = edges(luma.astype(np.float32), 1.0)[..., None] * np.array([0.1, 0.75, 0.8], np.float32)
    return _picture(tint + light + rim * 0.55)


RENDERERS: dict[str, Callable[[Picture], Picture]] = {
    "watercolor": watercolor,
    "ink drawing": ink_drawing,
    "charcoal": charcoal,
    "pencil sketch": pencil_sketch,
    "pop art": pop_art,
    "stained glass": stained_glass,
    "anime": anime,
    "neon": neon,
    "vintage film": vintage_film,
    "film noir": film_noir,
    "comic book": comic_book,
    "cyberpunk": cyberpunk,
}
"""By the canonical prompt of `models.styles`; the rest is painted by `style_network.py`."""
