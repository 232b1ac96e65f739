"""Encoders run at the priority of everything else."""

import os
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest
from fakes import make_frames
from films import run, write_film

from stream.sinks.video import VideoEncoding, VideoSink
from stream.video_info import VideoInfo

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of threads")

USUAL = 0
"""SCHED_OTHER."""


def policies() -> set[int]:
    """Of all threads of this process."""
    found = set()
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # one that has ended meanwhile
            found.add(os.sched_getscheduler(int(name)))
    return found


@linux
@pytest.mark.parametrize("codec", ["libsvtav1", "libx264"])
def test_no_encoder_makes_threads_real_time(tmp_path: Path, codec: str) -> None:
    info = VideoInfo((96, 64), Fraction(1, 24), Fraction(24))
    sink = VideoSink(tmp_path / "out.mkv", info=info, encoding=VideoEncoding(codec=codec))
    for frame in make_frames(3):
        sink.write(frame)
        assert policies() == {USUAL}
    sink.close()


@linux
def test_parts_of_a_film_are_joined_without_it_too(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", audio=None)
    run(film, tmp_path / "out.mkv", codec="libsvtav1")
    assert policies() == {USUAL}
