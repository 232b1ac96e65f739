"""The command: help at once, the report, options that reach the picture, interruptions."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import typer
from clips import Clip, decoded, write_clip
from command import COMMAND, PLAIN_COMMAND, allaprima, restyle, wait_for_bytes

from stream.command.examples import EXAMPLES
from stream.command.exit_codes import ExitCode
from stream.command.main import app

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
HELP_LIMIT_S = 2.0
"""What `--help` may take of a processor's time; 0.5 s is the aim on a quiet machine."""

FEW = tuple(range(0, 8 * 3600, 3600))
MANY = tuple(range(0, 100 * 3600, 3600))


# Help


def processor_time_s() -> float:
    """Of the processes that this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the time of children")
@pytest.mark.parametrize("args", [["--help"], ["restyle", "--help"]])
def test_help_comes_at_once(args: list[str]) -> None:
    times_s = []
    for _ in range(3):
        start_s = processor_time_s()
        subprocess.run([COMMAND, *args], check=True, capture_output=True, timeout=600)
        times_s.append(processor_time_s() - start_s)
    assert 0 < min(times_s) < HELP_LIMIT_S


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from stream.command.main import app\n"
        "assert CliRunner().invoke(app, ['restyle', '--help']).exit_code == 0\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'av', 'cv2', 'numpy'} "
        "& set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_help_names_every_exit_code() -> None:
    text = " ".join(allaprima("restyle", "--help").stdout.split())
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in text


def test_the_documentation_has_the_same_exit_codes() -> None:
    section = (DOCS / "commands.md").read_text("utf-8").partition("## Exit codes")[2]
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", section.partition("\n#")[0], re.M)
    assert rows == [(str(code.value), code.meaning) for code in ExitCode]


def test_the_documentation_has_the_same_options() -> None:
    page = (DOCS / "files.md").read_text("utf-8")
    table = page[page.index("| option |") : page.index("What is not given")]
    told = set(re.findall(r"--[a-z][a-z-]+", table))
    known = set(re.findall(r"--[a-z][a-z-]+", allaprima("restyle", "--help").stdout))
    assert told == known - {"--help", "--output"}


def test_version_is_said() -> None:
    assert re.fullmatch(r"allaprima \d+\.\d+\.\d+\n", allaprima("--version").stdout)


def test_models_are_listed_with_licence_and_size() -> None:
    text = allaprima("models").stdout
    assert "bundled" in text
    assert "256 px" in text
    assert "OpenRAIL-M" in text


def test_styles_are_listed() -> None:
    assert "oil painting" in allaprima("styles").stdout


# What works


def test_restyle_says_one_line_at_the_end(clip: Path, tmp_path: Path, model: str) -> None:
    result = restyle(clip, tmp_path / "out.mp4", model)
    assert result.exit_code == ExitCode.DONE, result.output
    line = r"\S+out\.mp4: 8 frames in \d+\.\d s, \d+\.\d fps, sound kept\n"
    assert re.fullmatch(line, result.stdout), result.stdout
    assert result.stderr == ""


def test_restyle_reports_frames_speed_stages_and_what_was_copied(
    clip: Path, tmp_path: Path, model: str
) -> None:
    result = restyle(clip, tmp_path / "out.mp4", model, "--fps-target", 5000, "--stats")
    assert result.exit_code == ExitCode.DONE, result.output
    assert "8 in, 8 out, 0 dropped" in result.stdout
    assert "target 5000: not reached" in result.stdout
    assert re.search(r"denoise +\d+\.\d +\d+\.\d +\d+\.\d", result.stdout)
    assert "audio" in result.stdout
    assert result.stderr == ""


def test_json_has_the_documented_keys(clip: Path, tmp_path: Path, model: str) -> None:
    report = tmp_path / "report.json"
    result = restyle(clip, "null", model, "--json", report, "--quiet")
    assert result.output == ""
    told = json.loads(report.read_text("utf-8"))
    assert told["frames_in"] == told["frames_out"] == 8
    assert told["dropped"] == 0
    assert told["fps"] > 0
    assert set(told["latency_ms"]) == {"p50", "p95", "p99"}
    assert set(told["stages"]["decode"]) == {"p50", "p95", "p99"}
    assert isinstance(told["notes"], list)


def test_json_on_standard_output_stands_alone(clip: Path, model: str) -> None:
    result = restyle(clip, "null", model, "--json", "-")
    assert json.loads(result.stdout)["frames_out"] == 8
    assert f"{clip}: 8 frames in" in result.stderr


def test_options_reach_the_picture_and_others_take_the_models_defaults(
    clip: Path, tmp_path: Path, model: str
) -> None:
    def painted(name: str, *args: object) -> list[np.ndarray]:
        out = tmp_path / f"{name}.mkv"
        result = restyle(clip, out, model, "--codec", "ffv1", "--output-size", "model", *args)
        assert result.exit_code == ExitCode.DONE, result.output
        return decoded(out)

    plain = painted("plain")
    same = painted("same", "--strength", 0.5, "--steps", 2, "--seed", 0)
    other = painted("other", "--seed", 1)
    assert plain[0].shape == (64, 96, 3)
    assert np.array_equal(plain, same)
    assert not np.array_equal(plain, other)


def test_several_inputs_go_into_a_folder(clip: Path, tmp_path: Path, model: str) -> None:
    other = write_clip(tmp_path / "other.mkv", Clip(pts=FEW))
    out = tmp_path / "painted"
    result = allaprima("restyle", clip, other, "-o", out, "--model", model, "--size", 64)
    assert result.exit_code == ExitCode.DONE, result.output
    assert sorted(path.name for path in out.iterdir()) == ["clip.mp4", "other.mkv"]


def test_overwrite_replaces_the_output(clip: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    assert restyle(clip, out, model, "--overwrite").exit_code == ExitCode.DONE
    assert len(decoded(out)) == 8


# Faults and interruptions


def test_a_fault_of_ours_is_one_sentence_and_a_traceback_with_debug() -> None:
    script = (
        "import sys\n"
        "sys.modules['stream.command.listing'] = None\n"
        "from stream.command.main import main\n"
        "sys.argv = ['allaprima', *sys.argv[1:]]\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "styles"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == ExitCode.UNEXPECTED
    assert done.stderr.startswith("Error: ModuleNotFoundError")
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    command = [COMMAND, "restyle", str(tmp_path / "nope.mp4"), "-o", "null", "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == ExitCode.INPUT
    assert "Traceback" in done.stderr


@pytest.mark.slow
def test_signals_end_the_file_properly(tmp_path: Path, model: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with ExitStack() as stack:
        running = [start_endless(tmp_path / number.name, model) for number in numbers]
        for process in running:
            stack.callback(process.kill)
        for number, process in zip(numbers, running, strict=True):
            folder = tmp_path / number.name
            wait_for_bytes(folder, 200_000, process)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=600)
            assert process.returncode == ExitCode.INTERRUPTED, stderr
            told = re.search(r"stopped after (\d+) frames", stdout)
            assert told is not None, stdout + stderr
            assert len(decoded(folder / "out.mkv")) == int(told[1])
            assert [path.name for path in folder.iterdir()] == ["out.mkv"]


def start_endless(folder: Path, model: str) -> "subprocess.Popen[str]":
    """The command at work on an hour of test pattern, in a process of its own."""
    folder.mkdir()
    source = "testsrc=size=96x64:rate=25:duration=3600"
    options = ["--model", model, "--size", "64", "--codec", "ffv1"]
    command = [*shlex.split(PLAIN_COMMAND), "restyle", source, "-o", str(folder / "out.mkv")]
    command += options
    pipe = subprocess.PIPE
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # what ignores it hands that on: nohup
    try:
        return subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_ends_with_examples_that_hold(command: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = " ".join(allaprima(command, "--help").stdout.split())
    for example in EXAMPLES[command]:
        assert example in shown
        program, name, *words = shlex.split(example)
        known = {option for one in commands[name].params for option in one.opts}
        assert program == "allaprima"
        assert {word for word in words if word.startswith("-")} <= known
    assert set(commands) == set(EXAMPLES)
