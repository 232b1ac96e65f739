"""VideoInfo: what is known of a video before its first frame is read; sinks are opened by it."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from stream.frame import Size

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""What a file must be called to be read or written as a picture."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source knows of its pictures before the first is read; a sink opens by it.

    Attributes:
        size: (width, height) of the frames as read: upright, i.e. after any rotation tag has been
            applied.
        time_base: Seconds per unit of `Frame.pts`.
        rate: Average frames a second, ``None`` where there is none (a single picture).
        frame_count: Frames the source says it holds; an estimate for a progress bar, or ``None``.
        duration_s: Likewise, in seconds.
        sample_aspect_ratio: Width of a pixel over its height; 1 for square pixels.
        color_primaries, color_trc, colorspace: The source's H.273 code points (2 = unspecified).
        path: The file that holds further streams (sound, subtitles) to copy, else ``None``.
        start_s: When the file's first picture or sound is due; a sink takes it off all times, so
            that its output starts at zero.
        has_alpha: Whether the frames are partly transparent.
        names: What the pictures are called in their folder; a picture's pts is its place in there.
        sound: Whether sound will be given beside the frames, by `Sink.hear`.
    """

    size: Size
    time_base: Fraction
    rate: Fraction | None = None
    frame_count: int | None = None
    duration_s: float | None = None
    sample_aspect_ratio: Fraction = Fraction(1)
    color_primaries: int = 2
    color_trc: int = 2
    colorspace: int = 2
    path: Path | None = None
    start_s: Fraction = Fraction(0)
    has_alpha: bool = False
    names: tuple[str, ...] = ()
    sound: bool = False
