"""ImageSink: frames as numbered pictures in a folder, or as one; each is whole or not there."""

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import numpy as np

from stream.errors import SinkError
from stream.frame import Frame
from stream.media.partial_file import PartialFile, sink_errors
from stream.sinks.alpha import with_alpha
from stream.sinks.base import Sink
from stream.video_info import IMAGE_SUFFIXES

DEFAULT_SUFFIX = ".png"

NUMBER = re.compile(r"%0?(\d*)d")
"""A place for a number, as in FFmpeg's names of sequences."""

DIGITS = 6
"""Enough for eleven hours at 24 frames a second; more simply make the names longer."""

FORMAT_OPTIONS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101],
}
"""OpenCV's words for good quality; a WebP above 100 is lossless."""


WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")
"""Pictures that keep transparency."""


class ImageSink(Sink):
    """Writes ``000001.png`` and so on into a folder, or a single picture. Not thread-safe.

    A single picture appears when the sink is closed, those in a folder one by one. A folder that it
    made and wrote nothing to is gone when it is aborted.

    Args:
        path: A folder (made if need be), such a place with a number in its name
            (``folder/%06d.jpg``), or the name of a picture, which takes exactly one frame.
        overwrite: Whether pictures that are there may be replaced.
        frame_count: How many frames will come, if that is known.
        names: What they are called, by their pts; without it they are numbered.

    Raises:
        SinkError: The picture exists, more than one frame will come for it, the folder has pictures
            in it, or cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        overwrite: bool = False,
        frame_count: int | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.notes: list[str] = []
        self._path = Path(path)
        self._numbers = "" if _names_folder(path) else numbered(self._path)
        if self._numbers:
            self._path = self._path.parent
        self._overwrite = overwrite
        self._count = 0
        self._names = names
        self._single = not (_names_folder(path) or self._numbers)
        self._partial: PartialFile | None = None
        self._made_folder = False
        if self._single:
            if frame_count is not None and frame_count > 1:
                raise self._too_many()
            PartialFile(self._path, overwrite=overwrite).discard()
        else:
            self._make_folder()

    def _make_folder(self) -> None:
        with sink_errors(self._path):
            self._made_folder = not self._path.is_dir()
            self._path.mkdir(parents=False, exist_ok=True)
        taken = any(self._is_in_the_way(one) for one in self._path.iterdir())
        if taken and not self._overwrite:
            raise SinkError(
                f"The folder {self._path} has pictures in it already; choose another one or allow "
                "it with overwrite=True."
            )

    def _is_in_the_way(self, picture: Path) -> bool:
        if not self._numbers:
            return picture.suffix.lower() in IMAGE_SUFFIXES
        return NUMBER.sub("", self._numbers) == re.sub(r"\d+", "", picture.name)

    def write(self, frame: Frame) -> None:
        if self._single and self._count:
            raise self._too_many()
        self._count += 1
        target = self._path if self._single else self._path / self._name(frame)
        suffix = target.suffix.lower()
        if frame.alpha is not None and suffix not in WITH_ALPHA and not self.notes:
            self.notes.append(f"The transparency was not kept: {suffix} has none; a .png keeps it.")
        encoded = _encode(frame, suffix)
        partial = PartialFile(target, overwrite=self._overwrite)
        with ExitStack() as on_failure:
            on_failure.callback(partial.discard)
            with sink_errors(target):
                partial.path.write_bytes(encoded)
            on_failure.pop_all()
        if self._single:
            self._partial = partial
        else:
            partial.publish()

    def _too_many(self) -> SinkError:
        return SinkError(
            f"{self._path} takes one frame, but more come; number them: "
            f"{self._path.with_stem(self._path.stem + '_%06d')}."
        )

    def _name(self, frame: Frame) -> str:
        if self._numbers:
            return NUMBER.sub(lambda sign: f"{self._count:0{sign[1] or 1}d}", self._numbers, 1)
        if 0 <= frame.pts < len(self._names):
            return self._names[frame.pts]
        return f"{self._count:0{DIGITS}d}{DEFAULT_SUFFIX}"

    def close(self) -> None:
        """Publish the single picture; those in a folder were finished when they were written."""
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.publish()

    def abort(self) -> None:
        """Leave no single picture, and no empty folder."""
        partial, self._partial = self._partial, None
        if partial is not None:
            partial.discard()
        if self._made_folder and not self._count:
            with suppress(OSError):
                self._path.rmdir()


def numbered(path: Path) -> str:
    """A name with a place for a number in it (``%d``, ``%06d``); "" of any other."""
    return path.name if NUMBER.search(path.name) else ""


def _names_folder(path: str | Path) -> bool:
    is_picture = Path(path).suffix.lower() in IMAGE_SUFFIXES
    return os.path.isdir(path) or str(path).endswith(("/", "\\")) or not is_picture


def _encode(frame: Frame, suffix: str) -> bytes:
    if frame.alpha is not None and suffix in WITH_ALPHA:
        bgr = cv2.cvtColor(with_alpha(frame), cv2.COLOR_RGBA2BGRA)
    else:
        bgr = cv2.cvtColor(frame.data, cv2.COLOR_RGB2BGR)
    ok, encoded = cv2.imencode(suffix, bgr, FORMAT_OPTIONS.get(suffix, []))
    if not ok:
        raise SinkError(f"A picture cannot be written as {suffix}; use .png or .jpg.")
    return np.asarray(encoded).tobytes()
