"""Style pictures: those that a user names, ``painting.jpg[:weight]``, read once."""

from functools import lru_cache
from pathlib import Path

from models import StyleImage
from stream.sources.pictures import load_picture


@lru_cache(maxsize=4)
def load_style_images(specs: tuple[str, ...]) -> tuple[StyleImage, ...]:
    """The pictures, each called what its file is called without its ending.

    Raises:
        SourceError: One cannot be read.
        ValueError: A weight is outside its range.
    """
    return tuple(_load(spec) for spec in specs)


def _load(spec: str) -> StyleImage:
    name, weight = _parsed(spec)
    path = Path(name).expanduser()
    rgb, _ = load_picture(path)
    return StyleImage(rgb, path.stem, weight)


def _parsed(spec: str) -> tuple[str, float]:
    """Split at the last colon that a number follows."""
    head, colon, tail = spec.rpartition(":")
    try:
        return (head, float(tail)) if colon else (spec, 1.0)
    except ValueError:
        return spec, 1.0
