"""Pipes of a live session: standard input and output, times and sound in them, what is refused."""

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from clips import Clip, write_clip
from command import allaprima, assert_refused
from fakes import make_frames

from stream.command.exit_codes import ExitCode
from stream.live.pipes import open_pipe_sink
from stream.live.session import TIME_BASE
from stream.media.sound import SOUND_RATE, Sound
from stream.sinks.base import Sink, VideoEncoding
from stream.video_info import VideoInfo

SIZE = 64, 48
RATE = Fraction(24)
LIMIT_S = 280
LIGHT = Path(__file__).resolve().parents[2] / "support" / "light_live.py"


class Collected:
    """Standard output that keeps what is written."""

    is_terminal = False

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += bytes(data)
        return len(bytes(data))


@pytest.fixture
def out(monkeypatch: pytest.MonkeyPatch) -> Collected:
    collected = Collected()
    monkeypatch.setattr("stream.sinks.pipe.PipeFile", lambda: collected)
    return collected


def make_sink(format: str | None, *, sound: bool = False, **encoding: str) -> Sink:
    info = VideoInfo(SIZE, TIME_BASE, RATE, sound=sound)
    return open_pipe_sink(info, format, VideoEncoding(**encoding), None)


def write(sink: Sink, places: list[float]) -> list[bool]:
    """Frames at so many frame periods after the first; which of them went out."""
    taken = []
    for frame, place in zip(make_frames(len(places), SIZE), places, strict=True):
        pts = round(place / RATE / TIME_BASE)
        sink.write(replace(frame, pts=pts, time_base=TIME_BASE))
        taken.append(sink.took_last)
    sink.close()
    return taken


def brightness(data: bytes, format: str) -> list[tuple[float, float]]:
    """Time and mean of each picture."""
    with av.open(io.BytesIO(data), format=format) as container:
        return [
            (float(frame.time or 0), float(frame.to_ndarray(format="rgb24").mean()))
            for frame in container.decode(video=0)
        ]


def test_formats_without_times_get_every_frame_of_an_even_rate(out: Collected) -> None:
    assert write(make_sink("yuv4mpegpipe"), [0, 1.1, 1.4, 4, 5]) == [True, True, False, True, True]
    shown = [mean for _, mean in brightness(out.data, "yuv4mpegpipe")]
    assert len(shown) == 6
    assert shown[1] == shown[2] == shown[3]  # until the next one comes
    assert len(set(shown)) == 4


def test_raw_video_is_whole_pictures(out: Collected) -> None:
    write(make_sink("rawvideo"), [0, 2])
    assert len(out.data) == 3 * SIZE[0] * SIZE[1] * 3 // 2


@pytest.mark.parametrize("format", ["nut", "matroska"])
def test_containers_keep_the_times_of_the_session(out: Collected, format: str) -> None:
    places = [0, 1.5, 2, 7]
    write(make_sink(None if format == "nut" else format), places)
    times = [time_s for time_s, _ in brightness(out.data, format)]
    assert times == pytest.approx([place / 24 for place in places], abs=2e-3)


def test_sound_goes_with_the_pictures(out: Collected) -> None:
    sink = make_sink("matroska", sound=True)
    assert sink.hears
    frames = make_frames(24, SIZE)
    for index, frame in enumerate(frames):
        sink.write(replace(frame, pts=round(index / RATE / TIME_BASE), time_base=TIME_BASE))
        samples = np.full((SOUND_RATE // 24, 2), 8000, np.int16)
        sink.hear(Sound(samples, index * SOUND_RATE // 24))
    sink.close()
    with av.open(io.BytesIO(out.data)) as container:
        loud = np.concatenate(
            [frame.to_ndarray().reshape(2, -1) for frame in container.decode(audio=0)], axis=1
        )
    assert loud.shape[1] >= 0.9 * SOUND_RATE
    assert np.abs(loud[:, SOUND_RATE // 2 : SOUND_RATE * 3 // 4]).mean() > 0.1


def test_ffmpeg_pipes_through_a_live_session(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", Clip(size=SIZE, pts=range(0, 12 * 3600, 3600)))
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(clip)]
    with subprocess.Popen([*ffmpeg, "-f", "yuv4mpegpipe", "-"], stdout=subprocess.PIPE) as feeder:
        done = subprocess.run(
            [sys.executable, str(LIGHT), "-", "-"],
            stdin=feeder.stdout,
            capture_output=True,
            timeout=LIMIT_S,
        )
    assert (done.returncode, feeder.returncode) == (0, 0), done.stderr
    shown = brightness(done.stdout, "nut")
    assert shown
    times = [time_s for time_s, _ in shown]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "-", "--loop"], "--loop"),
        (["--from", "-", "--control", "-", "--to", "null"], "got --control -"),
        (["--to", "-", "--json", "-"], "got --json -"),
        (["--from", "-", "--camera-size", "64by48"], "expected WxH"),
        (["--to", "null", "--output-format", "nut"], "got --output-format nut"),
        (["--to", "-", "--output-format", "gif"], "expected yuv4mpegpipe"),
        (["--to", "-", "--pixel-format", "rgb24"], "got --pixel-format rgb24"),
    ],
)
def test_what_a_pipe_cannot_be_is_refused(words: list[str], said: str) -> None:
    source = [] if "--from" in words else ["--from", "testsrc"]
    assert_refused(allaprima("live", *source, *words), ExitCode.USAGE, said)
