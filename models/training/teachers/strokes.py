"""Looks made of brush strokes: the carried noise is the height of the paint."""

import numpy as np

from models.training.teachers.color import (
    Plane,
    blur,
    graded,
    inks,
    lab_of,
    mix,
    oklab,
    ramp,
    relief,
    rgb_of,
    smoothstep,
)
from models.training.teachers.sketch import Sketch, Strokes


def tinted(rgb: Plane, strokes: Strokes, light: float, green: float, warm: float) -> Plane:
    """Each stroke a little lighter and warmer the higher it lies."""
    shift = np.stack([light * strokes.height, green * strokes.height, warm * strokes.height], -1)
    return rgb_of(oklab(rgb) + shift.astype(np.float32))


def bristles(strokes: Strokes, hairs: float) -> Plane:
    """Lines along the strokes: the contour lines of their height."""
    return np.asarray(np.sin(strokes.height * np.float32(hairs)), np.float32)


def brushed(
    sketch: Sketch,
    source: Plane,
    *,
    tint: float = 1.0,
    broad_blur: float = 4.0,
    fine_blur: float = 1.8,
    miss: tuple[float, float] = (0.10, 0.22),
    keep: tuple[float, float] = (0.09, 0.20),
    depth: float = 0.42,
    hairs: float = 7.0,
) -> Plane:
    """Broad strokes, fine ones where those miss the picture, the picture where both do.

    Args:
        sketch: The crop.
        source: RGB that the paint is mixed from.
        tint: How much strokes differ in colour.
        broad_blur, fine_blur: What a stroke averages over, pixels.
        miss, keep: Sum of |RGB| off the picture at which fine strokes and the picture come in.
        depth: Of the relief.
        hairs: Bristles a stroke.
    """
    broad, fine = sketch.broad, sketch.fine
    under = tinted(
        broad.color(blur(source, broad_blur)), broad, 0.040 * tint, 0.010 * tint, 0.024 * tint
    )
    over = tinted(
        fine.color(blur(source, fine_blur)), fine, 0.026 * tint, 0.006 * tint, 0.014 * tint
    )
    off = blur(np.abs(under - blur(source, 1.4)).sum(2), 2.0)
    fine_share = np.maximum(smoothstep(*miss, off), smoothstep(0.25, 0.85, sketch.detail))
    painted = mix(under, over, fine_share)
    off = blur(np.abs(painted - source).sum(2), 1.6)
    kept = smoothstep(*keep, off)
    painted = mix(painted, source, kept * np.float32(0.9))
    height = np.tanh(0.8 * broad.height) * 3.6 + 0.45 * bristles(broad, hairs)
    fine_height = np.tanh(0.8 * fine.height) * 2.0 + 0.25 * bristles(fine, hairs)
    height = height * (1 - fine_share) + fine_height * fine_share
    height = blur(np.asarray(height, np.float32), 0.9) * (1 - 0.8 * kept)
    height = height * (1 - 0.55 * sketch.detail)
    return relief(painted, np.asarray(height, np.float32), depth, gloss=0.15)


def oil_painting(sketch: Sketch) -> Plane:
    source = sketch.graded(5, saturation=1.32, contrast=1.08, warm=0.04, local=0.4, sigma=28)
    return brushed(sketch, source)


def van_gogh(sketch: Sketch) -> Plane:
    """Ultramarine to cream and umber to chrome yellow; dark blue outlines; long thin strokes."""
    lab = graded(sketch.flat_lab(5), 1.5, 1.25, 0.55, local=0.45, sigma=25)
    tone = smoothstep(0.1, 0.97, lab[..., 0])
    cool = oklab(ramp(inks("0a1440", "16307e", "1f5fb4", "4fa3c4", "a8d3c2", "f4efc0"), tone))
    warm = oklab(ramp(inks("24202e", "6b3f1d", "b9701f", "e5a524", "f7cf3d", "fdf0a0"), tone))
    heat = smoothstep(0.0, 0.07, lab[..., 2] + 0.35 * lab[..., 1] + 0.012 * sketch.clouds)
    palette = mix(cool, warm, blur(heat, 3))
    own, drawn = np.array([[0.55, 0.42, 0.42], [0.45, 0.78, 0.78]], np.float32)
    source = rgb_of(lab * own + palette * drawn)
    along, _ = sketch.marks("hatching")
    lines = sketch.enlarged(along)
    fine = sketch.fine
    paint = brushed(sketch, source, tint=1.5, miss=(0.02, 0.10), depth=0.6, hairs=5)
    dash = tinted(paint, fine, 0.012, 0.0, 0.01)
    lab = oklab(dash)
    lab[..., 0] += 0.03 * lines * (1 - 0.6 * sketch.detail)
    lab[..., 2] += 0.02 * lines
    ridge = blur(lines, 1.4) * (1 - 0.7 * sketch.detail)
    paint = relief(rgb_of(lab), ridge, 0.55, gloss=0.05)
    ink = sketch.lines(sketch.luma, 1.7, 30, 0.010) * np.float32(0.72)
    return mix(paint, np.broadcast_to(inks("10204a")[0], paint.shape), ink)


def impressionism(sketch: Sketch) -> Plane:
    """Short dabs of broken colour, cream between them, violet shadows."""
    lab = graded(sketch.flat_lab(5), 1.75, 0.86, 0.72, warm=0.09, local=0.45, sigma=25)
    shade = 1 - smoothstep(0.35, 0.75, lab[..., 0])
    lab[..., 1] += 0.018 * shade
    lab[..., 2] -= 0.035 * shade
    source = rgb_of(lab) * np.float32(0.94) + np.float32(0.055)
    broad, fine = sketch.broad, sketch.fine
    dabs = broad.color(blur(source, 3.0))
    dabs = rgb_of(oklab(dabs) + broken(broad, 0.05, 0.035, 0.045))
    over = fine.color(blur(source, 1.6))
    over = rgb_of(oklab(over) + broken(fine, 0.045, 0.03, 0.04))
    off = blur(np.abs(dabs - source).sum(2), 2)
    share = np.maximum(smoothstep(0.15, 0.3, off), smoothstep(0.3, 0.7, fine.height - 0.6))
    paint = mix(dabs, over, share)
    gap = smoothstep(-0.9, -1.5, broad.height) * smoothstep(-0.2, -1.0, fine.height)
    gap = gap * (1 - sketch.detail) * np.float32(0.6)
    paint = mix(paint, np.broadcast_to(inks("fbf3dd")[0], paint.shape), gap)
    height = 2.2 * np.tanh(0.8 * broad.height) * (1 - share) + 2.2 * np.tanh(fine.height) * share
    height = blur(np.asarray(height, np.float32), 0.9) * (1 - 0.5 * sketch.detail)
    return relief(paint, np.asarray(height, np.float32), 0.6, gloss=0.06)


def broken(strokes: Strokes, light: float, green: float, warm: float) -> Plane:
    """Tints that differ from stroke to stroke in lightness and hue: folds of its height."""
    turn = np.float32(2.4) * strokes.height
    return np.stack(
        [light * np.tanh(strokes.height), green * np.sin(turn), warm * np.cos(turn)], -1
    ).astype(np.float32)


def fauvism(sketch: Sketch) -> Plane:
    """Wild hues by tone, set in broad strokes."""
    lab = graded(sketch.flat_lab(6, 2), 1.0, 1.3, 0.58, local=0.6, sigma=30)
    tone = smoothstep(0.1, 0.95, lab[..., 0])
    wild = oklab(
        ramp(inks("1d1147", "0b5a6e", "1f8a5c", "d2382f", "f0822c", "f9d24a", "fff1b8"), tone)
    )
    own = lab_of(lab[..., 0], lab[..., 1:] * 3.2)
    source = rgb_of(own * np.float32(0.45) + wild * np.float32(0.55))
    return brushed(
        sketch, source, tint=1.5, broad_blur=5, miss=(0.18, 0.36), keep=(0.16, 0.34), hairs=6
    )


def pastel_drawing(sketch: Sketch) -> Plane:
    """Chalk over dark warm paper: strokes of broken tint that its tooth lets through."""
    lab = graded(sketch.flat_lab(4), 1.5, 0.92, 0.70, warm=0.04, local=0.6, sigma=25)
    lab[..., 0] = 0.24 + 0.78 * lab[..., 0]
    source = rgb_of(lab)
    fine = sketch.fine
    chalk = fine.color(blur(source, 1.6))
    chalk = rgb_of(oklab(chalk) + broken(fine, 0.045, 0.030, 0.040))
    chalk = mix(chalk, source, smoothstep(0.10, 0.24, blur(np.abs(chalk - source).sum(2), 1.6)))
    along, across = sketch.marks("hatching")
    hairs = [np.abs(sketch.enlarged(v)) for v in (across, along)]
    tooth = smoothstep(1.25, 0.05, 0.7 * hairs[0] + 0.5 * hairs[1] + 0.16 * sketch.grain)
    tooth = tooth * (0.46 - 0.26 * sketch.detail)
    paper = inks("6a5b4e")[0] * (1 + np.float32(0.05) * sketch.grain[..., None])
    return mix(chalk, np.asarray(paper, np.float32), tooth)
