"""Every look of some pictures on one sheet, to be judged by eye.

    python -m models.training.teachers.sheet PICTURE... -o sheet.jpg

A row a look: its name, then each picture painted. The first row is the pictures.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from models.training.teachers.color import Picture
from models.training.teachers.painters import PAINTERS, paint
from models.training.teachers.sketch import Sketch, latent_noise

SIDE = 512
LABEL_HEIGHT = 18


def square(picture: Picture, side: int = SIDE) -> Picture:
    """The middle square of a picture, resized."""
    height, width = picture.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = picture[top : top + short, left : left + short]
    how = cv2.INTER_AREA if short > side else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(middle, (side, side), interpolation=how), np.uint8)


def load(path: Path) -> Picture:
    """A picture, or the sixtieth frame of a film, as RGB. Raises OSError where neither opens."""
    bgr = cv2.imread(str(path))
    if bgr is None:
        film = cv2.VideoCapture(str(path))
        film.set(cv2.CAP_PROP_POS_FRAMES, 60)
        done, frame = film.read()
        if not done:
            raise OSError(f"{path} is neither a picture nor a film that can be read")
        bgr = frame
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def sheet(pictures: list[Picture], looks: list[str], side: int, columns: int = 1) -> Picture:
    """Blocks of a look each, `columns` blocks side by side; a block is a row of the pictures."""
    sketches = [Sketch(square(p), latent_noise(7 + i)) for i, p in enumerate(pictures)]
    rows = [("photograph", [s.photo for s in sketches])]
    rows += [(look, [paint(look, s) for s in sketches]) for look in looks]
    made = [_row(name, painted, side) for name, painted in rows]
    while len(made) % columns:
        made.append(np.full_like(made[0], 255))
    return np.vstack([np.hstack(made[i : i + columns]) for i in range(0, len(made), columns)])


def _row(name: str, painted: list[Picture], side: int) -> Picture:
    small = [cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in painted]
    row = np.hstack(small)
    label = np.full((LABEL_HEIGHT, row.shape[1], 3), 255, np.uint8)
    place = (3, LABEL_HEIGHT - 5)
    cv2.putText(label, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return np.vstack([label, row]).astype(np.uint8)


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m models.training.teachers.sheet")
    arguments.add_argument("pictures", nargs="+", type=Path)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--look", action="append", help="only this look (repeat it)")
    arguments.add_argument("--side", type=int, default=320)
    arguments.add_argument("--columns", type=int, default=1)
    options = arguments.parse_args()
    pictures = [load(path) for path in options.pictures]
    made = sheet(pictures, options.look or list(PAINTERS), options.side, options.columns)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    cv2.imwrite(str(options.output), np.ascontiguousarray(made[..., ::-1]), quality)


if __name__ == "__main__":
    main()
