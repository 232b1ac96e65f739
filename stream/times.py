"""Times: the newest of a series in seconds, and their percentiles. Not thread-safe."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 8192
"""Times kept per stage for the percentiles (the newest); the counters count everything."""

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Summary:
    """Times in seconds: how many in all, their sum, and the newest ones' quantiles by share."""

    count: int
    total_s: float
    quantiles_s: dict[float, float]


class Times:
    """Times in seconds: the newest, and how many there were in all. Not thread-safe.

    Its memory is taken at once and never grows: 64 KiB.
    """

    def __init__(self) -> None:
        self._ring = array("d", [0.0]) * SAMPLES
        self.count = 0
        self.total_s = 0.0

    def add(self, time_s: float) -> None:
        self._ring[self.count % SAMPLES] = time_s
        self.count += 1
        self.total_s += time_s

    def newest_s(self) -> NDArray[np.float64]:
        """A copy of the newest times, the last one last."""
        ring = np.array(self._ring)
        if self.count < SAMPLES:
            return ring[: self.count]
        return np.roll(ring, -(self.count % SAMPLES))

    def copy(self) -> "Times":
        """The same, to read at leisure."""
        other = Times.__new__(Times)
        other._ring, other.count, other.total_s = self._ring[:], self.count, self.total_s
        return other

    def summary(self) -> Summary:
        shares = [percent / 100 for percent in PERCENTILES]
        found_ms = percentiles_ms(self.newest_s()).values()
        quantiles_s = {share: ms / 1e3 for share, ms in zip(shares, found_ms, strict=True)}
        return Summary(self.count, self.total_s, quantiles_s)


def percentiles_ms(times_s: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 of times in seconds, as milliseconds; zeros where there are none."""
    values = np.fromiter(times_s, dtype=np.float64)
    if not values.size:
        return {f"p{percent}": 0.0 for percent in PERCENTILES}
    found = np.percentile(values, PERCENTILES) * 1e3
    return {f"p{percent}": float(value) for percent, value in zip(PERCENTILES, found, strict=True)}
