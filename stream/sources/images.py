"""ImageSource: pictures in a folder, by a pattern, or one alone, as frames at a steady rate."""

import re
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.sources.base import Source
from stream.video_info import IMAGE_SUFFIXES, VideoInfo

DEFAULT_RATE = Fraction(24)
"""Frames a second of a folder of pictures."""

MAX_RATE_DENOMINATOR = 1001
"""Enough for every broadcast rate: 23.976 becomes 24000/1001."""


class ImageSource(Source):
    """Pictures in the natural order of their names (2 before 10). Not thread-safe.

    Transparency is dropped, EXIF orientation applied; all must have the size of the first. Of a
    file of several pictures (animated WebP, TIFF of many pages) the first is taken, with a note.

    Args:
        path: A folder, a pattern with ``*``, ``?`` or ``[]``, or one picture.
        rate: Frames a second, 24 by default; a single picture has none.

    Raises:
        SourceError: There is no picture, or the first one cannot be read.
    """

    def __init__(self, path: str | Path, *, rate: Fraction | float | None = None) -> None:
        self.notes: list[str] = []
        self._paths = find_pictures(Path(path))
        self._index = 0
        exact = (
            DEFAULT_RATE if rate is None else Fraction(rate).limit_denominator(MAX_RATE_DENOMINATOR)
        )
        self._time_base = 1 / exact
        count = len(self._paths)
        single = count == 1 and not Path(path).is_dir()
        self._size = self._load(self._paths[0]).size
        self.info = VideoInfo(
            size=self._size,
            time_base=self._time_base,
            rate=None if single else exact,
            frame_count=count,
            duration_s=None if single else float(count / exact),
        )

    def _load(self, path: Path, expected: Size | None = None) -> Frame:
        frame = Frame(load_picture(path), self._index, self._time_base, duration=1)
        count = cv2.imcount(str(path))
        if count > 1 and not self.damaged:
            self.damaged = True
            self.notes.append(f"{path} holds {count} pictures; of such files the first is used.")
        if expected not in (None, frame.size):
            raise SourceError(
                f"{path} is {frame.width}x{frame.height}, but the first picture is "
                f"{self._size[0]}x{self._size[1]}; make all of one size."
            )
        return frame

    def read(self) -> Frame | None:
        if self._index >= len(self._paths):
            return None
        frame = self._load(self._paths[self._index], self._size)
        self._index += 1
        return frame

    def close(self) -> None:
        self._index = len(self._paths)


def find_pictures(path: Path) -> list[Path]:
    """The pictures that a folder, pattern or name stands for, in natural order.

    Raises:
        SourceError: There is none.
    """
    if path.is_dir():
        found = list(path.iterdir())
    elif path.exists():
        return [path]
    else:
        found = list(path.parent.glob(path.name)) if path.parent.is_dir() else []
    pictures = [
        one
        for one in found
        if one.suffix.lower() in IMAGE_SUFFIXES and one.is_file() and not one.name.startswith(".")
    ]
    if pictures:
        return sorted(pictures, key=_natural)
    if path.is_dir():
        raise SourceError(f"The folder {path} holds no pictures ({', '.join(IMAGE_SUFFIXES)}).")
    raise SourceError(f"There is no picture {path}; check the name.")


def load_picture(path: Path) -> "np.typing.NDArray[np.uint8]":
    """uint8 RGB (H, W, 3) of a picture, upright, without transparency.

    Raises:
        SourceError: It cannot be read or is no picture.
    """
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except OSError as err:
        raise SourceError(
            f"{path} cannot be read ({err.strerror}); check its permissions."
        ) from err
    try:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise SourceError(f"{path} is not a picture that can be read; check that it opens.")
    return np.ascontiguousarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts]
