"""ImageSource: pictures in a folder, by a pattern, or one alone, as frames at a steady rate."""

import re
from fractions import Fraction
from pathlib import Path

import cv2

from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.sources.base import Source
from stream.sources.pictures import load_picture, quiet_opencv
from stream.sources.rgb_conversion import fitted
from stream.video_info import IMAGE_SUFFIXES, VideoInfo

DEFAULT_RATE = Fraction(24)
"""Frames a second of a folder of pictures."""

MAX_RATE_DENOMINATOR = 1001
"""Enough for every broadcast rate: 23.976 becomes 24000/1001."""


NUMBER = re.compile(r"%0?(\d*)d")
"""A place for a number, as in FFmpeg's names of sequences."""


class ImageSource(Source):
    """Pictures in the natural order of their names (2 before 10). Not thread-safe.

    EXIF orientation and ICC profiles are applied. One of another size than the first is fitted into
    it, one that cannot be read is left out, and the one before it is shown for longer; each is
    named. Of a file of several pictures (TIFF of many pages) the first is taken, with a note.

    Args:
        path: A folder, a pattern with ``*``, ``?``, ``[]`` or ``%04d``, or one picture.
        rate: Frames a second, 24 by default; a single picture has none.

    Raises:
        SourceError: There is no picture, or none that can be read.
    """

    def __init__(self, path: str | Path, *, rate: Fraction | float | None = None) -> None:
        self.notes: list[str] = []
        self.losses: list[str] = []
        self._paths = find_pictures(Path(path))
        self._index = 0
        exact = (
            DEFAULT_RATE if rate is None else Fraction(rate).limit_denominator(MAX_RATE_DENOMINATOR)
        )
        self._time_base = 1 / exact
        count = len(self._paths)
        single = count == 1 and not Path(path).is_dir()
        self._size: Size | None = None
        self._next = self._find()
        first = self._next
        if first is None:
            raise SourceError(self.losses[0])
        self._size = first.size
        self.info = VideoInfo(
            size=first.size,
            time_base=self._time_base,
            rate=None if single else exact,
            frame_count=count,
            duration_s=None if single else float(count / exact),
            has_alpha=first.alpha is not None,
            names=tuple(one.name for one in self._paths),
        )

    def _find(self) -> Frame | None:
        """The next picture that can be read."""
        while self._index < len(self._paths):
            path, index = self._paths[self._index], self._index
            self._index += 1
            try:
                return self._load(path, index)
            except SourceError as err:
                self._lose(str(err))
        return None

    def _load(self, path: Path, index: int) -> Frame:
        data, alpha = load_picture(path)
        pages = count_pages(path)
        if pages > 1 and not any("holds" in loss for loss in self.losses):
            self._lose(f"{path} holds {pages} pictures; of such files the first is used.")
        size = (data.shape[1], data.shape[0])
        if self._size not in (None, size):
            width, height = self._size or size
            self._lose(
                f"{path} is {size[0]}x{size[1]}, but the first picture is {width}x{height}; it was "
                "fitted in."
            )
            data = fitted(data, (width, height))
            alpha = None if alpha is None else fitted(alpha[..., None], (width, height))[..., 0]
        return Frame(data, index, self._time_base, duration=1, alpha=alpha)

    def _lose(self, sentence: str) -> None:
        self.damaged = True
        self.notes.append(sentence)
        self.losses.append(sentence)

    def read(self) -> Frame | None:
        frame, self._next = self._next, None
        if frame is None:
            return None
        self._next = self._find()
        if self._next is not None:
            return frame.replace(frame.data, duration=self._next.pts - frame.pts)
        return frame.replace(frame.data, duration=len(self._paths) - frame.pts)

    def close(self) -> None:
        self._index = len(self._paths)
        self._next = None


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
        found = _numbered(path)
        if not found and path.parent.is_dir():
            found = list(path.parent.glob(path.name))
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


def count_pages(path: Path) -> int:
    """How many pictures a file holds."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return 1
    with quiet_opencv():
        return int(cv2.imcount(str(path)))


def _numbered(path: Path) -> list[Path]:
    """The files that a name with ``%d`` or ``%04d`` in it stands for."""
    sign = NUMBER.search(path.name)
    if sign is None or not path.parent.is_dir():
        return []
    digits = rf"\d{{{int(sign[1])},}}" if sign[1] else r"\d+"
    begin, end = path.name[: sign.start()], path.name[sign.end() :]
    pattern = re.compile(re.escape(begin) + digits + re.escape(end))
    return [one for one in path.parent.iterdir() if pattern.fullmatch(one.name)]


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts]
