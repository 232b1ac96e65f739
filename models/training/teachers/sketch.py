"""What the looks of one crop share: fields, flow, flattened colour, lines. Made once, kept."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from models.fields import CarriedFields, noise_plane
from models.fields.carried import BROAD, FINE, Stroke, enlarged
from models.training.teachers.color import (
    Picture,
    Plane,
    blur,
    graded,
    luma,
    oklab,
    rgb_of,
    smoothstep,
)

LARGER = 2
"""The painting's sides over the frame's."""

SECTORS = 8


def latent_noise(seed: int, height: int = 256, width: int = 256) -> Tensor:
    """The noise that a seed stands for: (1, 16, height/8, width/8), for a frame of that size."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(1, 16, height // 8, width // 8, generator=random)


def frame_of(photo: Picture) -> Picture:
    """What the student sees: half the sides, each pixel the mean of four."""
    height, width = photo.shape[:2]
    size = width // LARGER, height // LARGER
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Strokes:
    """One stroke plane at the painting's size.

    Attributes:
        height: float32 (H, W): the carried noise, about zero with unit spread.
        x, y: Pixels of the painting where each stroke has its seed.
    """

    height: Plane
    x: Plane
    y: Plane

    def color(self, plane: Plane) -> Plane:
        """`plane` (H, W, 3) at the seed of each stroke: one colour a stroke."""
        return np.asarray(
            cv2.remap(plane, self.x, self.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
            np.float32,
        )


class Sketch:
    """A photograph under a noise. `photo` uint8 RGB (H, W, 3), sides multiples of 16."""

    def __init__(self, photo: Picture, noise: Tensor) -> None:
        self.photo = photo
        frame = torch.from_numpy(frame_of(photo)).permute(2, 0, 1)[None]
        self._image = frame.float() / 127.5 - 1
        self._noise = noise_plane(noise)
        self._kept: dict[Any, Any] = {}

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` returned the first time."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    # The photograph

    @cached_property
    def rgb(self) -> Plane:
        """float32 in [0, 1]."""
        return np.asarray(self.photo, np.float32) / np.float32(255)

    @cached_property
    def calm(self) -> Plane:
        """The photograph without sensor noise, edges kept."""
        plane = self.rgb
        for _ in range(2):
            plane = cv2.bilateralFilter(plane, 5, 0.09, 2.4)
        return np.asarray(plane, np.float32)

    @cached_property
    def luma(self) -> Plane:
        return luma(self.calm)

    def flat(self, radius: int = 6, rounds: int = 1) -> Plane:
        """Generalised Kuwahara filter (Papari 2007): flat areas with firm edges."""

        def make() -> Plane:
            before = self.calm if rounds == 1 else self.flat(radius, rounds - 1)
            return kuwahara(before, radius)

        return np.asarray(self.kept(("flat", radius, rounds), make))

    def flat_lab(self, radius: int = 6, rounds: int = 1) -> Plane:
        """The same in Oklab."""
        made = self.kept(("lab", radius, rounds), lambda: oklab(self.flat(radius, rounds)))
        return np.asarray(made)

    def tone(
        self, radius: int = 6, local: float = 0.6, sigma: float = 36, pull: float = 0.4
    ) -> Plane:
        """Luma in [0, 1] with the exposure of the neighbourhood drawn towards the middle."""
        plane = luma(self.flat(radius))
        around = blur(plane, sigma)
        lifted = (plane - around) * (1 + local) + around * (1 - pull) + 0.5 * pull
        return np.asarray(np.clip(lifted, 0, 1), np.float32)

    @cached_property
    def detail(self) -> Plane:
        """0 where the picture is calm, 1 where it has detail that must stay readable."""
        plane = cv2.resize(self.luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        dx = cv2.Scharr(plane, cv2.CV_32F, 1, 0) / 32
        dy = cv2.Scharr(plane, cv2.CV_32F, 0, 1) / 32
        strength = np.sqrt(dx * dx + dy * dy)
        amount = np.maximum(blur(strength, 2.5), np.float32(1.5) * blur(strength, 8.0))
        size = self.photo.shape[1], self.photo.shape[0]
        return np.asarray(
            cv2.resize(smoothstep(0.010, 0.042, amount), size, interpolation=cv2.INTER_LINEAR)
        )

    def graded(self, radius: int = 6, **how: float) -> Plane:
        """The flattened photograph graded in Oklab (see `color.graded`), as RGB."""
        made = self.kept(
            ("graded", radius, *sorted(how.items())),
            lambda: rgb_of(graded(self.flat_lab(radius), **how)),
        )
        return np.asarray(made)

    # The fields

    @cached_property
    def broad(self) -> Strokes:
        return self._strokes(BROAD)

    @cached_property
    def fine(self) -> Strokes:
        return self._strokes(FINE)

    def _strokes(self, size: Stroke) -> Strokes:
        with torch.inference_mode():
            plane, places = enlarged(self._image, self._noise, size)
        x, y = np.ascontiguousarray(places[0].numpy(), np.float32)
        return Strokes(np.ascontiguousarray(plane[0, 0].numpy(), np.float32), x, y)

    def marks(self, kind: str) -> tuple[Plane, Plane]:
        """The mark planes C and H of a kind, at half the frame's resolution."""

        def make() -> tuple[Plane, Plane]:
            with torch.inference_mode():
                planes = CarriedFields((kind,))(self._image, self._noise)[0, 2:].numpy()
            return np.ascontiguousarray(planes[0]), np.ascontiguousarray(planes[1])

        one, other = self.kept(("marks", kind), make)
        return np.asarray(one), np.asarray(other)

    def seeds(self, kind: str) -> Plane:
        """(2, h, w): the seed of each place's cell, in half-resolution pixels."""

        def make() -> Plane:
            with torch.inference_mode():
                places = CarriedFields((kind,)).sources(self._image, self._noise).cells
            assert places is not None
            return places[0].numpy()

        return np.asarray(self.kept(("seeds", kind), make))

    def enlarged(self, plane: Plane, *, smooth: bool = True) -> Plane:
        """A plane at half the frame's resolution, at the painting's."""
        size = self.photo.shape[1], self.photo.shape[0]
        how = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
        return np.asarray(cv2.resize(plane, size, interpolation=how), np.float32)

    @cached_property
    def grain(self) -> Plane:
        """The noise itself at the painting's size, unit spread: tooth of paper."""
        plane = self.enlarged(self._noise[0, 0].numpy())
        return np.asarray(plane / np.float32(0.8))

    @cached_property
    def clouds(self) -> Plane:
        """The noise in wide patches (sigma 40 px), unit spread: turbulence of a wash."""
        small = self._noise[0, 0].numpy()
        plane = blur(small, 5.0) * np.float32(5.0 * 3.545)
        finer = blur(small, 2.5) * np.float32(2.5 * 3.545 * 0.6)
        return self.enlarged((plane + finer) / np.float32(1.25))

    # Lines

    @cached_property
    def _line_maps(self) -> dict[float, list[tuple[Plane, Plane]]]:
        return {}

    @cached_property
    def tangent(self) -> tuple[Plane, Plane]:
        """x and y of the flow at the painting's size, following fine edges."""
        plane = blur(self.calm, 1.0)
        dx = np.asarray(cv2.Scharr(plane, cv2.CV_32F, 1, 0))
        dy = np.asarray(cv2.Scharr(plane, cv2.CV_32F, 0, 1))
        tensor = np.stack([(dx * dx).sum(2), (dx * dy).sum(2), (dy * dy).sum(2)], -1)
        tensor = blur(tensor, 3.0) + np.float32(0.02) * blur(tensor, 12.0)
        a, b = tensor[..., 0] - tensor[..., 2], 2 * tensor[..., 1]
        angle = 0.5 * np.arctan2(b, a) + np.float32(np.pi / 2)
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def along(self, plane: Plane, steps: tuple[float, ...]) -> Plane:
        """Averaged along the flow, one step on top of the other (about ± the sum of `steps`)."""
        for step in steps:
            ahead, behind = self._places(step)
            read = [
                cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                for x, y in (ahead, behind)
            ]
            plane = np.float32(0.5) * plane + np.float32(0.25) * (read[0] + read[1])
        return np.asarray(plane)

    def _places(self, step: float) -> list[tuple[Plane, Plane]]:
        if step not in self._line_maps:
            tx, ty = self.tangent
            rows, columns = np.mgrid[: tx.shape[0], : tx.shape[1]].astype(np.float32)
            maps = []
            for sign in (1, -1):
                half = np.float32(sign * step / 2)
                x, y = columns + half * tx, rows + half * ty
                vx = cv2.remap(tx, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
                vy = cv2.remap(ty, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
                turn = np.where(vx * tx + vy * ty < 0, -half, half)
                maps.append((x + turn * vx, y + turn * vy))
            self._line_maps[step] = maps
        return self._line_maps[step]

    def lines(
        self,
        plane: Plane,
        sigma: float,
        gain: float = 50.0,
        least: float = 0.012,
        steps: tuple[float, ...] = (2.0, 4.0, 4.0),
    ) -> Plane:
        """Dark lines of a grey plane: 1 in ink, 0 on paper.

        Difference of gaussians smoothed along the flow (Kang 2007) with XDoG's soft threshold.
        """
        difference = blur(plane, sigma) - np.float32(0.99) * blur(plane, 1.6 * sigma)
        difference = self.along(difference - np.float32(0.005), steps)
        return np.asarray(np.tanh(np.maximum(-least - difference, 0) * gain), np.float32)

    def ridges(self, plane: Plane, sigma: float, steps: tuple[float, ...]) -> Plane:
        """Edges and dark ridges of a plane as lines, 0 to 1."""
        difference = blur(plane, 1.6 * sigma) - blur(plane, sigma)
        difference = self.along(difference, steps)
        return np.asarray(np.tanh(np.maximum(difference - 0.008, 0) * 55), np.float32)

    def even(self, plane: Plane, sigma: float = 24, floor: float = 0.035) -> Plane:
        """Contrast of the neighbourhood made even, so that soft faces get lines too."""
        middle = blur(plane, sigma)
        away = plane - middle
        spread = np.sqrt(np.maximum(blur(away * away, sigma), 0))
        return np.asarray(0.5 + 0.16 * away / (spread + np.float32(floor)), np.float32)


def kuwahara(rgb: Plane, radius: int, sharpness: float = 8.0) -> Plane:
    """Sectors are gaussians set off from the middle; the calmest ones win."""
    sigma = 0.5 * radius
    mean = blur(rgb, sigma)
    square = blur((rgb * rgb).sum(2), sigma)
    variance = np.maximum(square - (mean * mean).sum(2), 0)
    weight = 1 / (1e-8 + (variance + np.float32(2e-5)) ** (sharpness / 4))
    weighted = np.dstack([mean * weight[..., None], weight])
    height, width = rgb.shape[:2]
    pad = radius + 1
    weighted = cv2.copyMakeBorder(weighted, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    total = np.zeros((height, width, 4), np.float32)
    for sector in range(SECTORS):
        angle = 2 * np.pi * (sector + 0.5) / SECTORS
        down = pad + round(0.72 * radius * np.sin(angle))
        right = pad + round(0.72 * radius * np.cos(angle))
        total += weighted[down : down + height, right : right + width]
    return np.asarray(total[..., :3] / total[..., 3:], np.float32)
