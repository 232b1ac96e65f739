"""`allaprima live` ends when it is told to, also in the middle of what cannot be interrupted."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clips import decoded, frame_times
from command import allaprima, wait_for_bytes
from miniature import make_lcm, save
from stepped_live import put_in_step

from models import Engine, load_engine
from stream.command.exit_codes import ExitCode

SOURCE = "testsrc=size=96x64:rate=24:duration=3600"

HANGING = """
import sys, threading
import models, stream.live.runner
from stream.command.main import main

def hang(*args, **options):
    print("hangs", flush=True)
    threading.Event().wait()  # as a driver or a download does

{place} = hang
sys.argv = ["allaprima", "live", "--from", {source!r}, "--to", {target!r}]
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["models.load_engine", "stream.live.runner.open_live_source"])
def test_a_signal_ends_what_hangs(tmp_path: Path, place: str, number: signal.Signals) -> None:
    """A model that is being loaded, a camera that is being opened; the process is not waited for
    to end by itself, because it would not.
    """
    script = HANGING.format(place=place, source=SOURCE, target=str(tmp_path / "take.mp4"))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=600)
    assert process.returncode == ExitCode.INTERRUPTED, stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_duration_counts_from_the_first_painted_picture(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the model takes to load, the recording is as long as was asked."""
    clock = put_in_step(monkeypatch, main_ends=True)

    def load_slowly(*args: object, **options: object) -> Engine:
        clock.advance(50)
        return load_engine(*args, **options)

    monkeypatch.setattr("models.load_engine", load_slowly)
    take, report = tmp_path / "take.mkv", tmp_path / "report.json"
    options = ["--model", model, "--size", 64, "--duration", 1, "--json", report, "--quiet"]
    result = allaprima("live", "--from", SOURCE, "--to", take, *options, "--governor", "off")
    assert result.exit_code == ExitCode.DONE, result.output
    told = json.loads(report.read_text("utf-8"))
    assert told["stages"]["first picture"]["p50"] >= 50_000
    assert told["duration_s"] == pytest.approx(1, abs=0.1)
    assert frame_times(take)[-1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_whose_process_is_killed_can_be_played(tmp_path: Path, suffix: str) -> None:
    light = Path(__file__).parents[2] / "support" / "light_live.py"
    process = subprocess.Popen(
        [sys.executable, str(light), SOURCE, str(tmp_path / f"take{suffix}")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=light.parents[2],
    )
    try:
        wait_for_bytes(tmp_path, 8_000, process)
    finally:
        process.kill()
        process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    (part,) = tmp_path.iterdir()
    assert part.suffix == suffix
    assert len(decoded(part)) >= 12
