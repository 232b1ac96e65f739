"""PartSource: the frames of one stretch of a film, with the proof that it is the right one.

The first frame must be the one that is expected, and the frame after the last one must be the first
of the part that follows, by the rule of `stream.offline.parts`. So a seek that landed wrong, and a
file that changed meanwhile, are seen.
"""

from pathlib import Path

from stream.errors import StreamError
from stream.frame import Frame
from stream.offline.parts import CutRule, Edge, Part, PartFinder
from stream.sources.base import Source
from stream.sources.decoding import Damage
from stream.sources.video_range import VideoRange


class EdgeError(StreamError):
    """A stretch of a film does not begin or end with the frames that were seen there before."""


class PartSource(Source):
    """Reads a stretch of a film, which begins and ends where parts do. Not thread-safe.

    Args:
        path: The film.
        stretch: Where to begin and to end; ``None`` is the whole film.
        rule: Where parts begin.
        seek: Jump to the beginning; otherwise read up to it.
        is_one: The stretch is a single part: no other may begin inside.

    Attributes:
        starts: The first frames of the parts met until now, by their pts.
        damage_before: What was damaged before each of them.
        stretch: What it was told to read.
    """

    def __init__(
        self,
        path: Path,
        stretch: Part | None,
        rule: CutRule,
        *,
        seek: bool = True,
        is_one: bool = False,
    ) -> None:
        start = None if stretch is None else stretch.start
        self._range = VideoRange(path, start, seek=seek)
        self.info = self._range.info
        self.notes = self._range.notes
        self.losses = self._range.losses
        self.stretch = stretch
        self.starts: dict[int, Edge] = {}
        self.damage_before: dict[int, Damage] = {}
        self._finder = PartFinder(rule)
        self._is_one = is_one
        self._name = path
        self._has_ended = False

    def read(self) -> Frame | None:
        """
        Raises:
            EdgeError: This is not the stretch that was planned.
            SourceError: As `VideoSource.read`.
        """
        if self._has_ended:
            return None
        frame = self._range.read()
        self.damaged = self._range.damaged
        expected = None if self.stretch is None else self.stretch.beyond
        if frame is None:
            self._has_ended = True
            if self.stretch is not None and not self.starts:
                raise self._wrong("beginning")
            if expected is not None:
                raise self._wrong("end")
            return None
        starts_part = self._finder.starts_part(frame)
        if expected is not None and frame.pts >= expected.pts:
            self._has_ended = True
            if not starts_part or Edge.of(frame) != expected:
                raise self._wrong("end")
            return None
        if starts_part:
            self._begin(frame)
        return frame

    def _begin(self, frame: Frame) -> None:
        edge = Edge.of(frame)
        is_first = not self.starts
        wrong_first = is_first and self.stretch is not None and edge != self.stretch.first
        if wrong_first or (self._is_one and not is_first):
            raise self._wrong("beginning" if is_first else "middle")
        self.damage_before[frame.pts] = self.damage()
        self.starts[frame.pts] = edge

    def _wrong(self, place: str) -> EdgeError:
        return EdgeError(f"{self._name} does not show at the {place} of a part what it did before")

    def damage(self) -> Damage:
        """What could not be read or decoded until now."""
        return self._range.damage()

    def close(self) -> None:
        self._range.close()
