"""`allaprima studio` as a program: bad options, a taken port, and Ctrl-C."""

import shlex
import signal
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from command import PLAIN_COMMAND

from stream.command.exit_codes import ExitCode

COMMAND = [*shlex.split(PLAIN_COMMAND), "studio"]
LIMIT_S = 600


def run(*arguments: str) -> tuple[int, str]:
    """How it ended, and what it said."""
    command = [*COMMAND, "--no-open", *arguments]
    with TemporaryDirectory() as folder:  # it keeps files where it is started
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "70000"), "got --port 70000"),
        (("--seats", "0"), "got --seats 0"),
        (("--key", "short"), "16 or more"),
        (("--tls", "yes"), "got --tls yes"),
        (("--tls-cert", "nowhere.pem"), "got --tls-cert nowhere.pem"),
        (("--stability", "2"), "got --stability 2"),
    ],
)
def test_a_bad_option_is_one_sentence(arguments: tuple[str, ...], says: str) -> None:
    code, said = run(*arguments)
    assert code == ExitCode.USAGE and says in said and said.count("Error:") == 1


def test_a_taken_port_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run("--port", str(taken.getsockname()[1]))
    assert code == ExitCode.OUTPUT and "choose another with --port" in said


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    code, said = run("--port", "0", "--model", str(tmp_path / "none"), "--offline")
    assert code == ExitCode.MODEL and said.count("Error:") == 1


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    command = [*COMMAND, "--no-open", "--port", "0", "--folder", str(tmp_path / "kept")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as studio:
        assert studio.stderr is not None
        line = studio.stderr.readline()
        assert "http://127.0.0.1:" in line
        studio.send_signal(signal.SIGINT)
        studio.stderr.read()
        assert studio.wait(LIMIT_S) == ExitCode.INTERRUPTED
