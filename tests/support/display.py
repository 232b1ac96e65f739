"""A display of the test's own: Xvfb, real key presses by xdotool. Both optional."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream.sinks.window import display_answers

MISSING = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
needs_display = pytest.mark.skipif(
    bool(MISSING) or sys.platform != "linux",
    reason=f"needs {' and '.join(MISSING) or 'Linux'}: `make test-devices` installs and runs all",
)


@contextmanager
def virtual_display() -> Iterator[str]:
    """The name of a fresh X display of 1280x800."""
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        name = f":{process.stdout.readline().strip()}"
        assert display_answers(name)
        yield name
    finally:
        process.terminate()
        process.communicate(timeout=600)


def press(display: str, window: str, *keys: str) -> None:
    """Give the window the keyboard and press."""
    xdotool(display, "search", "--name", window, "windowfocus")
    for key in keys:
        xdotool(display, "key", key)
        threading.Event().wait(0.2)


def xdotool(display: str, *words: str) -> None:
    subprocess.run(
        ["xdotool", *words], env={**os.environ, "DISPLAY": display}, check=True, timeout=60
    )
