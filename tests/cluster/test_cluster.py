"""A real Ray cluster of two nodes on this machine: the same bytes, though an actor is killed.

Ray turns 127.0.0.1 into the machine's address and listens on every interface, so each node runs in
a network namespace of its own, with nothing but a wire to the other.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ALONE = ["unshare", "-n", "-p", "-f", "--mount-proc"]


def can_be_alone() -> bool:
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(not can_be_alone(), reason="no namespaces may be made here"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short name: those of Ray's sockets may have no more than 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_two_nodes_paint_the_same_bytes_though_an_actor_is_killed(folder: Path) -> None:
    films = folder / "films"
    films.mkdir()
    job = [sys.executable, str(HERE / "job.py"), str(films)]
    command = [*ALONE, "sh", str(HERE / "two_nodes.sh"), sys.executable, str(folder), *job]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told["equal"]
    assert (told["killed"], told["nodes"], told["frames"]) == (1, 2, 120)
    assert told["left"] == ["film.mp4", "out.mp4", "whole.mp4"]
    assert any("painted again" in note for note in told["notes"]), told["notes"]
