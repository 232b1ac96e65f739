"""Drawings and prints in one ink: pencil, charcoal, linocut, pen."""

import numpy as np

from models.training.teachers.color import Plane, blur, inks, luma, mix, ramp, smoothstep
from models.training.teachers.sketch import Sketch

SPREAD = np.float32(12**0.5)


def hatch(sketch: Sketch) -> tuple[Plane, Plane]:
    """Hatching along the flow and along the diagonal, uniform in [0, 1]."""
    along, across = sketch.marks("hatching")
    one, other = (sketch.enlarged(v) / SPREAD + np.float32(0.5) for v in (along, across))
    return np.clip(one, 0, 1), np.clip(other, 0, 1)


def folded(share: Plane) -> Plane:
    """Twice as many lines of half the width; uniform as before."""
    return np.asarray(np.abs(2 * share - 1))


def pencil_sketch(sketch: Sketch) -> Plane:
    """Two sets of hatching where the tone asks for them, doubled soft lines, white paper."""
    tone = sketch.tone(4, 0.7, 36, 0.45)
    dark = 1 - np.clip((tone - 0.05) / 0.80, 0, 1) ** np.float32(0.85)
    along, across = hatch(sketch)
    across = folded(across)
    tooth = np.float32(0.05) * sketch.grain
    first = smoothstep(0.0, 0.34, dark * 1.05 - across * 0.80 - 0.06 + tooth)
    second = smoothstep(0.0, 0.30, (dark - 0.34) * 1.35 - along * 0.70 + tooth)
    third = smoothstep(0.0, 0.30, (dark - 0.66) * 1.5 - (1 - across) * 0.60)
    shade = 1 - (1 - 0.50 * first) * (1 - 0.46 * second) * (1 - 0.5 * third)
    even = sketch.even(luma(sketch.calm), 28, 0.05)
    line = sketch.lines(luma(sketch.calm), 1.2, 60, 0.003)
    soft = sketch.lines(even, 2.0, 34, 0.012)
    line = np.maximum(line, np.float32(0.62) * soft)
    line = line * (1 - 0.45 * smoothstep(-0.4, 1.6, sketch.grain))
    ink = 1 - (1 - shade * np.float32(0.86)) * (1 - line * np.float32(0.92))
    paper = inks("f8f5ec")[0] * (1 - np.float32(0.010) * sketch.grain[..., None])
    return mix(paper, np.broadcast_to(inks("2f3036")[0], paper.shape), ink)


def charcoal(sketch: Sketch) -> Plane:
    """Charcoal on the hills of grey paper, smudges, white chalk in the lights."""
    tone = sketch.tone(5, 0.85, 40, 0.55)
    along, across = hatch(sketch)
    hairs = (0.8 * folded(along) + along + 1.2 * folded(across)) / 3 - 0.5
    tooth = np.float32(0.5) * sketch.grain
    pressure = (1 - tone) * 1.45 - 0.36
    deposit = smoothstep(-0.6, 0.8, pressure * 3.3 - 1.0 + 2.4 * hairs - 0.38 * tooth)
    smudge = smoothstep(0.1, 1.0, 1 - blur(tone, 6)) * np.float32(0.55)
    line = sketch.lines(luma(sketch.flat(4)), 2.2, 34, 0.006, (2.0, 4.0, 5.0, 5.0))
    line = line * smoothstep(-1.3, 0.5, 1.1 - 0.55 * tooth + hairs)
    dark = 1 - (1 - deposit * np.float32(0.86)) * (1 - smudge) * (1 - line * np.float32(0.93))
    chalk = smoothstep(0.70, 0.95, tone) * smoothstep(-0.7, 0.8, 2.6 * hairs - 0.45 * tooth + 0.2)
    paper = inks("cfc5b4")[0] * (1 + np.float32(0.018) * tooth[..., None])
    drawn = mix(paper, np.broadcast_to(inks("161515")[0], paper.shape), dark)
    return mix(drawn, np.broadcast_to(inks("fdfaf2")[0], paper.shape), chalk * np.float32(0.9))


def linocut(sketch: Sketch) -> Plane:
    """Gouged lines along the form, their width by tone; black and white outlines."""
    tone = sketch.tone(5, 0.9, 40, 0.45)
    tone = np.clip((tone - 0.10) / 0.78, 0, 1)
    tone = np.clip(tone + 0.9 * (tone - blur(tone, 16)), 0, 1)
    along = blur(hatch(sketch)[0], 1.5)
    along = 0.5 + (along - 0.5) * (1.1 - 0.45 * sketch.detail)
    cut = smoothstep(-0.05, 0.05, tone * np.float32(1.26) - np.float32(0.13) - along)
    plane = luma(sketch.flat(4))
    black = sketch.lines(plane, 1.9, 55, 0.008, (2.0, 4.0, 5.0))
    even = sketch.even(plane, 24, 0.05)
    face = sketch.lines(even, 1.7, 50, 0.018, (2.0, 4.0, 5.0))
    white = sketch.lines(1 - plane, 1.9, 55, 0.010, (2.0, 4.0, 5.0))
    paper = np.maximum(cut * (1 - np.maximum(black, face)), white * smoothstep(0.06, 0.16, tone))
    paper = smoothstep(0.32, 0.68, blur(paper, 0.8))
    ink = (1 - paper) * (1 - np.float32(0.55) * smoothstep(1.5, 2.4, sketch.grain))
    sheet = np.broadcast_to(inks("f0e8d7")[0], (*ink.shape, 3))
    return mix(sheet, np.broadcast_to(inks("14161a")[0], sheet.shape), ink)


def ink_drawing(sketch: Sketch) -> Plane:
    """Pen and ink: firm lines, thin hatching in the shade, solid blacks."""
    tone = sketch.tone(4, 0.8, 36, 0.45)
    dark = 1 - np.clip((tone - 0.06) / 0.74, 0, 1)
    along, across = hatch(sketch)
    first = smoothstep(-0.10, 0.10, (dark - 0.26) * 0.95 - folded(along))
    second = smoothstep(-0.10, 0.10, (dark - 0.48) * 0.95 - folded(across))
    plane = luma(sketch.calm)
    fine = sketch.lines(plane, 1.1, 80, 0.005)
    bold = sketch.lines(luma(sketch.flat(5)), 2.1, 60, 0.010, (2.0, 4.0, 5.0))
    face = sketch.lines(sketch.even(plane, 26, 0.06), 1.6, 55, 0.018)
    black = 1 - smoothstep(0.13, 0.20, blur(tone, 1.2))
    ink = np.maximum.reduce([first, second, fine, bold, face, black])
    ink = smoothstep(0.25, 0.75, ink)
    sheet = np.broadcast_to(inks("faf7ee")[0], (*ink.shape, 3))
    return mix(sheet, np.broadcast_to(inks("12131a")[0], sheet.shape), ink)


def blueprint(sketch: Sketch) -> Plane:
    """White construction lines and fine hatching on blue, a grid of 16 px."""
    even = sketch.even(luma(sketch.flat(4)), 26, 0.035)
    fine = sketch.ridges(even, 1.3, (2.0, 4.0, 5.0))
    sharp = sketch.lines(luma(sketch.calm), 1.2, 60, 0.004, (2.0, 4.0, 4.0))
    line = np.maximum(smoothstep(0.10, 0.55, fine), np.float32(0.85) * sharp)
    tone = sketch.tone(5, 0.7, 36, 0.4)
    rows, columns = np.mgrid[: tone.shape[0], : tone.shape[1]].astype(np.float32)
    turn = np.float32(2 * np.pi / 8)
    one = smoothstep(0.45, 0.95, np.cos((columns + rows) * turn))
    other = smoothstep(0.45, 0.95, np.cos((columns - rows) * turn))
    shade = np.float32(0.5) * one * (1 - smoothstep(0.30, 0.48, tone))
    shade = np.maximum(shade, np.float32(0.5) * other * (1 - smoothstep(0.14, 0.28, tone)))
    grid = np.maximum(
        smoothstep(0.955, 1.0, np.cos(columns * turn / 2)),
        smoothstep(0.955, 1.0, np.cos(rows * turn / 2)),
    )
    chalk = np.maximum(line, shade * (1 - line)) + np.float32(0.13) * grid
    chalk = np.clip(chalk * (1 - 0.16 * smoothstep(0.2, 1.8, sketch.grain)), 0, 1)
    blue = inks("123a75")[0] * (0.74 + 0.52 * tone[..., None])
    return mix(blue, np.broadcast_to(inks("eaf3ff")[0], blue.shape), chalk)


def neon(sketch: Sketch) -> Plane:
    """Tubes of light along the long edges, their glow on the dark."""
    plane = sketch.flat(4)
    even = sketch.even(luma(plane), 26, 0.04)
    fine = sketch.ridges(even, 1.9, (2.0, 4.0, 6.0, 6.0))
    wide = sketch.ridges(sketch.even(luma(sketch.flat(6)), 40, 0.05), 3.2, (3.0, 6.0, 6.0))
    edge = np.maximum(fine, np.float32(0.85) * wide)
    long = sketch.along(edge, (6.0, 8.0))
    edge = edge * smoothstep(0.12, 0.34, long)
    lab = sketch.flat_lab(6)
    hue = blur(np.arctan2(blur(lab[..., 2], 6), blur(lab[..., 1], 6)), 5)
    phase = 0.5 + 0.5 * np.sin(hue + 5 * blur(lab[..., 0], 8) + 0.5 * sketch.clouds)
    colors = ramp_of(phase)
    tube = smoothstep(0.12, 0.55, blur(edge, 1.0))[..., None]
    core = smoothstep(0.35, 0.85, edge)[..., None]
    lit = colors * tube
    near, mid, far = blur(lit, 4), blur(lit, 12), blur(lit, 32)
    wall = luma(plane)[..., None]
    night = inks("07060f")[0] + plane**1.6 * np.array([0.10, 0.07, 0.17], np.float32)
    light = night + 0.95 * lit + 1.0 * near + (1.0 * mid + 1.25 * far) * (0.5 + 0.8 * wall)
    light = light + 0.8 * core
    return np.asarray(1 - np.exp(-1.25 * np.maximum(light, 0)), np.float32)


def ramp_of(phase: Plane) -> Plane:
    """Cyan, blue, violet, pink, orange, yellow."""
    return ramp(inks("00e5ff", "2f6bff", "9b3bff", "ff2fa0", "ff6a3d", "ffd23f"), phase)


def film_noir(sketch: Sketch) -> Plane:
    """Hard light and deep shadow, glow, streaks of rain before the dark, silver grain."""
    tone = sketch.tone(3, 0.9, 44, 0.65)
    x = np.clip((tone - 0.5) * 2.0 + 0.48, 0, 1)
    x = x * x * (3 - 2 * x)
    glow = blur(np.maximum(x - 0.62, 0), 8) * 1.3 + blur(np.maximum(x - 0.7, 0), 24) * 0.8
    _, across = hatch(sketch)
    rain = smoothstep(0.80, 0.98, across) * (1 - np.float32(0.75) * sketch.detail)
    rain = rain * smoothstep(0.95, 0.25, x) * np.float32(0.30)
    grain = sketch.grain * np.float32(0.035) * (1.1 - np.abs(x - 0.5))
    light = x * (0.95 - 0.4 * rain) + glow + rain + grain
    return ramp(inks("040507", "1f2328", "73767a", "c9c9c4", "fcf9ef"), light)
