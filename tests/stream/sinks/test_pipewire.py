"""PipeWireSink: frames into a child, which is replaced when it ends or hangs; and, where PipeWire
can be run, a camera that another program reads.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from command import allaprima, assert_refused
from fakes import make_frames

from stream.clock import Clock, ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import SinkError
from stream.sinks import pipewire as pw
from stream.sinks.pipewire import NAME, PipeWireSink
from stream.stats import Stats

HERE = Path(__file__).parents[2]
LIMIT_S = 600

TAKES = "import sys; open({path!r}, 'wb').write(sys.stdin.buffer.read())"
ENDS = "import sys; sys.stdin.buffer.read(1); sys.exit('ERROR: from element x: no daemon')"
HANGS = "import threading; threading.Event().wait()"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="PipeWire is for Linux")


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An executable in GStreamer's place, which may be slow; the test writes its body."""
    monkeypatch.setattr(pw, "STALL_S", LIMIT_S)
    monkeypatch.setattr(pw, "END_S", LIMIT_S)
    path = tmp_path / "launch"
    path.write_text("")
    path.chmod(0o755)
    yield path


def become(launcher: Path, program: str) -> None:
    launcher.write_text(f"#!{sys.executable}\n{program}\n")


def make(launcher: Path, clock: Clock | None = None) -> tuple[PipeWireSink, Stats]:
    stats = Stats()
    clock = clock or Clock()
    return PipeWireSink(rate=Fraction(24), clock=clock, stats=stats, launch=str(launcher)), stats


def test_every_byte_reaches_the_child(launcher: Path, tmp_path: Path) -> None:
    become(launcher, TAKES.format(path=str(tmp_path / "got")))
    sink, stats = make(launcher)
    frames = list(make_frames(3))
    for frame in frames:
        sink.write(frame)
    sink.close()
    sink.close()
    assert (tmp_path / "got").read_bytes() == b"".join(frame.data.tobytes() for frame in frames)
    assert stats.events == {}
    assert any("Alla Prima" in note for note in sink.notes)


def test_a_child_that_ends_is_replaced_after_a_pause(launcher: Path, tmp_path: Path) -> None:
    clock = ManualClock()
    become(launcher, ENDS)
    sink, stats = make(launcher, clock)
    (frame,) = make_frames(1, size=(1280, 720))  # more than a pipe holds
    sink.write(frame)
    assert stats.events == {f"restart of {NAME}": 1}
    become(launcher, TAKES.format(path=str(tmp_path / "got")))
    sink.write(frame)  # too early
    clock.advance(pw.FIRST_PAUSE_S)
    sink.write(frame)
    sink.close()
    assert (tmp_path / "got").read_bytes() == frame.data.tobytes()
    assert stats.sinks[NAME]["dropped"] == {"no connection": 2}


def test_a_child_that_hangs_is_killed(launcher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pw, "STALL_S", 0.05)
    become(launcher, HANGS)
    sink, stats = make(launcher)
    (frame,) = make_frames(1, size=(1280, 720))
    sink.write(frame)
    assert stats.events == {f"restart of {NAME}": 1}
    sink.close()


def test_why_it_never_worked_is_told(launcher: Path) -> None:
    become(launcher, ENDS)
    sink, _ = make(launcher, ManualClock())
    (frame,) = make_frames(1, size=(1280, 720))
    sink.write(frame)
    sink.close()
    assert sink._reason == "from element x: no daemon"


def test_frames_of_another_size_are_fitted(launcher: Path, tmp_path: Path) -> None:
    become(launcher, TAKES.format(path=str(tmp_path / "got")))
    sink, _ = make(launcher)
    for size in ((64, 48), (32, 32)):
        sink.write(next(iter(make_frames(1, size=size))))
    sink.close()
    assert (tmp_path / "got").stat().st_size == 2 * 64 * 48 * 3


@pytest.mark.parametrize(
    ("gstreamer", "runs", "words"),
    [(False, True, "gstreamer1.0-pipewire"), (True, False, "systemctl --user start pipewire")],
)
def test_what_is_missing_is_one_sentence_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, gstreamer: bool, runs: bool, words: str
) -> None:
    monkeypatch.setattr(pw, "has_gstreamer", lambda: gstreamer)
    monkeypatch.setattr(pw, "pipewire_runs", lambda: runs)
    with pytest.raises(SinkError, match=words):
        PipeWireSink(rate=Fraction(24), clock=Clock(), stats=Stats())
    result = allaprima("live", "--from", "testsrc", "--to", "pipewire")
    assert_refused(result, ExitCode.OUTPUT, words)


def test_without_the_tools_gstreamer_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert not pw.has_gstreamer()


def test_pipewire_is_looked_for_where_its_clients_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPEWIRE_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("PIPEWIRE_REMOTE", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert not pw.pipewire_runs()
    (tmp_path / "pipewire-0").write_text("no socket")
    assert not pw.pipewire_runs()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert not pw.pipewire_runs()


# The real one


@pytest.mark.slow
def test_another_program_reads_the_camera(tmp_path: Path) -> None:
    tools = ("pipewire", "wireplumber", "dbus-run-session", pw.LAUNCH)
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing or not pw.has_gstreamer():
        pytest.skip(f"not installed: {', '.join(missing) or 'gstreamer1.0-pipewire'}")
    got = tmp_path / "got.rgb"
    (tmp_path / "run").mkdir(mode=0o700)
    environment = os.environ | {
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE / "support")]),
    }
    subprocess.run(
        [
            *("dbus-run-session", "--", "sh", HERE / "devices" / "pipewire.sh"),
            *(sys.executable, HERE / "devices" / "pipewire_job.py", got),
        ],
        env=environment,
        check=True,
        timeout=LIMIT_S,
    )
    pixels = np.frombuffer(got.read_bytes(), np.uint8).reshape(-1, 3)
    assert len(pixels) >= 20 * 320 * 180
    assert np.abs(pixels.astype(int) - (200, 0, 80)).max() <= 8  # by way of I420
