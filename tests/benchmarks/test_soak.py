"""The soak in short: the benchmark's own path, with a painter that costs nothing."""

import sys

import pytest
from live_fakes import FakePainter
from soak import FarSide, Sample, growth, soak

from stream.clock import Clock
from stream.live.controls import Controls
from stream.stats import Stats

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SOURCE = "testsrc=size=192x128:rate=120:duration=1"
"""Five times the rate of a camera: ten seconds of it are a minute's work."""

FRAMES = 1200
"""Kept, they would take 84 MiB; three quarters of it between the first quarter and the last."""


def test_growth_is_between_the_first_quarter_and_the_last() -> None:
    still = [Sample(float(at), 50.0, 5, 9, ()) for at in range(10)]
    steady = [Sample(10.0 + at, 100.0 + at, 7, 20, (10.0 + at,), 60.0 + at / 2) for at in range(40)]
    told = growth(still + steady, 4)
    assert told["seconds"] == 35
    assert told["grew"] == {"rss_mib": 27.0, "in_use_mib": 13.5, "threads": 0, "handles": 0}
    ages = told["age_ms"]
    assert isinstance(ages, dict)
    assert (ages["first quarter"]["p50"], ages["last quarter"]["p50"]) == (18.0, 45.0)


def test_nothing_grows_in_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when so many frames have been painted and some have come to the far side."""
    far_sides: list[FarSide] = []

    def make_far_side() -> FarSide:
        far_sides.append(FarSide())
        return far_sides[-1]

    def make_painter(controls: Controls, clock: Clock, stats: Stats) -> FakePainter:
        painter = FakePainter()

        def painting() -> None:
            if len(painter.painted) >= FRAMES and far_sides[0].taken:
                controls.quit()

        painter.on_paint = painting
        return painter

    monkeypatch.setattr("soak.FarSide", make_far_side)
    monkeypatch.setattr("soak.PERIOD_S", 0.2)
    monkeypatch.setattr("stream.sinks.video.LATE_S", 0.1)  # what waits for a busy machine is little
    told = soak(None, SOURCE, make_painter)
    grew, sinks = told["grew"], told["failed"]
    assert isinstance(grew, dict)
    assert sinks == []
    assert grew["threads"] <= 0
    assert grew["handles"] <= 2  # a scrape may be under way
    assert grew["rss_mib"] < 80
    assert grew["in_use_mib"] < 40
    assert told["far_side_bytes"]
    assert told["frames"]
    assert told["seconds"]
