"""A recording that is written late: how much it may be behind, and what is said of what it lost."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
from fakes import ListSink, make_frames

from stream.clock import ManualClock
from stream.frame import Size
from stream.live.fan_out import Outlet
from stream.live.session import TIME_BASE
from stream.live.tape import SourceRecording
from stream.sinks.video import LIVE_BACKLOG, VideoSink, live_backlog
from stream.stats import Stats
from stream.video_info import VideoInfo

RATE = 24


class Recording(ListSink):
    """In memory, and allowed to be as late as a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        info = VideoInfo((64, 48), TIME_BASE, Fraction(RATE))
        self.backlog = VideoSink(folder / "take-source.mkv", info=info).backlog


def recorded_late(sink: Recording, frames: int, stats: Stats) -> None:
    """So many frames come before the thread that writes them has its first turn."""
    recording = SourceRecording("take-source.mkv", sink, clock=ManualClock(), stats=stats)
    for frame in make_frames(frames):
        recording.take(frame)
    recording.stop()
    recording.run()


def test_a_second_late_loses_nothing(tmp_path: Path) -> None:
    sink, stats = Recording(tmp_path), Stats()
    recorded_late(sink, RATE, stats)
    assert [frame.pts for frame in sink.frames] == list(range(RATE))
    assert stats.notes == ["kept in a list"]


def test_what_is_lost_is_noted(tmp_path: Path) -> None:
    sink, stats = Recording(tmp_path), Stats()
    recorded_late(sink, 4 * RATE, stats)
    assert [frame.pts for frame in sink.frames] == list(range(2 * RATE, 4 * RATE))
    lost = "take-source.mkv lacks 48 of 96 frames: it was not written fast enough."
    assert lost in stats.notes


def test_what_is_watched_drops_older_frames_without_a_note() -> None:
    sink, stats = ListSink(), Stats()
    outlet = Outlet("window", sink, clock=ManualClock(), stats=stats, max_age_s=math.inf)
    for frame in make_frames(3):
        outlet.channel.put(frame)
    outlet.write(outlet.channel.get())
    outlet.finish(aborted=False)
    assert [frame.pts for frame in sink.frames] == [2]
    assert stats.notes == ["kept in a list"]


@pytest.mark.parametrize(
    ("size", "rate", "frames"),
    [
        ((1280, 720), Fraction(24), 48),
        ((640, 360), Fraction(30000, 1001), 60),
        ((640, 360), None, 48),
        ((1920, 1080), Fraction(60), 67),  # as many as fit
        ((7680, 4320), Fraction(60), LIVE_BACKLOG),
    ],
)
def test_as_many_frames_wait_as_come_in_two_seconds(
    size: Size, rate: Fraction | None, frames: int
) -> None:
    assert live_backlog(VideoInfo(size, TIME_BASE, rate)) == frames
