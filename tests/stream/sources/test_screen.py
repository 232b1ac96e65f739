"""The screen as a source; `tests/stream/sinks/test_window.py` grabs a real one."""

import subprocess
import sys

import pytest

from stream.errors import SourceError
from stream.sources import screen


def test_the_process_that_grabs_loads_no_opencv() -> None:
    script = f"import runpy, sys; runpy.run_path({str(screen.PROGRAM)!r}, run_name='grabbing')\n"
    script += "sys.exit('cv2' in sys.modules or 'av' not in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", script], timeout=600).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="X11 is Linux's")
def test_that_process_is_started_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":1")
    command = screen._command("screen:64x48+10+20", 24)
    assert command[1:] == ["-P", str(screen.PROGRAM), ":1+10,20", "24", "64x48"]


@pytest.mark.parametrize("spec", ["screen:", "screen:64", "screen:64x48+1", "screen:x"])
def test_a_spec_that_is_not_understood_is_named(spec: str) -> None:
    with pytest.raises(SourceError, match="is not understood"):
        screen.ScreenSource(spec)
