"""Three painters that the bundled model never saw, for the tests and the benchmark of `learn`.

Each takes a picture, uint8 RGB (H, W, 3), and gives its painting of the same size. They stand for
somebody's hand: what they do hangs on the picture alone, not on the model's noise, and their
hatching and dots lie fixed on the paper.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]

LEVELS = 6
"""Sheets of the cut-out, from the darkest."""

COOL = np.array(
    [(24, 30, 58), (38, 70, 110), (54, 120, 150), (120, 180, 180), (196, 222, 205), (247, 243, 226)]
)
WARM = np.array(
    [(48, 20, 40), (120, 32, 52), (196, 62, 56), (232, 128, 70), (246, 196, 120), (250, 240, 214)]
)


def engraving(picture: Picture) -> Picture:
    """Blue lines on cream paper, crossed in three directions where it is darker."""
    tone = _tone(picture)
    x, y = _places(tone)
    wobble = _clouds(tone.shape, 24, 1) * 2.0
    ink = np.zeros_like(tone)
    for degrees, start in ((20, 0.86), (68, 0.55), (118, 0.30)):
        angle = np.deg2rad(degrees)
        phase = (x * np.sin(angle) + y * np.cos(angle) + wobble) / 7.0
        apart = np.abs(phase - np.round(phase)) * 7.0
        width = np.clip((start - tone) / start, 0, 1) * 2.6
        ink = np.maximum(ink, np.clip(width - apart + 0.5, 0, 1) * (width > 0.15))
    ink = np.maximum(ink, _outlines(tone))[..., None]
    return _bytes((1 - ink) * np.array([243, 234, 214]) + ink * np.array([32, 44, 92]))


def cut_out(picture: Picture) -> Picture:
    """Sheets of coloured paper, the darker ones on top, each with its shadow on those below."""
    smooth = picture
    for _ in range(3):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 9, 40, 5), np.uint8)
    smooth = np.asarray(cv2.medianBlur(smooth, 9), np.uint8)
    level = np.floor(_tone(smooth) * (LEVELS - 0.01)).clip(0, LEVELS - 1)
    red, blue = (cv2.GaussianBlur(smooth[..., k].astype(np.float32), (0, 0), 6) for k in (0, 2))
    warm = np.asarray(red > blue)[..., None]
    colors = np.where(warm, WARM[level.astype(int)], COOL[level.astype(int)]).astype(np.float32)
    shadow = np.zeros(level.shape, np.float32)
    for sheet in range(LEVELS - 1):
        on_top = (level <= sheet).astype(np.float32)
        moved = np.roll(on_top, (5, 4), (0, 1))
        cast = np.asarray(cv2.GaussianBlur(moved, (0, 0), 2.5), np.float32)
        shadow = np.maximum(shadow, cast * (1 - on_top))
    grain = 1 + 0.05 * _clouds(level.shape, 1.2, 2)
    return _bytes(colors * (1 - 0.5 * shadow[..., None]) * grain[..., None])


def riso(picture: Picture) -> Picture:
    """Two screens of dots, pink and teal, one printed a little beside the other."""
    planes = cv2.GaussianBlur(picture, (0, 0), 1.5).astype(np.float32) / 255
    paper = np.array([250, 246, 235], np.float32) / 255
    printed = np.broadcast_to(paper, picture.shape).copy()
    inks = ((1, 15, (255, 80, 130), (0, 0)), (0, 75, (0, 128, 140), (2, -3)))
    for channel, degrees, color, offset in inks:
        tone = np.roll(planes[..., channel], offset, (0, 1))
        x, y = _places(tone)
        angle = np.deg2rad(degrees)
        u, v = (np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)
        screen = 0.5 + 0.25 * (np.cos(2 * np.pi * u / 9) + np.cos(2 * np.pi * v / 9))
        ink = np.clip((screen - tone * 1.05 + 0.04) * 5 + 0.5, 0, 1)
        ink *= 1 - 0.25 * np.clip(_clouds(tone.shape, 1.0, channel), 0, 1)
        tint = np.array(color, np.float32) / 255
        printed *= 1 - ink[..., None] * (1 - tint)
    return _bytes(printed * 255)


PAINTERS: dict[str, Callable[[Picture], Picture]] = {
    "engraving": engraving,
    "cut-out": cut_out,
    "riso": riso,
}


def _tone(picture: Picture) -> Floats:
    """Brightness in [0, 1], stretched a little against its surroundings."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    luma = cv2.GaussianBlur(luma, (0, 0), 1.2)
    around = cv2.GaussianBlur(luma, (0, 0), 40)
    return np.asarray(np.clip(0.5 + 1.1 * (luma - 0.5) + 0.35 * (luma - around), 0, 1), np.float32)


def _outlines(tone: Floats) -> Floats:
    narrow, wide = cv2.GaussianBlur(tone, (0, 0), 1.4), cv2.GaussianBlur(tone, (0, 0), 2.6)
    return np.asarray(np.clip((wide - narrow - 0.012) * 60, 0, 1), np.float32)


def _places(plane: Floats) -> tuple[Floats, Floats]:
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(np.float32)
    return x, y


def _clouds(shape: tuple[int, ...], sigma: float, seed: int) -> Floats:
    """Smooth noise of unit spread, the same each time."""
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(smooth / smooth.std(), np.float32)


def _bytes(picture: NDArray[np.floating]) -> Picture:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)
