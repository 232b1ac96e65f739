"""Pipes: video on standard input and output, to and from a real FFmpeg; nothing else in them."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
from clips import Clip, write_clip
from command import PLAIN_COMMAND, allaprima, assert_refused
from miniature import make_lcm, save

from stream.command.exit_codes import ExitCode
from stream.sources.pipe_ends import MatroskaEnd, RawEnd, Y4mEnd, end_of, picture_bytes

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
FRAMES = 12
SIZE = 98, 66
LIMIT_S = 600


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    return write_clip(path, Clip(size=SIZE, pts=range(0, FRAMES * 3600, 3600), audio="aac"))


def piped(clip: Path, format: str) -> bytes:
    """What `ffmpeg -i clip -f FORMAT -` writes."""
    run = [FFMPEG, "-v", "error", "-i", str(clip), "-an", "-f", format]
    run += ["-pix_fmt", "rgb24" if format == "rawvideo" else "yuv420p"]
    run += ["-c:v", "ffv1"] if format in ("nut", "matroska") else []
    return subprocess.run([*run, "-"], capture_output=True, check=True, timeout=LIMIT_S).stdout


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """These bytes come by a real pipe, from a process of its own."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    feeder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert feeder.stdin is not None and feeder.stdout is not None
    feeder.stdin.write(data)
    feeder.stdin.close()
    before = os.dup(0)
    os.dup2(feeder.stdout.fileno(), 0)
    feeder.stdout.close()
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        feeder.kill()
        feeder.wait()


def restyle(model: str, *args: object) -> Any:
    return allaprima("restyle", "--model", model, "--size", 64, *args)


def decoded(data: bytes, format: str | None = None, **options: str) -> list[np.ndarray]:
    with av.open(io.BytesIO(data), format=format, options=options) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("format", ["yuv4mpegpipe", "nut", "matroska"])
def test_what_ffmpeg_pipes_in_comes_out_painted(
    format: str, clip: Path, model: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with standard_input(piped(clip, format)):
        result = restyle(model, "-", "-o", "-", "--output-format", format)
    assert result.exit_code == ExitCode.DONE, result.output
    data = capfdbinary.readouterr().out
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == SIZE
        assert stream.average_rate in (None, Fraction(25))
        assert len(list(container.decode(stream))) == FRAMES
    assert f"{FRAMES} frames in" in result.stderr  # the report
    seen = subprocess.run([FFMPEG, "-v", "error", "-i", "-", "-f", "null", "-"], input=data,
                          capture_output=True, timeout=LIMIT_S, check=False)  # fmt: skip
    assert (seen.returncode, seen.stderr) == (0, b"")


def test_a_pipeline_of_a_shell_runs_from_end_to_end(tmp_path: Path, clip: Path, model: str) -> None:
    line = (
        f"{FFMPEG} -v error -i {clip} -f yuv4mpegpipe -pix_fmt yuv420p - | "
        f"{PLAIN_COMMAND} restyle - -o - --model {model} --size 64 --quiet | "
        f"{FFMPEG} -v error -i - {tmp_path}/out.mp4"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_rawvideo_goes_in_and_out(
    model: str, clip: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = piped(clip, "rawvideo")
    raw = ["--pixel-format", "rgb24", "--input-size", "98x66", "--framerate", "29.97"]
    with standard_input(data):
        result = restyle(model, "-", "-o", "-", "--output-format", "rawvideo", *raw)
    assert result.exit_code == ExitCode.DONE, result.output
    made = capfdbinary.readouterr().out
    assert len(made) == len(data) == FRAMES * 98 * 66 * 3
    before, after = (np.frombuffer(one, np.uint8) for one in (data, made))
    assert np.abs(before.astype(int) - after).mean() > 2


def test_a_file_is_painted_into_a_pipe_as_into_a_file(
    tmp_path: Path, model: str, clip: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    result = restyle(model, clip, "-o", "-", "--output-format", "nut", "--quiet")
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    data = capfdbinary.readouterr().out
    kept = restyle(model, clip, "-o", tmp_path / "out.mkv", "--codec", "ffv1")
    assert kept.exit_code == ExitCode.DONE
    shown = decoded(data)
    errors = [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(decoded((tmp_path / "out.mkv").read_bytes()), shown, strict=True)
    ]
    assert len(errors) == FRAMES and max(errors) < 6  # of the colours' halved resolution
    with av.open(io.BytesIO(data)) as container:
        assert [stream.codec_context.name for stream in container.streams.audio] == ["aac"]


def test_a_piped_film_is_written_to_a_file(tmp_path: Path, model: str, clip: Path) -> None:
    with standard_input(piped(clip, "yuv4mpegpipe")):
        result = restyle(model, "-", "-o", tmp_path / "out.mp4")
    assert result.exit_code == ExitCode.DONE, result.output
    assert len(decoded((tmp_path / "out.mp4").read_bytes())) == FRAMES


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_with_one_sentence(model: str, clip: Path) -> None:
    words = f"restyle {clip} -o - --model {model} --size 64"
    line = f"{PLAIN_COMMAND} {words} | head -c 100 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == ExitCode.OUTPUT
    (told,) = done.stderr.decode().splitlines()
    assert told.startswith("Error: Standard output was closed by the program that reads it")


@pytest.mark.parametrize("format", ["yuv4mpegpipe", "nut", "matroska", "rawvideo"])
def test_an_input_that_is_cut_off_is_told(
    format: str, tmp_path: Path, model: str, clip: Path
) -> None:
    data = piped(clip, format)
    raw = ["--pixel-format", "rgb24", "--input-size", "98x66"] if format == "rawvideo" else []
    with standard_input(data[: len(data) * 2 // 3 - 1000]):
        result = restyle(model, "-", "-o", tmp_path / "out.mp4", *raw)
    assert result.exit_code == ExitCode.PARTIAL, result.output
    assert "Standard input was cut off" in result.output or "is damaged" in result.output
    assert 0 < len(decoded((tmp_path / "out.mp4").read_bytes())) < FRAMES


def test_what_is_no_video_is_refused(model: str, tmp_path: Path) -> None:
    for data in (b"nonsense " * 1000, b""):
        with standard_input(data):
            result = restyle(model, "-", "-o", tmp_path / "out.mp4")
        assert_refused(result, ExitCode.INPUT, "Standard input is no video")


def test_a_list_of_files_on_standard_input_opens_none(
    model: str, tmp_path: Path, clip: Path
) -> None:
    with standard_input(f"ffconcat version 1.0\nfile '{clip}'\n".encode()):
        result = restyle(model, "-", "-o", tmp_path / "out.mp4")
    assert_refused(result, ExitCode.INPUT, "Standard input is no video")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--input-size", "big"], "got --input-size big, expected WxH"),
        (["--input-size", "64x64", "--pixel-format", "rgb25"], "got --pixel-format rgb25"),
        (["--pixel-format", "rgb24"], "got --pixel-format rgb24, expected it with rawvideo"),
        (["--output-format", "avi"], "got --output-format avi, expected yuv4mpegpipe"),
        (["--codec", "libx264"], "got --codec libx264, expected none for yuv4mpegpipe"),
        (["--json", "-"], "got --json -, which the pictures go to"),
        (["testsrc"], "several inputs and a pipe"),
    ],
)
def test_options_that_make_no_sense_are_refused(args: list[str], words: str) -> None:
    assert_refused(allaprima("restyle", "-", *args, "-o", "-"), ExitCode.USAGE, words)


@pytest.mark.parametrize("option", ["--input-size=64x64", "--output-format=nut"])
def test_options_of_pipes_need_one(option: str, tmp_path: Path) -> None:
    args = ("restyle", "testsrc", "-o", tmp_path / "out.mp4", option)
    assert_refused(allaprima(*args), ExitCode.USAGE, "expected it with the")


# Where streams may end


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p10le", "gray"])
def test_yuv4mpegpipe_may_end_after_a_picture(pixel_format: str, clip: Path) -> None:
    run = [FFMPEG, "-v", "error", "-i", str(clip), "-an", "-strict", "-1"]
    run += ["-pix_fmt", pixel_format, "-f", "yuv4mpegpipe", "-"]
    data = subprocess.run(run, capture_output=True, check=True, timeout=LIMIT_S).stdout
    assert isinstance(end_of(data[:100]), Y4mEnd)
    for chunk in (1, 1000, len(data)):
        end = Y4mEnd()
        whole = []
        for start in range(0, len(data), chunk):
            end.feed(data[start : start + chunk])
            whole.append(end.is_whole)
        assert whole[-1]
        assert chunk > 1 or sum(whole) == FRAMES + 1  # after the first line and each picture


def test_matroska_may_end_after_an_element(clip: Path) -> None:
    data = piped(clip, "matroska")
    assert isinstance(end_of(data[:100]), MatroskaEnd)
    end = MatroskaEnd()
    end.feed(data)
    assert end.is_whole
    end = MatroskaEnd()
    end.feed(data[:-5])
    assert not end.is_whole


def test_rawvideo_may_end_after_a_picture() -> None:
    assert picture_bytes("yuv420p", 3, 3) == 9 + 2 * 4
    assert picture_bytes("rgb24", 4, 2) == 24
    end = RawEnd(24)
    for data, whole in ((b"x" * 23, False), (b"x", True), (b"x" * 48, True), (b"x" * 25, False)):
        end.feed(data)
        assert end.is_whole == whole
