"""CrossFade: from the pictures of one style to those of another, the old one carried along.

The picture before the change is moved along the optical flow to each frame of the transition, and
mixed with that frame's own painting. Starts no thread. Called by the live stylizer, by the clock,
and by the offline one, by the frames' own times.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stream.frame import Frame
from stream.live.motion_carry import Carrier, Reference


@dataclass(frozen=True, slots=True)
class Fade:
    """A cross-fade that runs: from which picture, since when, for how long."""

    reference: Reference
    start_s: float
    duration_s: float

    def share(self, now_s: float) -> float:
        """How much of the new picture shows, 0 to 1."""
        return min(1.0, max(0.0, (now_s - self.start_s) / self.duration_s))


class CrossFade:
    """At most one fade at a time. Not thread-safe."""

    def __init__(self) -> None:
        self._fade: Fade | None = None
        self._carrier = Carrier()

    @property
    def runs(self) -> bool:
        return self._fade is not None

    def start(self, reference: Reference, now_s: float, duration_s: float) -> None:
        """Fade from a picture, in place of a fade that runs."""
        self._fade = Fade(reference, now_s, duration_s)

    def end(self) -> None:
        """Show the new picture alone from now on."""
        self._fade = None

    def mixed(self, frame: Frame, painted: Frame, now_s: float) -> Frame:
        """What shows of a painting.

        Args:
            frame: What it was painted from.
        """
        if self._fade is None:
            return painted
        share = self._fade.share(now_s)
        if share >= 1 or self._fade.reference.frame.size != painted.size:
            self._fade = None
            return painted
        before = self._carrier.carry(self._fade.reference, frame)
        if before is None:
            self._fade = None
            return painted
        mixed = cv2.addWeighted(painted.data, share, before.data, 1 - share, 0)
        return painted.replace(np.asarray(mixed, dtype=np.uint8))
