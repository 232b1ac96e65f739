"""The command `allaprima` in a test: run in this process, its answer checked."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from typer.testing import CliRunner, Result

from stream.command.exit_codes import ExitCode
from stream.command.main import app

COMMAND = str(Path(sys.executable).with_name("allaprima"))
"""The installed command, for tests that need a process of their own."""

PLAIN_COMMAND = (
    f"{sys.executable} -c \"import sys; sys.modules['openvino'] = None; "
    'from stream.command.main import main; main()"'
)
"""The same for a shell, and painting with plain torch: OpenVINO converts nothing."""


def allaprima(*args: object) -> Result:
    """Run the command in this process, without catching what it should not raise."""
    runner = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"})
    return runner.invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def restyle(source: object, output: object, model: str, *args: object) -> Result:
    return allaprima("restyle", source, "-o", output, "--model", model, "--size", 64, *args)


def assert_refused(result: Result, code: ExitCode, *words: str) -> None:
    """It ended with that code and one sentence that has these words."""
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    assert line.startswith("Error: ")
    for word in words:
        assert word in line
    assert result.stdout == ""


def wait_for_bytes(folder: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Wait until a file in the making has that many bytes."""
    for _ in range(4800):
        if sum(path.stat().st_size for path in folder.iterdir()) > count:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.05)
            break
    raise AssertionError(f"no output came; the process ended with {process.poll()}")
