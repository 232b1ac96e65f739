"""A real Ray cluster of this machine's own: the same bytes, though an actor is killed.

Ray turns 127.0.0.1 into the machine's address and listens on every interface, so it runs in a
network namespace of its own, which has nothing but a loopback.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ALONE = ["unshare", "-n", "-p", "-f", "--mount-proc"]


def can_be_alone() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(not can_be_alone(), reason="no namespaces may be made here"),
]


def run(folder: Path, how: str) -> dict[str, Any]:
    command = [*ALONE, "sh", str(HERE / "one_node.sh"), sys.executable, str(folder), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_killed_actor_costs_a_part_and_the_bytes_stay(tmp_path: Path) -> None:
    told = run(tmp_path, "kill")
    assert told["equal"]
    assert told["killed"] == 1
    assert told["frames"] == 120
    assert told["left"] == ["film.mp4", "out.mp4", "whole.mp4"]
