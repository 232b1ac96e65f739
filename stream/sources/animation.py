"""AnimationSource: a WebP or PNG of many pictures, each with its own time."""

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import SourceError
from stream.frame import Frame
from stream.media.picture_sizes import check_pixels, too_large
from stream.sources.base import Source
from stream.video_info import VideoInfo

if TYPE_CHECKING:
    from PIL import Image

TIME_BASE = Fraction(1, 1000)

USUAL_MS = 100
"""How long a picture is shown that names no time, as browsers do."""

HEAD_BYTES = 1 << 20
"""How far into a file a sign of animation is looked for."""

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError, struct.error)
"""What Pillow raises of a damaged file."""

WEBP_CHUNKS = (b"VP8X", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
"""What an animation consists of (RFC 9649)."""

PNG = b"\x89PNG\r\n\x1a\n"


def is_animation(path: Path) -> bool:
    """Whether a picture file moves, by its first chunks. Opens it, and decodes nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return head[12:16] == b"VP8X" and bool(head[20:21]) and bool(head[20] & 0x02)
    return head.startswith(PNG) and _moves(head)


def _moves(png: bytes) -> bool:
    """Whether the animation's chunk comes before the picture's, as it must, and names several."""
    at = len(PNG)
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"acTL":
            return bool(struct.unpack_from(">I", png, at + 8)[0] > 1)
        if kind == b"IDAT":
            return False
        at += 12 + length
    return False


def _is_whole(path: Path) -> bool:
    """Whether a WebP has none but the chunks that there are; libwebp passes over others."""
    data = path.read_bytes()
    at = 12
    while data.startswith(b"RIFF") and at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind not in WEBP_CHUNKS:
            return False
        at += 8 + length + length % 2
    return True


class AnimationSource(Source):
    """Every picture of an animation once, on white, with its time. Not thread-safe.

    Args:
        path: A file that `is_animation`.

    Raises:
        SourceError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self.losses: list[str] = []
        self._path = path
        self._image: Image.Image | None = None
        self._frames: Iterator[Frame] = iter(())
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            image, lengths, has_alpha = self._open(path)
            on_failure.pop_all()
        if not _is_whole(path):
            self._lose(f"{path} is damaged: parts of it cannot be found.")
        total_s = Fraction(sum(lengths), 1000)
        self.info = VideoInfo(
            size=image.size,
            time_base=TIME_BASE,
            rate=(len(lengths) / total_s).limit_denominator(1001),
            frame_count=len(lengths),
            duration_s=float(total_s),
            has_alpha=has_alpha,
        )
        self._frames = self._read(image, lengths)

    def _open(self, path: Path) -> tuple["Image.Image", list[int], bool]:
        """Read it through once: the file, how long each picture is shown, in ms, and whether any
        can be transparent.
        """
        from PIL import Image

        try:
            image = self._image = Image.open(path, formats=("PNG", "WEBP"))
            check_pixels(path, image.size)
            count = int(getattr(image, "n_frames", 1))
            lengths, has_alpha = [], False
            for index in range(count):
                lengths.append(self._length(image, index))
                has_alpha |= image.has_transparency_data
            return image, lengths, has_alpha
        except Image.DecompressionBombError as err:
            raise SourceError(too_large(path)) from err
        except UNREADABLE as err:
            raise SourceError(f"{path} is not an animation that can be read ({err}).") from err

    def _length(self, image: "Image.Image", index: int) -> int:
        image.seek(index)
        image.load()
        return round(image.info.get("duration") or USUAL_MS)

    def _read(self, image: "Image.Image", lengths: list[int]) -> Iterator[Frame]:
        from stream.sources.pictures import split

        pts = 0
        for index, length in enumerate(lengths):
            try:
                image.seek(index)
                data, alpha = split(image.convert("RGBA"))
            except UNREADABLE:
                self._lose(f"Picture {index + 1} of {self._path} could not be read.")
                return
            yield Frame(data, pts, TIME_BASE, length, alpha=alpha)
            pts += length

    def _lose(self, sentence: str) -> None:
        self.damaged = True
        self.notes.append(sentence)
        self.losses.append(sentence)

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        if self._image is not None:
            self._frames = iter(())
            self._image.close()
            self._image = None
