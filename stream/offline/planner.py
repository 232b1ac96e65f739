"""Planner: reads a film ahead of those who paint it, to find where `parts.py` lets it be cut.

The planner decodes only where a part may
end: from a little before ten seconds after its beginning to the first sure cut. Where seeking was
seen to land wrong, it reads all of the film instead.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from stream.offline.parts import CutRule, Edge, Part, PartFinder
from stream.sources.video_range import VideoRange

AHEAD_S = Fraction(2)
"""How long before a part may end the reading begins."""


def planned_parts(
    path: Path, gap: Part, rule: CutRule, time_base: Fraction, *, seek: bool
) -> Iterator[Part]:
    """The parts of a stretch of a film, by time; each is found when it is asked for.

    Args:
        path: The film.
        gap: The stretch; begins and ends where parts do.
        rule: Where parts begin.
        time_base: Seconds per unit of pts.
        seek: Jump from end to end.

    Raises:
        SourceError: The film cannot be read.
    """
    first = gap.first
    starts = _by_jumps(path, gap, rule, time_base) if seek else _by_reading(path, gap, rule)
    for start in starts:
        if gap.end is not None and start.pts >= gap.end:
            break
        yield Part(first, start)
        first = start
    yield Part(first, gap.beyond)


def _by_reading(path: Path, gap: Part, rule: CutRule) -> Iterator[Edge]:
    """The first frames of all parts but the first."""
    finder = PartFinder(rule)
    with VideoRange(path, gap.start, seek=False) as reading:
        for frame in reading:
            if finder.starts_part(frame) and frame.pts > gap.start:
                yield Edge.of(frame)


def _by_jumps(path: Path, gap: Part, rule: CutRule, time_base: Fraction) -> Iterator[Edge]:
    first: Edge | None = gap.first
    while first is not None:
        first = _next(path, first, rule, time_base)
        if first is not None:
            yield first


def _next(path: Path, first: Edge, rule: CutRule, time_base: Fraction) -> Edge | None:
    ahead = max(0, int((rule.least_s - AHEAD_S) / time_base))
    finder = PartFinder(rule, first.pts * time_base)
    with VideoRange(path, first.pts + ahead, seek=True) as reading:
        for frame in reading:
            if finder.starts_part(frame):
                return Edge.of(frame)
    return None
