"""Encoders run at the priority of everything else."""

import os
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from fakes import make_frames

from stream.sinks.video import VideoEncoding, VideoSink
from stream.video_info import VideoInfo


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of threads")
@pytest.mark.parametrize("codec", ["libsvtav1", "libx264"])
def test_no_encoder_makes_threads_real_time(tmp_path: Path, codec: str) -> None:
    usual = os.sched_getscheduler(0)
    info = VideoInfo((96, 64), Fraction(1, 24), Fraction(24))
    sink = VideoSink(tmp_path / "out.mkv", info=info, encoding=VideoEncoding(codec=codec))
    for frame in make_frames(3):
        sink.write(frame)
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        assert {os.sched_getscheduler(thread) for thread in threads} == {usual}
    sink.close()
