"""Looks of water: watercolor and ink wash."""

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
from models.training.teachers.prints import steps
from models.training.teachers.sketch import Sketch


def wavy(sketch: Sketch, plane: Plane, amount: float) -> Plane:
    """The plane with edges that run unevenly, as paint on damp paper."""
    small = blur(sketch.enlarged(sketch._noise[0, 0].numpy()), 5.0) * np.float32(4.4)
    dx = cv2.Scharr(small, cv2.CV_32F, 1, 0) / 8
    dy = cv2.Scharr(small, cv2.CV_32F, 0, 1) / 8
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(np.float32)
    x, y = columns + np.float32(amount) * dx, rows + np.float32(amount) * dy
    return np.asarray(cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def watercolor(sketch: Sketch) -> Plane:
    """A wet glaze and a dry one, dark rims, blooms, bare paper in the lights, a loose pencil line.

    Pigment density after Bousseau et al. 2006: C' = C (1 - (1 - C)(d - 1)).
    """
    lab = graded(sketch.flat_lab(6, 2), 1.9, 0.90, 0.80, local=0.5, sigma=30)
    glaze = rgb_of(lab)
    wet = wavy(sketch, blur(glaze, 5.0), 9.0)
    dry = oklab(wavy(sketch, glaze, 2.2))
    level = steps(np.clip((dry[..., 0] - 0.12) / 0.86, 0, 1), 6, 0.3) * 0.86 + 0.12
    dry_rgb = rgb_of(lab_of(0.40 * dry[..., 0] + 0.60 * level, dry[..., 1:]))
    paint = np.clip(0.40 * wet + 0.60 * dry_rgb, 0, 1)
    paint = 1 - (1 - paint) * np.float32(0.74)
    light = luma(np.asarray(paint, np.float32))
    rim = np.maximum(0, blur(light, 3.6) - blur(light, 1.0) - 0.008) * 14
    clouds, tooth = sketch.clouds, sketch.grain
    density = 1 + 1.3 * np.clip(rim, 0, 1.2) + 0.15 * clouds + 0.045 * tooth
    edge = np.exp(-(((clouds - 0.7) / 0.10) ** 2))  # blooms: thin lines along a level of the clouds
    density = np.clip(density + 0.22 * edge, 0.1, 3.0)[..., None]
    paint = paint * (1 - (1 - paint) * (density - 1))
    lights = blur(wavy(sketch, luma(glaze), 6.0), 1.2) + 0.03 * clouds + 0.025 * tooth
    bare = smoothstep(0.80, 0.95, lights)[..., None]
    paint = paint + bare * (1 - paint) * np.float32(0.92)
    dx = cv2.Scharr(tooth, cv2.CV_32F, 1, 1 - 1) * np.float32(0.0018)
    paper = inks("fdfaf2")[0] * (1 - np.clip(dx, -0.05, 0.05)[..., None])
    line = sketch.lines(luma(sketch.calm), 1.2, 50, 0.005)
    line = line * smoothstep(-0.9, 0.9, 0.7 + tooth) * np.float32(0.5)
    picture = np.clip(paint, 0, 1) * paper
    return mix(
        np.asarray(picture, np.float32), np.broadcast_to(inks("434049")[0], picture.shape), line
    )


def ink_wash(sketch: Sketch) -> Plane:
    """Four grey washes with dark rims, broken brush lines, warm paper."""
    tone = sketch.tone(6, 0.9, 40, 0.4)
    tone = np.clip((tone - 0.05) / 0.85, 0, 1)
    clouds, tooth = sketch.clouds, sketch.grain
    soft = blur(wavy(sketch, np.asarray(tone, np.float32), 9.0), 1.4) + 0.018 * clouds
    light = np.ones_like(soft)
    for level, amount, width in (
        (0.80, 0.14, 0.06),
        (0.60, 0.24, 0.05),
        (0.40, 0.38, 0.04),
        (0.22, 0.62, 0.04),
    ):
        wash = 1 - smoothstep(level - width, level + width, soft)
        rim = np.clip((wash - blur(wash, 4.0)) * 1.1, 0, 1)
        wash = np.clip(wash * (0.84 + 0.16 * clouds) + 0.45 * rim, 0, 1)
        light = light * (1 - wash * amount)
    wash = 1 - light
    wash = 0.6 * wash + 0.4 * blur(np.asarray(wash, np.float32), 6.0)
    bold = sketch.lines(luma(sketch.flat(6)), 3.0, 42, 0.008, (3.0, 5.0, 7.0, 7.0))
    fine = sketch.lines(luma(sketch.calm), 1.3, 60, 0.007, (2.0, 4.0, 5.0))
    face = sketch.lines(sketch.even(luma(sketch.flat(4)), 28, 0.06), 1.8, 55, 0.022)
    dry = smoothstep(-1.7, 0.0, sketch.fine.height + 0.35 * tooth + 0.6)
    brush = np.maximum.reduce([bold * dry, np.float32(0.85) * fine, np.float32(0.8) * face])
    dark = 1 - (1 - np.clip(wash, 0, 1)) * (1 - brush * np.float32(0.94))
    paper = inks("f4eddd")[0] * (1 + np.float32(0.010) * tooth[..., None])
    return mix(np.asarray(paper, np.float32), np.broadcast_to(inks("14161a")[0], paper.shape), dark)
