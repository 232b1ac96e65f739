"""Holes: pictures and sound of which not even a packet came.

Where they may come at any time, a step in time is no hole by itself: the container must have said
that something is missing there. MPEG-TS counts its packets, so that FFmpeg marks pictures around
one that is missing (of sound it marks nothing).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.packet import Packet

NEAR = 16
"""How many pictures around a packet that came damaged a hole may be of its making."""


class Holes:
    """Watches the times of one stream. Not thread-safe.

    Args:
        always: Each step beyond the usual one is a hole.
        time_base: Seconds per tick of the times.
        joints_s: When recordings end that were joined, where one stream may be the shorter one.
    """

    def __init__(self, always: bool, time_base: Fraction, joints_s: Sequence[Fraction]) -> None:
        self._always = always
        self._time_base = time_base
        self._joints_s = joints_s
        self._suspected: list[int] = []
        self._last: int | None = None
        self._usual: int | None = None

    def read(self, packet: "Packet[Any]") -> None:
        """The packet is the next one of the file."""
        if packet.is_corrupt and packet.pts is not None:
            self._suspected = [*self._suspected[1 - NEAR :], packet.pts]

    def before(self, pts: int | None) -> list[int]:
        """The times of those that are missing before this one."""
        last, self._last = self._last, pts
        if last is None or pts is None or pts <= last:
            return []
        step = pts - last
        usual = self._usual = step if self._usual is None else min(self._usual, step)
        if 2 * step < 3 * usual or self._is_joint(last, pts + usual):
            return []
        if not (self._always or self._is_near(last, pts, usual)):
            return []
        return [*range(last + usual, pts - usual // 2, usual)]

    def _is_joint(self, begin: int, end: int) -> bool:
        return any(begin <= at_s / self._time_base <= end for at_s in self._joints_s)

    def _is_near(self, begin: int, end: int, usual: int) -> bool:
        margin = NEAR * usual
        return any(begin - margin <= pts <= end + margin for pts in self._suspected)
