"""The report of a GPU: steps that end, fail, hang or cannot run, and the table of all that."""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 64 * 2**20


@pytest.fixture
def gpu_report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu_report")


def test_each_step_costs_itself_alone(gpu_report: Any, tmp_path: Path) -> None:
    def step(name: str, code: str, **more: Any) -> Any:
        return gpu_report.Step(name, "?", ["-c", code], 60, **more)

    written = "import sys; open(r'{out}/x.json', 'w').write('[1]'); sys.exit(1)"
    hangs = "import time; print('{\"figures\": {}}', flush=True); time.sleep(600)"
    outcomes = [
        gpu_report.run(step("fine", 'print(\'noise\\n{"figures": {"a": 1.5}}\')'), tmp_path, 60),
        gpu_report.run(step("fails", written, result="x.json"), tmp_path, 60),
        gpu_report.run(step("lacks", "", needs=["no_such_module"]), tmp_path, 60),
        gpu_report.run(step("late", ""), tmp_path, 1),
        gpu_report.run(step("hangs", hangs), tmp_path, 5),
    ]
    assert [each.state for each in outcomes] == [
        "passed", "failed", "left out", "left out", "out of time",
    ]  # fmt: skip
    assert outcomes[0].result == {"figures": {"a": 1.5}}
    assert outcomes[1].result == [1] and outcomes[1].why == "exit code 1"
    assert outcomes[2].why == "not installed: no_such_module"
    assert outcomes[4].result == {"figures": {}}  # what it had said until then


def test_the_table_has_a_line_for_each_step_and_figure() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from gpu_report_table import as_markdown

    row = {"name": "ours", "fps": 10.0, "p50_ms": 100.0, "device_ms": 99.0, "peak_mb": 5.0}
    tables = [{"title": "tiny", "rows": [row, {"name": "theirs", "failure": "no|room"}]}]
    common = {"asks": "what", "why": "", "wall_s": 2.0, "last_words": ["the end"]}
    report = {
        "kind": "dry run on a CPU",
        "machine": {"gpu": None, "processor": "a CPU"},
        "versions": {"torch": "2"},
        "commit": "abc",
        "steps": [
            {"name": "a", "state": "passed", "result": {"tables": tables}, **common},
            {"name": "b", "state": "failed", "result": {"figures": {"x": 0.5}}, **common},
            {"name": "c", "state": "left out", "result": None, **common},
        ],
    }
    text = as_markdown(report)
    assert "10.0 frames a second, p50 100.00 ms, GPU 99.00 ms, 5 MB" in text
    assert "| | x | 0.5 |" in text and "the end" in text
    assert len(re.findall(r"^\| [abc] \|", text, re.MULTILINE)) == 3


def test_the_steps_fit_into_ten_minutes_but_for_the_last(gpu_report: Any) -> None:
    """Limits are for what goes wrong; the most telling steps are sure to have theirs."""
    found = gpu_report.steps(dry_run=False)
    assert [each.name for each in found][:2] == ["paths", "tests"]
    assert sum(each.limit_s for each in found) <= 60 * gpu_report.MINUTES + found[-1].limit_s
    for each in found:
        script = each.command[0]
        assert script == "-m" or (ROOT / script).is_file()


def test_it_needs_little() -> None:
    """The repository's own files, and wheels of the versions that all tests run with."""
    folders = ("allaprima", "models", "stream", "tests", "benchmarks", "examples")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    tracked = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in tracked) < MOST_BYTES
    pinned = set((ROOT / "constraints.txt").read_text().split())
    wheels = (ROOT / "benchmarks" / "gpu-wheels.txt").read_text().splitlines()
    listed = [line for line in wheels if line and not line.startswith("#")]
    assert listed and set(listed) <= pinned
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(each.startswith("diffusers") for each in project["dependencies"])


@pytest.mark.slow
def test_a_dry_run_goes_through_the_paths(gpu_report: Any, tmp_path: Path) -> None:
    step = next(each for each in gpu_report.steps(dry_run=True) if each.name == "paths")
    outcome = gpu_report.run(step, tmp_path, 300)
    assert outcome.state == "passed", outcome.last_words
    assert set(json.loads(json.dumps(outcome.result))["figures"]) == {"eager", "one graph"}
