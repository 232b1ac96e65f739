"""How large a picture may be, which is looked at before memory is taken for it. Imports nothing."""

from stream.errors import SourceError
from stream.frame import Size

MOST_PIXELS = 2**27
"""Of one picture, 134 million: a little more than 16K video has. One takes 0.4 GB as RGB."""


def check_pixels(name: object, size: Size) -> None:
    """
    Raises:
        SourceError: A picture of this size would take more memory than it should.
    """
    if size[0] * size[1] > MOST_PIXELS:
        raise SourceError(too_large(f"{name} ({size[0]}x{size[1]})"))


def too_large(name: object) -> str:
    """That a picture has too many pixels, and what to do."""
    most = MOST_PIXELS // 10**6
    return f"{name} has more than {most} million pixels; make it smaller first."
