"""Style pictures: those that a user names, ``painting.jpg[:weight]``, read once."""

from functools import lru_cache
from pathlib import Path

from models import StyleImage
from stream.errors import SourceError
from stream.sources.pictures import load_picture
from stream.video_info import IMAGE_SUFFIXES


@lru_cache(maxsize=4)
def load_style_images(specs: tuple[str, ...]) -> tuple[StyleImage, ...]:
    """The pictures, each called what its file is called without its ending.

    Raises:
        SourceError: One cannot be read.
        ValueError: A weight is outside its range.
    """
    return tuple(_load(spec) for spec in specs)


def _load(spec: str) -> StyleImage:
    name, weight = parse_style_image(spec)
    path = Path(name).expanduser()
    try:
        rgb, _ = load_picture(path)
    except SourceError as err:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise
        raise SourceError(
            f"{name} is not a picture; a film, a camera or a stream is the style in live alone."
        ) from err
    return StyleImage(rgb, path.stem, weight)


def parse_style_image(spec: str) -> tuple[str, float]:
    """Split at the last colon that a number follows; that of an address may be a port."""
    head, colon, tail = spec.rpartition(":")
    try:
        weight = float(tail) if colon else None
    except ValueError:
        weight = None
    is_port = "://" in spec and tail.isdigit()
    return (spec, 1.0) if weight is None or is_port else (head, weight)
