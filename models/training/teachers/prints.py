"""Flat inks and outlines: pop art, comic book, ukiyo-e, anime."""

import cv2
import numpy as np

from models.training.teachers.color import (
    Plane,
    blur,
    graded,
    inks,
    lab_of,
    luma,
    mix,
    oklab,
    rgb_of,
    smoothstep,
)
from models.training.teachers.sketch import Sketch


def screen(shape: tuple[int, ...], period: float = 16.0) -> Plane:
    """A halftone screen at 45 degrees: the share of ink at which each place is inked, [0, 1].

    Dots are period / √2 apart; the period divides 16 px, so that every latent cell is alike.
    """
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + np.float32(0.5)
    turn = np.float32(2 * np.pi / period)
    value = (2 - np.cos((columns + rows) * turn) - np.cos((columns - rows) * turn)) / 4
    place = np.mgrid[:128, :128] / 128 * period
    sample = 2 - np.cos((place[0] + place[1]) * turn) - np.cos((place[0] - place[1]) * turn)
    table = np.quantile(sample / 4, np.linspace(0, 1, 65))
    return np.asarray(np.interp(value, table, np.linspace(0, 1, 65)), np.float32)


def dots(share: Plane, threshold: Plane, soft: float = 0.10) -> Plane:
    """1 inside the dots whose area is `share`."""
    inked = smoothstep(-soft, soft, share - threshold)
    return np.asarray(inked * smoothstep(0.0, 0.05, share), np.float32)


def steps(plane: Plane, count: int, soft: float) -> Plane:
    """`count` levels with soft edges."""
    scaled = plane * count
    whole = np.floor(scaled)
    return np.asarray((whole + smoothstep(0.5 - soft / 2, 0.5 + soft / 2, scaled - whole)) / count)


def outline(sketch: Sketch, weight: float = 1.0) -> Plane:
    """Bold outlines and finer ones inside."""
    bold = sketch.lines(luma(sketch.flat(5)), 2.4 * weight, 60, 0.010, (2.0, 4.0, 6.0))
    fine = sketch.lines(luma(sketch.calm), 1.3, 70, 0.009)
    face = sketch.lines(sketch.even(luma(sketch.flat(4)), 28, 0.06), 1.7, 60, 0.024)
    return np.asarray(np.maximum.reduce([bold, fine, np.float32(0.9) * face]))


def pop_art(sketch: Sketch) -> Plane:
    """Four loud flat inks by tone and warmth, dots in the half tones, heavy line."""
    tone = blur(sketch.tone(6, 0.5, 40, 0.35), 1.2)
    lab = sketch.flat_lab(6, 2)
    heat = lab[..., 1] * 0.7 + lab[..., 2] * 0.7
    warm = smoothstep(0.35, 0.65, blur(smoothstep(-0.012, 0.030, heat - 0.012), 3))[..., None]
    black, red, orange, peach, cream, blue, sky, paper = inks(
        "14122b", "e8202c", "ff8f3a", "ffcf9e", "fff0a8", "1f6fd6", "8fd3f6", "fffaf0"
    )

    def above(level: float) -> Plane:
        return smoothstep(level - 0.018, level + 0.018, tone)[..., None]

    cool = blue + (sky - blue) * above(0.40)
    cool = cool + (paper - cool) * above(0.66)
    hot = red + (orange - red) * above(0.30)
    hot = hot + (peach - hot) * above(0.46)
    hot = hot + (cream - hot) * above(0.74)
    flat = cool * (1 - warm) + hot * warm
    share = np.clip((0.70 - tone) * 1.6, 0, 0.50)
    dot = dots(share, screen(tone.shape))[..., None] * (above(0.30) * (1 - above(0.66)))
    flat = flat + (blue * (1 - warm) + red * warm - flat) * dot
    ink = np.maximum(outline(sketch), 1 - above(0.15)[..., 0])
    return mix(np.asarray(flat, np.float32), np.broadcast_to(black, flat.shape), ink)


def comic_book(sketch: Sketch) -> Plane:
    """Soft levels of bright colour, printed dots in shade and light, black outlines."""
    lift = blur(sketch.luma, 44)
    lab = sketch.flat_lab(6).copy()
    lab[..., 0] *= 1 + 0.30 * (0.5 - lift)
    lab = graded(lab, 1.55, 1.2, 0.6, local=0.45, sigma=26)
    lightness = blur(lab[..., 0], 0.8)
    level = steps(np.clip((lightness - 0.08) / 0.9, 0, 1), 4, 0.16) * 0.9 + 0.1
    flat = rgb_of(lab_of(0.40 + 0.60 * level, lab[..., 1:] * 1.25))
    flat = np.clip(flat * np.array([1.05, 1.0, 0.90], np.float32) + np.float32(0.02), 0, 1)
    threshold = screen(lightness.shape, 8.0)
    smooth = blur(lightness, 2.4)
    shade = dots(np.clip((0.66 - smooth) * 2.0, 0, 0.62), threshold, 0.16)
    flat = flat * (1 - shade[..., None] * (1 - inks("85649c")[0]) * np.float32(0.85))
    light = dots(np.clip((smooth - 0.74) * 2.2, 0, 1) * np.float32(0.7), 1 - threshold, 0.16)
    flat = flat + light[..., None] * (1 - flat) * np.float32(0.45)
    black = 1 - smoothstep(0.25, 0.31, blur(lightness, 1.2))
    ink = np.maximum(outline(sketch), black)
    return mix(np.asarray(flat, np.float32), np.broadcast_to(inks("0e0d16")[0], flat.shape), ink)


PIGMENTS = inks(
    "1f2a44", "2f4f78", "5d87a6", "a9c0b8", "6f8a5c", "dccb9c", "f1e7cb", "c9573a", "e0a67c",
    "6b4a3a", "edd0ae",
)  # fmt: skip


def ukiyo_e(sketch: Sketch) -> Plane:
    """Eleven pigments laid flat, graded slowly, wood grain, key-block lines."""
    tone = sketch.tone(6, 0.6, 40, 0.3)
    lab = sketch.flat_lab(6, 2)
    key = lab_of(0.24 + 0.76 * tone, lab[..., 1:] * 1.2)
    plates = oklab(PIGMENTS[None])[0]
    weights = np.array([1.0, 3.2, 3.2], np.float32)
    key = key[::2, ::2]
    away = np.stack([((key - p) ** 2) @ weights for p in plates], -1)
    share = np.exp(-(away - away.min(2, keepdims=True)) / np.float32(0.0022))
    share = np.dstack([blur(share[..., i], 1.2) for i in range(len(plates))])
    share = np.dstack([cv2.resize(share[..., i], tone.shape[::-1]) for i in range(len(plates))])
    share = share * share * share
    flat = (share / share.sum(2, keepdims=True)) @ PIGMENTS
    flat = flat * (0.90 + 0.18 * blur(tone, 22)[..., None])
    _, across = sketch.marks("hatching")
    wood = sketch.enlarged(across)
    flat = flat * (1 - np.float32(0.055) * smoothstep(-0.4, 1.6, wood)[..., None])
    line = sketch.lines(luma(sketch.flat(5)), 1.9, 60, 0.007, (2.0, 4.0, 6.0, 6.0))
    fine = sketch.lines(luma(sketch.calm), 1.3, 60, 0.010, (2.0, 4.0, 6.0))
    face = sketch.lines(sketch.even(luma(sketch.flat(4)), 28, 0.06), 1.5, 60, 0.024)
    ink = np.maximum.reduce([line, np.float32(0.8) * fine, np.float32(0.85) * face])
    flat = flat * inks("fdf4dc")[0] * np.float32(1.03)
    return mix(np.asarray(flat, np.float32), np.broadcast_to(inks("161c30")[0], flat.shape), ink)


def anime(sketch: Sketch) -> Plane:
    """Cel shading: flat base, two violet shadow steps, coloured outlines, bloom."""
    lab = graded(sketch.flat_lab(6, 2), 1.28, 1.0, 0.7)
    base = blur(lab[..., 0], 2.0)
    local = base - blur(base, 26)
    half = 1 - smoothstep(-0.044, -0.030, local)
    deep = 1 - smoothstep(-0.135, -0.120, local)
    shine = smoothstep(0.075, 0.088, local) * smoothstep(0.68, 0.78, base)
    area = steps(np.clip((base - 0.06) / 0.92, 0, 1), 5, 0.10)
    light = 0.34 + 0.68 * (0.66 * area + 0.34 * blur(base, 6)) - 0.075 * half - 0.11 * deep
    light = light + 0.05 * shine
    violet = np.array([0.9, -1.7], np.float32)
    ab = blur(lab[..., 1:], 2.4) * (1.10 + 0.20 * half[..., None])
    ab = ab + (half * 0.014 + deep * 0.020)[..., None] * violet
    flat = rgb_of(lab_of(np.clip(light, 0, 1).astype(np.float32), ab))
    line = sketch.lines(sketch.even(luma(sketch.calm), 26, 0.05), 1.5, 70, 0.010, (2.0, 4.0, 6.0))
    bold = sketch.lines(luma(sketch.flat(5)), 2.2, 70, 0.009, (2.0, 4.0, 6.0, 6.0))
    ink = np.maximum(line, bold)
    dark = flat * np.float32(0.16) + np.array([0.05, 0.02, 0.07], np.float32)
    flat = mix(flat, dark, ink)
    bloom = blur(np.maximum(flat - 0.74, 0), 12) * np.float32(0.6)
    return np.asarray(1 - (1 - flat) * (1 - bloom), np.float32)
