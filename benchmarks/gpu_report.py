"""All that a GPU can tell of this project, in ten minutes at most and without a network.

    make gpu-report [PYTHON=python3]
    python benchmarks/gpu_report.py [--out FOLDER] [--dry-run] [--only STEP ...] [--minutes N]

The most telling steps come first. Each runs in a process of its own with its own limit, so what
fails, hangs or runs out of memory costs itself alone; what it had said until then counts. Writes
`gpu-report.json` and `gpu-report.md`, a table for docs/, after each step. Needs this repository
and the wheels of `benchmarks/gpu-wheels.txt`; a step whose modules are missing is left out, and
says so. `--dry-run` goes through all of it on a CPU, in miniature, with the recorder of
tests/support/replays.py in the GPU's place. Exit code 1 if a step failed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpu_report_table import as_markdown

ROOT = Path(__file__).resolve().parent.parent
MINUTES = 10.0
LEAST_S = 5.0
"""Less than this left for a step is none."""

KILL_S = 5.0
DRY_LIMIT = 5.0
"""Times the limits in a dry run: a CPU that others use too is slow."""

LAST_LINES = 12
CLIP = "examples/clips/bunny.mp4"


@dataclass(frozen=True)
class Step:
    """One question.

    Attributes:
        name: Of the step.
        asks: What it answers.
        command: Arguments of Python; "{out}" is the folder of results.
        limit_s: What it may take.
        needs: Modules without which it cannot run.
        result: The JSON file that it writes into that folder, if not its last line.
    """

    name: str
    asks: str
    command: Sequence[str]
    limit_s: float
    needs: Sequence[str] = ()
    result: str | None = None


@dataclass
class Outcome:
    """What came of a step: "passed", "failed", "out of time" or "left out"."""

    name: str
    asks: str
    state: str
    wall_s: float = 0.0
    why: str = ""
    result: Any = None
    last_words: list[str] = field(default_factory=list)


def speed_steps(device: str, *, dry_run: bool) -> list[Step]:
    """`engine.py` by architecture."""
    models = [("tiny", "tiny-xl")] if dry_run else [("sd-turbo",), ("sd15",), ("sdxl",)]
    size = ["64"] if dry_run else ["512"]
    return [
        Step(
            f"speed {' '.join(names)}",
            "frames a second beside the diffusers pipeline, in turns, batch 1 and 8; memory",
            [
                *("benchmarks/engine.py", "--device", device, "--architecture", *names),
                *("--size", *size, "--batch", "1", "8", "--rounds", "2"),
                *("--frames", "2" if dry_run else "20"),
                *("--json", f"{{out}}/speed-{names[0]}.json"),
            ],
            85,
            ("diffusers",),
            f"speed-{names[0]}.json",
        )
        for names in models
    ]


def steps(*, dry_run: bool) -> list[Step]:
    """All of them, the most telling first."""
    device, dry = ("cpu", ["--dry-run"]) if dry_run else ("cuda", [])
    tests = ["tests/models/test_gpu.py", "-k", "lcm and not loras"] if dry_run else ["-m", "cuda"]
    speed = speed_steps(device, dry_run=dry_run)
    found = [
        Step(
            "paths",
            "do eager, graph and compiled paint the same (PSNR against float32)",
            ["benchmarks/gpu_paths.py", *dry],
            100,
            ("diffusers", "transformers"),
        ),
        Step(
            "tests",
            "the tests that want a GPU",
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
            120,
            ("pytest", "av", "cv2", "diffusers"),
        ),
        speed[0],
        Step(
            "stability",
            "what a stream's memory on the device costs a frame, and whether it remembers",
            ["benchmarks/gpu_stability.py", *dry],
            60,
            ("diffusers", "cv2", "av"),
        ),
        *speed[1:],
        Step(
            "file",
            "a film end to end, the history on the device",
            [
                *("-m", "stream.command.main", "restyle", CLIP, "-o", "{out}/film.mp4"),
                *("--overwrite", "--blend", "latent", "--quiet", "--device", device),
                *("--json", "{out}/file.json"),
                *(["--size", "64", "--no-look-ahead"] if dry_run else ["--batch", "4"]),
            ],
            60,
            ("av", "cv2", "typer", "rich"),
            "file.json",
        ),
    ]
    return found


def main() -> None:
    args = parse_arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    slower = DRY_LIMIT if args.dry_run else 1.0
    ends_s = time.monotonic() + slower * 60 * args.minutes
    report: dict[str, Any] = {**about(dry_run=args.dry_run), "minutes": args.minutes, "steps": []}
    for step in steps(dry_run=args.dry_run):
        if args.only and not any(part in step.name for part in args.only):
            continue
        print(f"{step.name}: {step.asks}", flush=True)
        outcome = run(step, args.out, min(slower * step.limit_s, ends_s - time.monotonic()))
        print(f"  {outcome.state}, {outcome.wall_s:.0f} s {outcome.why}", flush=True)
        report["steps"].append(asdict(outcome))
        write(report, args.out)
    print(as_markdown(report))
    failed = [
        each["name"] for each in report["steps"] if each["state"] in ("failed", "out of time")
    ]
    raise SystemExit(1 if failed else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a GPU can tell, in ten minutes.")
    parser.add_argument("--out", type=Path, default=ROOT / "build/gpu-report", help="for results")
    parser.add_argument("--dry-run", action="store_true", help="in miniature, on a CPU")
    parser.add_argument("--only", nargs="+", metavar="PART", help="steps whose name holds a part")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all of it")
    return parser.parse_args()


def about(*, dry_run: bool) -> dict[str, Any]:
    """What the report is of. Imports torch in a process of its own: this one takes no GPU."""
    told = (
        "import json, sys; sys.path.insert(0, 'benchmarks'); from machine import *;"
        "print(json.dumps([machine(), versions(), commit()]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = ran.stdout.strip().splitlines()
    machine, versions, commit = json.loads(lines[-1]) if lines else (None, None, None)
    kind = "dry run on a CPU" if dry_run else "GPU"
    return {"kind": kind, "machine": machine, "versions": versions, "commit": commit}


def run(step: Step, out: Path, limit_s: float) -> Outcome:
    """Run one step; it never raises for what goes wrong in it."""
    outcome = Outcome(step.name, step.asks, "left out")
    missing = [name for name in step.needs if find_spec(name) is None]
    if missing or limit_s < LEAST_S:
        outcome.why = f"not installed: {', '.join(missing)}" if missing else "no time left"
        return outcome
    command = [sys.executable, *(part.replace("{out}", str(out)) for part in step.command)]
    start_s, log = time.monotonic(), out / f"{step.name.replace(' ', '-')}.log"
    code = _run_in_time(command, log, limit_s)
    outcome.wall_s = time.monotonic() - start_s
    outcome.state = {0: "passed", None: "out of time"}.get(code, "failed")
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    outcome.last_words = [line[:300] for line in lines[-LAST_LINES:]] if code != 0 else []
    outcome.why = "" if code in (0, None) else f"exit code {code}"
    outcome.result = _result(out / step.result if step.result else None, lines)
    return outcome


def _run_in_time(command: list[str], log: Path, limit_s: float) -> int | None:
    """Its exit code; ``None`` where it had to be ended, with all that it had started."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "ALLAPRIMA_REQUIRE_CUDA": "1"}
    if "pytest" in command and "cuda" not in command:
        del env["ALLAPRIMA_REQUIRE_CUDA"]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(KILL_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return None


def _result(file: Path | None, lines: list[str]) -> Any:
    """The last thing that can be read: a file, or the last line that is JSON."""
    try:
        if file is not None:
            return json.loads(file.read_text(encoding="utf-8"))
        last = next((line for line in reversed(lines) if line.startswith("{")), None)
        return None if last is None else json.loads(last)
    except (OSError, ValueError):
        return None


def write(report: dict[str, Any], out: Path) -> None:
    (out / "gpu-report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    (out / "gpu-report.md").write_text(as_markdown(report), encoding="utf-8")


if __name__ == "__main__":
    main()
