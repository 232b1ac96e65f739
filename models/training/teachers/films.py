"""Film stock and light: cyberpunk, vintage film."""

import numpy as np

from models.training.teachers.color import (
    Plane,
    blur,
    graded,
    inks,
    luma,
    mix,
    ramp,
    rgb_of,
    smoothstep,
)
from models.training.teachers.sketch import Sketch


def cyberpunk(sketch: Sketch) -> Plane:
    """Two ramps by warmth, rims of the other hue, rain of light, scan lines of 4 px."""
    tone = sketch.tone(5, 0.75, 40, 0.35)
    lab = sketch.flat_lab(6)
    heat = blur(lab[..., 1] * 0.6 + lab[..., 2] * 0.9, 3) + 0.022 * sketch.clouds
    warm = smoothstep(-0.03, 0.05, heat)[..., None]
    hot = ramp(inks("05030f", "0b1440", "3a1f8f", "c023a8", "ff5aa8", "ffd9f0"), tone)
    cool = ramp(inks("02060f", "05284a", "0a6f8f", "18d6d8", "b9fff2"), tone)
    picture = cool * (1 - warm) + hot * warm
    even = sketch.even(luma(sketch.flat(4)), 26, 0.05)
    edge = sketch.ridges(even, 1.6, (2.0, 4.0, 5.0))
    edge = smoothstep(0.15, 0.75, edge)[..., None]
    light = np.array([0.1, 0.95, 1.0], np.float32) * warm
    light = light + np.array([1.0, 0.25, 0.75], np.float32) * (1 - warm)
    picture = picture * (1 - 0.35 * edge) + light * edge * 0.75
    picture = picture + blur(np.asarray(light * edge, np.float32), 8) * 0.9
    rows = np.arange(picture.shape[0], dtype=np.float32)[:, None, None]
    picture = picture * (0.90 + 0.10 * np.cos(rows * np.float32(2 * np.pi / 4)))
    picture = picture + blur(np.maximum(np.asarray(picture, np.float32) - 0.6, 0), 14) * 0.9
    red = np.roll(picture[..., 0], 2, 1)
    violet = np.roll(picture[..., 2], -2, 1)
    return np.stack([red, picture[..., 1], violet], -1).astype(np.float32)


def vintage_film(sketch: Sketch) -> Plane:
    """Faded warm stock, halation, light leaks, grain, hairs and dust."""
    graded_rgb = rgb_of(graded(oklab_of(sketch), 0.62, 0.95, 0.55, warm=0.06, local=0.3))
    tone = luma(graded_rgb)
    stock = ramp(inks("1d2a2e", "6a4a35", "b98a5a", "ecd3a0", "fff4d6"), tone)
    picture = graded_rgb * np.float32(0.55) + stock * np.float32(0.45)
    halo = blur(np.maximum(tone - 0.62, 0), 14)[..., None]
    lifted = np.array([1.2, 0.8, 0.9], np.float32) * np.float32(0.045)
    picture = 1 - (1 - picture * 0.92 - lifted) * (1 - halo * inks("ff9e52")[0])
    leak = smoothstep(0.3, 2.6, blur(sketch.clouds, 32) * 2.4)[..., None]
    picture = 1 - (1 - picture) * (1 - leak * inks("c94d1a")[0] * np.float32(0.42))
    picture = picture + sketch.grain[..., None] * np.float32(0.032)
    dust = smoothstep(3.0, 3.4, sketch.fine.height)[..., None]
    hair = smoothstep(2.9, 3.3, sketch.broad.height) * smoothstep(0.4, 0.1, sketch.detail)
    picture = mix(
        np.asarray(picture, np.float32), np.ones_like(picture), dust[..., 0] * np.float32(0.4)
    )
    return mix(picture, np.zeros_like(picture), hair * np.float32(0.25))


def oklab_of(sketch: Sketch) -> Plane:
    """The calm photograph in Oklab."""
    from models.training.teachers.color import oklab

    return np.asarray(sketch.kept("calm lab", lambda: oklab(sketch.calm)), np.float32)
