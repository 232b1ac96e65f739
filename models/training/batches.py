"""Batches out of the pairs on disk: windows of a photograph, its carried fields and its paintings.

    pairs ──once a crop──► frame, planes, noise, paintings in memory ──each step──► windows

Fields are those of the whole frame, as the engine computes them and as the teacher saw them;
windows are cut from them afterwards.
Paintings may still be being made: `Batches.refresh` takes in what is there by now.
"""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.fields import KINDS, MARKS, PLANES, CarriedFields, noise_plane
from models.styles import STYLES
from models.training.material.paintings import Paintings
from models.training.teachers import latent_noise

Picture = NDArray[np.uint8]

SCALE = 2
"""Side of a painting over that of the frame."""

CELL = 8
"""Windows lie at multiples of it: a screen of dots hangs on the frame, in step with the latents."""

NOISE_LEVELS = 4.0
"""Largest standard deviation of the sensor noise laid over a photograph, of 255."""

PRACTICE = {
    "vintage film": 0.5, "film noir": 0.6, "cyberpunk": 0.6, "pixel art": 0.8, "anime": 0.8,
    "oil painting": 1.3, "van gogh": 1.3, "fauvism": 1.3, "impressionism": 1.2,
}  # fmt: skip
"""How often a look is drawn beside the others: those with few marks of their own less often."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of S px of a frame, and of 2 S px of what is painted of it.

    Attributes:
        frame: image (B, 3, S, S) in [-1, 1], with sensor noise at times.
        photo: image (B, 3, 2 S, 2 S): what the camera saw.
        planes: float32 (B, P, S/2, S/2), carried fields; mark planes by the rows' looks.
        noise: float32 (B, 1, S/2, S/2): the noise that was carried.
        painting: image (B, 3, 2 S, 2 S): what is to be painted, at full strength.
        looks: int64 (B, 2), classes of both looks: 0 is the photograph, else 1 + look.
        share: float32 (B,), of the first look.
    """

    frame: Tensor
    photo: Tensor
    planes: Tensor
    noise: Tensor
    painting: Tensor
    looks: Tensor
    share: Tensor


@dataclass(slots=True)
class Crop:
    """One crop in memory: frame uint8, planes float16 (2, H/2, W/2) of strokes and of each kind."""

    photo: Picture
    frame: Picture
    noise: Tensor
    strokes: Tensor
    marks: dict[str, Tensor] = field(default_factory=dict)
    paintings: dict[str, Picture] = field(default_factory=dict)


class Crops:
    """Crops by index, each read and its fields worked out once."""

    def __init__(self, pairs: Paintings) -> None:
        self._pairs = pairs
        self._crops: dict[int, Crop] = {}
        self._seeds: dict[int, int] = {}

    def refresh(self) -> None:
        self._pairs.refresh()
        self._seeds = {row.index: row.seed for row in self._pairs.rows}

    def crop(self, index: int) -> Crop:
        if index not in self._crops:
            photo = self._pairs.photo(index)
            frame = halved(photo)
            noise = noise_plane(latent_noise(self._seeds[index]))
            planes = CarriedFields(())(to_image(frame[None]), noise)
            self._crops[index] = Crop(photo, frame, noise[0], planes[0, :2].half())
        return self._crops[index]

    def painting(self, index: int, look: str) -> Picture:
        paintings = self.crop(index).paintings
        if look not in paintings:
            paintings[look] = self._pairs.painting(index, look)
        return paintings[look]

    def planes(self, index: int, kinds: dict[str, float]) -> Tensor:
        """float32 (P, H/2, W/2), marks of some kinds by their shares."""
        crop = self.crop(index)
        total = torch.zeros(PLANES - 2, *crop.strokes.shape[1:])
        for kind, share in kinds.items():
            if kind in KINDS and share > 0:
                if kind not in crop.marks:
                    image = to_image(crop.frame[None])
                    planes = CarriedFields((kind,))(image, crop.noise[None])
                    crop.marks[kind] = planes[0, 2:].half()
                total += share * crop.marks[kind].float()
        return torch.cat([crop.strokes.float(), total])


class Batches:
    """Draws batches from the pairs; the same seed, step and pairs give the same batch.

    Args:
        pairs: May grow; `refresh` takes in what came.
        size: Rows of a batch.
        seed: Of everything drawn.
        plain: Share of rows whose prompt asks for no look: their painting is the photograph.
        mixed: Share of rows that ask for two looks.
    """

    def __init__(
        self, pairs: Paintings, size: int, seed: int, *, plain: float = 0.1, mixed: float = 0.12
    ) -> None:
        self._pairs, self._size, self._seed = pairs, size, seed
        self._plain, self._mixed = plain, mixed
        self.crops = Crops(pairs)
        self._by_look: dict[str, list[int]] = {}
        self._looks: dict[int, tuple[str, ...]] = {}
        self.refresh()

    def refresh(self) -> int:
        """Take in the paintings that are there by now; how many there are."""
        self.crops.refresh()
        by_look: dict[str, list[int]] = defaultdict(list)
        known = {style.prompt for style in STYLES}
        for row in self._pairs.rows:
            self._looks[row.index] = tuple(look for look in row.looks if look in known)
            for look in self._looks[row.index]:
                by_look[look].append(row.index)
        self._by_look = dict(by_look)
        return sum(len(rows) for rows in by_look.values())

    def draw(self, step: int, window: int) -> Batch:
        """The batch of this step: windows of `window` px of the frame, a multiple of 16."""
        random = np.random.default_rng((self._seed, step))
        rows = [self._there(random, window) for _ in range(self._size)]
        columns = list(zip(*rows, strict=True))
        frame, photo, painting = (to_image(np.stack(column)) for column in columns[:3])
        first, second = (to_image(np.stack(c)) for c in (columns[2], columns[3]))
        share = torch.tensor(columns[7])
        painting = torch.lerp(second, first, share.view(-1, 1, 1, 1))
        return Batch(
            frame, photo, torch.stack(columns[4]), torch.stack(columns[5]), painting,
            torch.tensor(columns[6]), share,
        )  # fmt: skip

    def _there(self, random: np.random.Generator, window: int) -> tuple[object, ...]:
        """A row whose paintings are there: some may have been taken away since `refresh`."""
        while True:
            with suppress(FileNotFoundError):
                return self._row(random, window)

    def _row(self, random: np.random.Generator, window: int) -> tuple[object, ...]:
        look, index = self._drawn(random)
        crop = self.crops.crop(index)
        kind = random.random()
        share, other = 1.0, look
        if kind > 1 - self._mixed:
            share, other = float(random.uniform(0.3, 0.7)), str(random.choice(self._looks[index]))
        is_plain = kind < self._plain
        first = crop.photo if is_plain else self.crops.painting(index, look)
        second = crop.photo if is_plain else self.crops.painting(index, other)
        kinds: dict[str, float] = defaultdict(float)
        if not is_plain:
            kinds[MARKS[look]] += share
            kinds[MARKS[other]] += 1 - share
        room = (crop.frame.shape[0] - window) // CELL
        top, left = (CELL * int(v) for v in random.integers(0, room + 1, 2))
        area = np.s_[top : top + window, left : left + window]
        large = np.s_[SCALE * top : SCALE * (top + window), SCALE * left : SCALE * (left + window)]
        half = np.s_[..., top // 2 : (top + window) // 2, left // 2 : (left + window) // 2]
        frame = crop.frame[area]
        if random.random() < 0.3:
            frame = add_sensor_noise(frame, random)
        classes = (0, 0) if is_plain else (1 + ORDER[look], 1 + ORDER[other])
        return (
            frame, crop.photo[large], first[large], second[large],
            self.crops.planes(index, kinds)[half], crop.noise[half], classes, share,
        )  # fmt: skip

    def pictures(self, step: int, window: int) -> Tensor:
        """Photographs, then as many paintings, for the autoencoder: image (2 B, 3, W, W)."""
        photos, paintings, _ = self.windows(step, window)
        return torch.cat([photos, paintings])

    def windows(self, step: int, window: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows of photographs and of their paintings, (B, 3, W, W), and the classes, int64."""
        random = np.random.default_rng((self._seed, step))
        photos, paintings, classes = [], [], []
        for _ in range(self._size):
            look, index = self._drawn(random)
            photo = self.crops.crop(index).photo
            top, left = random.integers(0, np.array(photo.shape[:2]) - window + 1)
            area = np.s_[top : top + window, left : left + window]
            photos.append(photo[area])
            paintings.append(self.crops.painting(index, look)[area])
            classes.append(1 + ORDER[look])
        return to_image(np.stack(photos)), to_image(np.stack(paintings)), torch.tensor(classes)

    def _drawn(self, random: np.random.Generator) -> tuple[str, int]:
        """A look, and the index of a crop that was painted in it."""
        looks = sorted(self._by_look)
        weights = np.array([PRACTICE.get(look, 1.0) for look in looks])
        look = str(random.choice(looks, p=weights / weights.sum()))
        return look, int(random.choice(self._by_look[look]))


ORDER = {style.prompt: index for index, style in enumerate(STYLES)}


def halved(picture: Picture) -> Picture:
    """A picture at half its sides, each pixel the mean of four: what a student sees of a crop."""
    size = picture.shape[1] // SCALE, picture.shape[0] // SCALE
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def to_image(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (B, H, W, 3) -> image (B, 3, H, W) in [-1, 1], channels last in memory."""
    tensor = torch.from_numpy(np.ascontiguousarray(pixels))
    return tensor.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_latent_noise(planes: Tensor, channels: int, random: torch.Generator) -> Tensor:
    """Noise (B, C, h, w) of latents whose first plane is given, (B, 1, 4 h, 4 w).

    The other planes are drawn here.
    """
    batch, _, height, width = planes.shape
    count = channels // 16
    others = torch.randn(batch, count - 1, height, width, generator=random)
    return F.pixel_unshuffle(torch.cat([planes, others], 1), 4)


def add_sensor_noise(photo: Picture, random: np.random.Generator) -> Picture:
    """Gaussian noise of a random strength up to `NOISE_LEVELS`."""
    noise = random.standard_normal(photo.shape, np.float32) * random.uniform(0.5, NOISE_LEVELS)
    return np.asarray(np.rint(np.clip(photo + noise, 0, 255)), np.uint8)
