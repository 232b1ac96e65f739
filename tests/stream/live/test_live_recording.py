"""A live recording has the times at which its pictures were captured, however uneven."""

from pathlib import Path

import numpy as np
import pytest
from clips import Clip, frame_times, vfr_pts, write_clip
from stepped_live import SteppedFile, record

from stream.clock import ManualClock


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_an_uneven_rate_is_kept(tmp_path: Path, suffix: str) -> None:
    """Though the painter takes now more and now less time for each."""
    pts = vfr_pts(60)
    clip = write_clip(tmp_path / "clip.mkv", Clip(pts=pts))
    clock, take = ManualClock(5000.0), tmp_path / f"take{suffix}"
    record(SteppedFile(clip, clock), take, clock, len(pts))
    times_s = np.array([float(one) for one in frame_times(take)])
    wanted_s = np.array(pts) / 90_000
    assert len(times_s) == len(pts)
    late_s = times_s - wanted_s
    late_s -= np.median(late_s)  # the time begins when the second frame is asked for
    assert np.median(np.abs(late_s)) < 0.0015
    # a frame due while the painter was busy with the one before is captured when that is done
    assert np.abs(late_s[1:]).max() < 0.035
    assert len(set(np.diff(times_s).round(3))) > 4
