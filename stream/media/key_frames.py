"""KeyFrames: when an encoder is told to make one, by time and not by counting. Imports no OpenCV.

The rate that a camera or a file says it has need not be the real one: what is counted in frames
may come six times as late as it should.
"""

from fractions import Fraction

from av.video.frame import PictureType, VideoFrame

KEYFRAMES_S = 2
"""Seconds between key frames: what a viewer may have to wait, and what a crash can cost."""

MOST_RATE = 60
"""The encoder's own count of frames is for more than these in a second; below, time decides."""

OPTIONS = {"libx265": {"forced-idr": "1"}}
"""What encoders need to be told, to take the order for a real key frame."""


class KeyFrames:
    """Marks the pictures that must be key frames. Not thread-safe; one per stream."""

    def __init__(self) -> None:
        self._last_s: Fraction | None = None

    def mark(self, picture: VideoFrame, time_s: Fraction) -> None:
        """Mark the picture of this time if a key frame is due."""
        if self._last_s is None or time_s - self._last_s >= KEYFRAMES_S:
            self._last_s = time_s
            picture.pict_type = PictureType.I


def most_apart(rate: Fraction) -> int:
    """For encoders: the most frames from one key frame to the next."""
    return round(KEYFRAMES_S * max(rate, Fraction(MOST_RATE)))
