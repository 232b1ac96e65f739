"""What is handed to a user: the wheel holds the three packages and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=600)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_just_the_packages(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "allaprima",
        "models",
        "stream",
    }


def test_the_wheel_holds_every_module_and_the_typing_marks(names: list[str]) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("allaprima", "models", "stream")
        for path in [*ROOT.glob(f"{package}/**/*.py"), *ROOT.glob(f"{package}/py.typed")]
    }
    assert modules <= set(names)


def test_the_wheel_holds_the_whole_bundled_model(names: list[str]) -> None:
    weights = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "models" / "bundled").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert weights <= set(names)


def test_the_wheel_holds_nothing_that_unpickles(names: list[str]) -> None:
    assert not [name for name in names if name.endswith((".bin", ".ckpt", ".pt", ".pth", ".pkl"))]
