"""Publishing: a file has its name only when it is whole, whatever happens on the way."""

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import (
    TIME_BASE,
    Clip,
    copy_through,
    decoded,
    made_frames,
    made_info,
    write_clip,
    write_made,
)

from stream.errors import SinkError
from stream.frame import Frame
from stream.sinks import open_sink


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_mp4_is_an_ordinary_one(tmp_path: Path) -> None:
    write_made(tmp_path / "out.mp4", made_frames(60))
    assert top_level_boxes(tmp_path / "out.mp4") == ["ftyp", "free", "mdat", "moov"]


def top_level_boxes(path: Path) -> list[str]:
    data, position, names = path.read_bytes(), 0, []
    while position < len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        names.append(name.decode())
        position += size
    return names


def test_only_the_finished_file_is_left(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.mp4", info=made_info()) as sink:
        for frame in made_frames(5):
            sink.write(frame)
        assert "out.mp4" not in left_behind(tmp_path)
    assert left_behind(tmp_path) == ["out.mp4"]


def test_new_files_have_the_users_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_made(tmp_path / "out.mp4", made_frames(2))
    assert (tmp_path / "out.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_existing_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(SinkError, match="overwrite=True"):
        open_sink(target, info=made_info())
    assert target.read_text() == "precious"
    assert left_behind(tmp_path) == ["out.mp4"]


def test_an_existing_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with open_sink(target, info=made_info(), overwrite=True) as sink:
        for frame in made_frames(5):
            sink.write(frame)
        assert target.read_text() == "precious"
    assert len(decoded(target)) == 5


def test_a_file_that_came_up_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    sink = open_sink(target, info=made_info())
    for frame in made_frames(5):
        sink.write(frame)
    target.write_text("precious")
    with pytest.raises(SinkError, match=r"kept as .*partial\.mp4"):
        sink.close()
    assert target.read_text() == "precious"
    (kept,) = (path for path in tmp_path.iterdir() if path != target)
    assert len(decoded(kept)) == 5


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip())
    before = source.read_bytes()
    with pytest.raises(SinkError, match="input itself"):
        copy_through(source, source, overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("no/such/out.mp4", "create it first"),
        ("file/out.mp4", "not a folder"),
        ("out.xyz", r"\.mp4"),
    ],
)
def test_impossible_places_are_refused_at_once(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=word):
        open_sink(tmp_path / name, info=made_info())
    assert left_behind(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(SinkError, match="may not be written to"):
        open_sink(folder / "out.mp4", info=made_info())


def test_an_error_of_the_caller_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_sink(tmp_path / "out.mp4", info=made_info()) as sink:
        sink.write(made_frames(1)[0])
        raise RuntimeError
    assert left_behind(tmp_path) == []


def test_an_interrupt_publishes_what_there_is(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_sink(tmp_path / "out.mp4", info=made_info()) as sink,
    ):
        for frame in made_frames(5):
            sink.write(frame)
        raise KeyboardInterrupt
    assert len(decoded(tmp_path / "out.mp4")) == 5


def test_closing_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mp4", info=made_info())
    sink.close()
    sink.close()
    sink.abort()
    assert left_behind(tmp_path) == []
    assert "No frame came" in sink.notes[0]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    frames = [Frame(data, i * 3600, TIME_BASE, 3600) for i, data in enumerate(noise)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(SinkError, match="larger than is allowed"):
            write_made(tmp_path / "out.mp4", frames, crf=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert left_behind(tmp_path) == []


def test_the_advice_for_a_full_disk_is_to_free_some() -> None:
    from stream.media.partial_file import sink_errors

    with (
        pytest.raises(SinkError, match="free some space"),
        sink_errors(Path("out.mp4")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from clips import made_frames, made_info
from stream.sinks.base import VideoEncoding
from stream.sinks import open_sink
sink = open_sink({target!r}, info=made_info(), encoding=VideoEncoding(preset="ultrafast"))
for frame in made_frames(200):
    sink.write(frame)
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_was_written_before_a_kill_can_be_played(tmp_path: Path, suffix: str) -> None:
    tests = Path(__file__).parents[2]
    script = KILLED.format(tests=str(tests / "support"), target=str(tmp_path / f"out{suffix}"))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tests.parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
    (partial,) = tmp_path.iterdir()
    assert partial.name.startswith(".out.")
    assert partial.suffix == suffix
    assert len(decoded(partial)) >= 100  # two seconds between key frames, and what x264 holds


def test_sink_takes_no_frame_after_closing(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mp4", info=made_info())
    sink.write(made_frames(1)[0])
    sink.close()
    with pytest.raises(ValueError, match="is closed"):
        sink.write(made_frames(1)[0])
