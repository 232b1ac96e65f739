"""The contracts of pyproject.toml on imports: each fails on a copy of the code that breaks it."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT = Path(sys.executable).with_name("lint-imports")

BREAKING = {
    "stream-layers": ("stream/media/sound.py", "import stream.live.session"),
    "models-layers": ("models/weights/hub.py", "import models.acceleration.rewrites"),
    "acceleration-layers": (
        "models/acceleration/cpu/threads.py",
        "import models.acceleration.cuda.device",
    ),
    "one-way": ("models/pixels.py", "def lazy():\n    from stream.frame import Frame"),
    "public-api": ("stream/frame.py", "import allaprima"),
    "front-door": ("stream/live/runner.py", "from models.engine import Engine"),
    "command-line-libraries": ("stream/live/session.py", "from rich.console import Console"),
    "no-circle": (
        "stream/sources/opening.py",
        "def lazy():\n    from stream.sources.network import open_url",
    ),
}
"""For each contract a file that keeps it, and lines which break it there."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python files of the packages."""

    def others(folder: str, names: list[str]) -> list[str]:
        return [
            name
            for name in names
            if not (name.endswith(".py") or Path(folder, name).is_dir()) or name == "__pycache__"
        ]

    folder = tmp_path_factory.mktemp("copy")
    for package in ("allaprima", "stream", "models"):
        shutil.copytree(ROOT / package, folder / package, ignore=others)
    return folder


def check(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run `lint-imports`, which looks for the packages in the folder where it is started."""
    command = [LINT, "--no-cache", *args, ROOT / "pyproject.toml"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_contract_holds_and_is_broken_below(copy: Path) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == set(BREAKING)
    done = check(copy)
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("contract", BREAKING)
def test_a_contract_fails_where_it_is_broken(copy: Path, contract: str) -> None:
    name, lines = BREAKING[contract]
    path = copy / name
    kept = path.read_text("utf-8")
    path.write_text(f"{kept}\n\n{lines}\n", encoding="utf-8")
    done = check(copy, "--contract", contract)
    path.write_text(kept, encoding="utf-8")
    assert "Contracts: 0 kept, 1 broken." in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
