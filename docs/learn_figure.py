"""The picture of learn.md: `python docs/learn_figure.py FOLDER [CLIP-PAINTER ...]`.

FOLDER is what `python benchmarks/learn.py --pictures FOLDER` wrote. Each row: the frame that was
painted, its painting, another frame of the clip, and what was made of that after learning.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "benchmarks"))

from learn import CLIPS, LATER, frames_of  # noqa: E402 - the benchmark's own
from unseen_painters import PAINTERS  # noqa: E402 - the tests' own painters

SHOWN = ("bunny-engraving", "face-cut-out")
TILE = 448, 256

Picture = NDArray[np.uint8]


def row(folder: Path, name: str) -> Picture:
    """Frame, painting, another frame, what is painted of it."""
    clip, _, painter = name.partition("-")
    (path,) = (path for path in CLIPS if Path(path).stem == clip)
    key = frames_of(path)[0]
    sheet = cv2.imread(str(folder / f"{name}-{len(LATER) - 1}.png"))
    if sheet is None:
        raise FileNotFoundError(f"{folder} has no sheet of {name}")
    other, _, painted = np.split(np.asarray(sheet[..., ::-1], np.uint8), 3, axis=1)
    return np.hstack([tile(one) for one in (key, PAINTERS[painter](key), other, painted)])


def tile(picture: Picture) -> Picture:
    """Cut to the tiles' shape from the middle, and made as large."""
    height, width = picture.shape[:2]
    rows = round(width * TILE[1] / TILE[0])
    top = max(0, (height - rows) // 2)
    cut = picture[top : top + rows]
    return np.asarray(cv2.resize(cut, TILE, interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    folder, *names = sys.argv[1:]
    sheet = np.vstack([row(Path(folder), name) for name in names or SHOWN])
    cv2.imwrite(str(DOCS / "learn.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
