"""Stage `paintings`: crops of the pictures, and each of them in each look, as files.

    <folder>/crops.jsonl              one line a crop: {"index", "seed", "picture"}
    <folder>/photo/000000.jpg         uint8 RGB 512 x 512, JPEG 97: what the camera saw
    <folder>/oil-painting/000000.jpg  the same painted, JPEG 95; the folder is the look's name

`seed` is that of the latents' noise (`latent_noise`), which teacher and student both see. The
student's frame is the photograph at half its sides (`frame_of`); the planes are those of the whole
frame, and windows are cut from them afterwards.

A file that is there is complete: it was written under another name and renamed. Runs go on where
the last one stopped, looks may be added later, and a trainer may read while more is made.
Photographs are JPEG before they are painted, so teacher and student see the same numbers.
"""

import json
import logging
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.training.material.pictures import (
    KIND_SHARES,
    Photograph,
    cut,
    procedural,
)
from models.training.teachers import PAINTERS, Sketch, latent_noise, paint
from models.training.teachers.color import Picture

logger = logging.getLogger(__name__)

SIDE = 512
"""Of a crop and its paintings, in pixels."""

PHOTO = "photo"
PHOTO_QUALITY, PAINTING_QUALITY = 97, 95

HELD_OUT_SEED = 1_000_000
"""Added to the seeds of held-out crops."""


@dataclass(frozen=True, slots=True)
class Row:
    """One crop: which it is, the seed of its noise, and the looks it is painted in so far."""

    index: int
    seed: int
    picture: str
    looks: tuple[str, ...]


class Paintings:
    """What a folder holds at this moment; `refresh` looks again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.rows: list[Row] = []
        self.refresh()

    def refresh(self) -> None:
        """Read the list of crops and the folders of the looks anew."""
        path = self._folder / "crops.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        crops = {int(c["index"]): c for c in map(json.loads, lines)}
        there = {look: _indices(self._folder / folder_name(look)) for look in PAINTERS}
        photos = _indices(self._folder / PHOTO)
        self.rows = [
            Row(i, int(c["seed"]), str(c["picture"]), tuple(k for k in there if i in there[k]))
            for i, c in sorted(crops.items())
            if i in photos
        ]

    def photo(self, index: int) -> Picture:
        """uint8 RGB (512, 512, 3)."""
        return read(self._folder / PHOTO / f"{index:06d}.jpg")

    def painting(self, index: int, look: str) -> Picture:
        """uint8 RGB (512, 512, 3). Raises FileNotFoundError where it is not painted yet."""
        return read(self._folder / folder_name(look) / f"{index:06d}.jpg")


def folder_name(look: str) -> str:
    """Of a look's canonical prompt."""
    return look.replace(" ", "-")


def read(path: Path) -> Picture:
    """A JPEG as RGB."""
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def write(path: Path, picture: Picture, quality: int) -> None:
    """RGB as a JPEG without chroma subsampling, whole or not at all."""
    full_chroma = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full_chroma]
    done, content = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), flags)
    assert done
    partial = path.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(content.tobytes())
    partial.rename(path)


def make_paintings(
    collected: list[Photograph],
    folder: Path,
    *,
    count: int,
    held_out: bool,
    looks: Sequence[str] = tuple(PAINTERS),
) -> None:
    """Fill `folder` with `count` crops in these looks; what is there already is kept.

    `collected` is what `pictures.collect` found; only its side of the split is used.
    """
    for name in (PHOTO, *map(folder_name, looks)):
        (folder / name).mkdir(parents=True, exist_ok=True)
    there = {look: _indices(folder / folder_name(look)) for look in looks}
    missing = [i for i in range(count) if any(i not in there[look] for look in looks)]
    if not missing:
        return
    known = {row.index: row for row in Paintings(folder).rows}
    pictures = [p for p in collected if p.held_out is held_out]
    credits_ = {p.name: p.credit for p in sorted(pictures, key=lambda p: p.name)}
    (folder / "pictures.json").write_text(json.dumps(credits_, indent=1))
    logger.info("%d pictures; %d crops to paint", len(pictures), len(missing))
    for step, index in enumerate(missing):
        if index not in known:
            _add_crop(folder, pictures, index, held_out)
        seed = seed_of(index, held_out)
        sketch = Sketch(read(folder / PHOTO / f"{index:06d}.jpg"), latent_noise(seed))
        for look in looks:
            if index not in there[look]:
                path = folder / folder_name(look) / f"{index:06d}.jpg"
                write(path, paint(look, sketch), PAINTING_QUALITY)
        if step % 20 == 0:
            logger.info("crop %d of %d", index, count)


def seed_of(index: int, held_out: bool) -> int:
    """The seed of a crop's window and noise."""
    return index + HELD_OUT_SEED * held_out


def _add_crop(folder: Path, pictures: list[Photograph], index: int, held_out: bool) -> None:
    random = np.random.default_rng(seed_of(index, held_out))
    name, photo = _draw(pictures, random, index if held_out else None)
    write(folder / PHOTO / f"{index:06d}.jpg", photo, PHOTO_QUALITY)
    line = json.dumps({"index": index, "seed": seed_of(index, held_out), "picture": name})
    with (folder / "crops.jsonl").open("a") as file:
        file.write(line + "\n")


def _draw(
    pictures: list[Photograph], random: np.random.Generator, turn: int | None
) -> tuple[str, Picture]:
    """One crop: of a kind by its share, or (`turn` given) of each picture in turn."""
    if turn is not None:
        kinds = sorted({p.kind for p in pictures})
        group = [p for p in pictures if p.kind == kinds[turn % len(kinds)]]
        group.sort(key=lambda p: zlib.crc32(p.name.encode()))
        chosen = group[turn // len(kinds) % len(group)]
        return chosen.name, cut(chosen.data, random, SIDE)
    kind = str(random.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
    if kind == "procedural":
        return kind, procedural(random, SIDE)
    group = [p for p in pictures if p.kind == kind]
    chosen = group[int(random.integers(len(group)))]
    return chosen.name, cut(chosen.data, random, SIDE)


def _indices(folder: Path) -> set[int]:
    if not folder.is_dir():
        return set()
    return {int(entry.name[:6]) for entry in os.scandir(folder) if entry.name.endswith(".jpg")}
