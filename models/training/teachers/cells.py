"""Looks made of cells: stained glass, mosaic, low poly, pointillism."""

import cv2
import numpy as np

from models.training.teachers.color import (
    Plane,
    blur,
    graded,
    inks,
    lab_of,
    mix,
    relief,
    rgb_of,
    smoothstep,
)
from models.training.teachers.sketch import Sketch

CREAM = np.array([1.0, 0.0, 0.06], np.float32)
"""Of the ground of pointillism, in Oklab."""

DOT = 7.0
"""Radius of a dot of pointillism in pixels of the painting."""

HALF_PIXEL = 4
"""Pixels of the painting a side of a half-resolution pixel."""


def labels_of(seeds: Plane) -> tuple[np.ndarray, int]:
    """A number for each place's cell, from the cell's seed, and how many there are."""
    key = np.rint(seeds[0] * 20).astype(np.int64) * 100_000 + np.rint(seeds[1] * 20).astype(
        np.int64
    )
    _, inverse = np.unique(key, return_inverse=True)
    labels = inverse.reshape(key.shape)
    return labels, int(labels.max()) + 1


def cell_means(plane: Plane, labels: np.ndarray, count: int) -> Plane:
    """The mean of `plane` (H, W, 3) in each cell, at half resolution: (h, w, 3)."""
    height, width = labels.shape
    small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    share = np.maximum(np.bincount(labels.ravel(), minlength=count), 1)
    mean = np.stack(
        [np.bincount(labels.ravel(), small[..., c].ravel(), count) / share for c in range(3)], -1
    )
    return np.asarray(mean[labels], np.float32)


def spread_out(sketch: Sketch, means: Plane, labels: np.ndarray) -> Plane:
    """Colours of cells at the painting's size: borders run smoothly between the places."""
    size = sketch.photo.shape[1], sketch.photo.shape[0]
    best = np.full(size[::-1], -1.0, np.float32)
    picture = np.zeros((*size[::-1], 3), np.float32)
    votes = {}
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            votes[down, right] = np.roll(labels, (down, right), (0, 1))
    for shifted, label in votes.items():
        share = np.zeros(labels.shape, np.float32)
        for other in votes.values():
            share += other == label
        wide = cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)
        color = np.roll(means, shifted, (0, 1))
        wide_color = cv2.resize(color, size, interpolation=cv2.INTER_NEAREST)
        better = wide > best
        best = np.where(better, wide, best)
        picture = np.where(better[..., None], wide_color, picture)
    return picture


def border(sketch: Sketch, kind: str) -> Plane:
    """Distance to the border of the cell in pixels of the painting."""
    distance, _ = sketch.marks(kind)
    plane = sketch.enlarged(distance + np.float32(1.2))
    return np.maximum(blur(plane, 1.2), 0) * HALF_PIXEL


def stained_glass(sketch: Sketch) -> Plane:
    """Glowing panes of one colour each between lit lead."""
    lift = blur(sketch.luma, 48)
    lab = sketch.flat_lab(5).copy()
    lab[..., 0] *= 1 + 0.45 * (0.5 - lift)
    lab = graded(lab, 1.6, 1.2, 0.6, local=0.6, sigma=28)
    labels, count = labels_of(sketch.seeds("panes"))
    _, number = sketch.marks("panes")
    pane = cell_means(lab, labels, count)
    light = 0.34 + 0.60 * smoothstep(0.10, 0.90, pane[..., 0] + 0.032 * number)
    turn = np.stack([np.cos(3 * number), np.sin(3 * number)], -1) * 0.012
    pane = lab_of(light, pane[..., 1:] * 1.35 + turn)
    glass = sketch.enlarged(rgb_of(pane), smooth=False)
    streak = 0.07 * np.tanh(sketch.broad.height) + 0.03 * sketch.fine.height
    glass = glass * (1 + streak + 0.30 * (lift - 0.5))[..., None]
    distance = border(sketch, "panes")
    rim = smoothstep(0, 9.0, distance)
    glass = glass * (0.66 + 0.38 * rim)[..., None]
    lead = 1 - smoothstep(1.5, 3.2, distance)
    glow = blur(glass * (1 - lead[..., None]), 6)
    glass = glass * (1 + 0.22 * glow)
    round_ = np.sqrt(np.maximum(3.4 - distance, 0))
    dx = cv2.Scharr(blur(round_, 0.8), cv2.CV_32F, 1, 0)
    dy = cv2.Scharr(blur(round_, 0.8), cv2.CV_32F, 0, 1)
    metal = (
        np.array([0.075, 0.075, 0.09], np.float32)
        + np.clip(-(dx + dy) * 0.010, -0.03, 0.16)[..., None]
    )
    return mix(np.asarray(glass, np.float32), np.asarray(metal + 0.09 * glow, np.float32), lead)


def mosaic(sketch: Sketch) -> Plane:
    """Small bevelled stones turned along the form, pale grout."""
    lab = graded(sketch.flat_lab(4), 1.4, 1.18, 0.62, local=0.6, sigma=24)
    labels, count = labels_of(sketch.seeds("tiles"))
    _, number = sketch.marks("tiles")
    stone = cell_means(lab, labels, count)
    shift = np.stack([0.035 * number, 0.010 * np.cos(3 * number), 0.012 * np.sin(3 * number)], -1)
    stone = rgb_of(stone * np.array([1, 1.25, 1.25], np.float32) + shift.astype(np.float32))
    picture = sketch.enlarged(stone, smooth=False)
    distance = border(sketch, "tiles")
    tile = smoothstep(1.2, 3.0, distance)
    tilt = sketch.enlarged(number, smooth=False)
    height = np.minimum(distance, 7.0) * 0.9 + 0.25 * sketch.fine.height
    picture = picture * (1 + 0.045 * tilt)[..., None]
    lit = relief(picture, blur(np.asarray(height, np.float32), 1.0), 0.5, gloss=0.28, shininess=30)
    grout = inks("8b8375")[0] * (1 + 0.05 * sketch.grain[..., None])
    return mix(np.asarray(grout, np.float32), lit, tile)


def low_poly(sketch: Sketch) -> Plane:
    """Flat triangles, each of one colour, lit by the way it faces."""
    lab = graded(sketch.flat_lab(5), 1.3, 1.2, 0.6, local=0.45, sigma=30)
    labels, count = labels_of(sketch.seeds("facets"))
    _, lit = sketch.marks("facets")
    mean = cell_means(lab, labels, count)
    calm = 1 - np.float32(0.6) * cv2.resize(sketch.detail, lit.shape[::-1])
    mean[..., 0] += 0.055 * lit * calm
    return spread_out(sketch, rgb_of(mean), labels)


def pointillism(sketch: Sketch) -> Plane:
    """Round dots of pure broken colour over a ground of softer ones."""
    lab = graded(sketch.flat_lab(4), 1.45, 1.10, 0.64, local=0.6, sigma=22)
    labels, count = labels_of(sketch.seeds("dots"))
    _, number = sketch.marks("dots")
    dot = cell_means(lab, labels, count)
    tints = (0.045 * number, 0.050 * np.cos(2.7 * number), 0.060 * np.sin(2.7 * number))
    calm = 1 - np.float32(0.5) * cv2.resize(sketch.detail, number.shape[::-1])
    dot = dot + (np.stack(tints, -1) * calm[..., None]).astype(np.float32)
    seeds = (sketch.enlarged(v, smooth=False) * HALF_PIXEL for v in sketch.seeds("dots"))
    rows, columns = np.mgrid[: sketch.luma.shape[0], : sketch.luma.shape[1]].astype(np.float32)
    right, down = (
        place + np.float32(HALF_PIXEL / 2 - 0.5) - grid
        for place, grid in zip(seeds, (columns, rows), strict=True)
    )
    inside = smoothstep(DOT + 0.8, DOT - 0.8, np.sqrt(right * right + down * down))
    ground = blur(lab, 2.5) * np.array([0.74, 0.7, 0.7], np.float32) + np.float32(0.25) * CREAM
    return mix(rgb_of(ground), sketch.enlarged(rgb_of(dot), smooth=False), inside)
