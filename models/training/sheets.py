"""Stage `sheets`: what a model paints beside what its teachers painted, as one picture."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training.evaluate import Held, held_out
from models.training.material.paintings import Paintings
from models.training.painter import Painter

Picture = NDArray[np.uint8]

LABEL_HEIGHT = 18
JPEG_QUALITY = 88


def to_picture(image: Tensor) -> Picture:
    """Image (1, 3, H, W) in [-1, 1] -> uint8 RGB (H, W, 3)."""
    pixels = ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte()
    return np.asarray(pixels.permute(1, 2, 0).numpy(), np.uint8)


def cell(picture: Picture, label: str, side: int) -> Picture:
    """The picture at `side` px with a label above it."""
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    bar = np.full((LABEL_HEIGHT, side, 3), 255, np.uint8)
    cv2.putText(bar, label, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([bar, small]).astype(np.uint8)


def grid(cells: list[Picture], columns: int) -> Picture:
    """Cells of one size in rows, the last one filled with white."""
    cells = cells + [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], 1) for k in range(0, len(cells), columns)]
    return np.concatenate(rows)


@torch.no_grad()
def compared(
    painter: Painter, pairs: Paintings, crop: Held, looks: list[str], side: int, columns: int
) -> Picture:
    """A crop in some looks: rows of the student's pictures, each over its teacher's."""
    noise = painter.carrying(crop.carried)
    ours = [cell(to_picture(crop.photo), "photograph", side)]
    theirs = [np.full_like(ours[0], 255)]
    for look in looks:
        painted = painter.paint(crop.frame, look, noise)
        ours.append(cell(to_picture(painted), look, side))
        known = look in crop.looks
        taught = pairs.painting(crop.index, look) if known else np.full((8, 8, 3), 255, np.uint8)
        theirs.append(cell(taught, "teacher" if known else "", side))
    bands = []
    for k in range(0, len(ours), columns):
        bands += [grid(part[k : k + columns], columns) for part in (ours, theirs)]
    return np.concatenate(bands)


def save(sheet: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(path), bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def make_sheet(
    model: Path,
    runs: Path,
    path: Path,
    looks: list[str],
    *,
    text: Path | None = None,
    pictures: int = 6,
    side: int = 200,
    columns: int = 9,
) -> None:
    """Held-out crops in some looks, student over teacher."""
    painter, pairs = Painter.load(model, text), Paintings(runs / "paintings" / "held_out")
    crops = held_out(pairs, pictures)
    save(np.concatenate([compared(painter, pairs, c, looks, side, columns) for c in crops]), path)
