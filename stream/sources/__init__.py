"""Sources of frames, one class a file. `open_source` opens the one that a spec names.

spec                         source
---------------------------  ------------------------------
clip.mp4, any video file     stream.sources.video.VideoSource
testsrc[=size=640x360:...]   the same, from a lavfi generator
folder/ of pictures, *.png   stream.sources.images.ImageSource
picture.png                  the same, one frame
shot_%04d.png                the same, those of a number
moving.webp, moving.png      stream.sources.animation.AnimationSource
-                            stream.sources.pipe.PipeSource: standard input
"""

import re
from fractions import Fraction
from pathlib import Path

from stream.addresses import PIPE
from stream.sources.animation import is_animation
from stream.sources.base import Source
from stream.video_info import IMAGE_SUFFIXES

GENERATOR = re.compile(r"testsrc2?(=|$)")
"""The test patterns of lavfi that are offered as a source."""


def open_source(spec: str | Path, *, rate: Fraction | float | None = None) -> Source:
    """The source that a spec names (see the table above).

    Args:
        spec: A video file, a folder of pictures, a pattern such as ``shots/*.png``, a picture, or
            ``testsrc``/``testsrc2`` with lavfi's options.
        rate: Frames a second of a folder of pictures, 24 by default; a video has its own.

    Raises:
        SourceError: There is nothing of that name, or nothing that can be read.
        ValueError: `rate` is not positive, or the spec names a video, which has its own.
    """
    text = str(spec)
    path = Path(spec)
    if rate is not None and rate <= 0:
        raise ValueError(f"got rate={rate}, expected more than 0")
    if path.suffix.lower() in IMAGE_SUFFIXES and is_animation(path):
        from stream.sources.animation import AnimationSource

        if rate is not None:
            raise ValueError(f"got rate={rate} for {text}, expected none: an animation has its own")
        return AnimationSource(path)
    if names_pictures(spec):
        from stream.sources.images import ImageSource

        return ImageSource(path, rate=rate)
    if rate is not None:
        raise ValueError(f"got rate={rate} for {text}, expected none: a video has its own")
    if text == PIPE:
        from stream.sources.pipe import PipeSource

        return PipeSource()
    from stream.sources.video import VideoSource

    if GENERATOR.match(text) and not path.exists():
        return VideoSource(generator=text)
    return VideoSource(path)


def names_pictures(spec: str | Path) -> bool:
    """Whether a spec names pictures that have no rate of their own."""
    path = Path(spec)
    if path.is_dir() or _is_pattern(path):
        return True
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_animation(path)


def _is_pattern(path: Path) -> bool:
    return any(sign in str(path) for sign in "*?[%") and not path.exists()
