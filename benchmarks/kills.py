"""Twenty random kills: whether what is killed goes on, and ends in the same bytes.

    python benchmarks/kills.py --kills 20 --seed 7

A film of several shots is painted by two worker processes, again and again, with a model of known
answer that takes its time. Each painting is killed (SIGKILL) once, at a random moment between its
start and its end: its driver, a worker, or all of its processes at once. Then the same command is
run again. Every film is compared with one that was painted undisturbed by one process, and nothing
may be left beside it. Counts hold on a busy machine.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent.parent / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

import psutil  # noqa: E402

SHOTS = 8
PARTS = 4
"""Shots of 0.6 s make parts of two, where a part is a second or more."""

FRAME_S = 0.02
WORKERS = 2
LONGEST_WAIT_S = 1.0
"""From a part's end to the kill: about as long as the next is painted, or all are joined."""


def slow_engine(options: object) -> object:
    """What a worker loads: the tests' fake, with a model's slowness."""
    from films import FilmEngine

    class Slow(FilmEngine):
        def denoise(self, *given: object, **named: object) -> object:
            time.sleep(FRAME_S)
            return super().denoise(*given, **named)

    return Slow("fake")


def paint(source: Path, target: Path, workers: int) -> None:
    """The driver: one file job, to its end."""
    from films import Job

    from stream.offline.crew import Crew
    from stream.offline.film_job import FilmJob
    from stream.offline.places import places
    from stream.offline.processes import ProcessWorkers
    from stream.stats import Stats

    job = Job(source, target)
    if workers == 1:
        result = job.run()
    else:
        crew = ProcessWorkers(job.options, places("cpu", workers), slow_engine)
        film_job = FilmJob(job.film(), overwrite=False)
        crew.describe(source, target, job.film().info)
        result = film_job.run(Crew(crew), Stats(), lambda frame: None)
        crew.close()
    print(json.dumps({"kept": result.kept_parts, "notes": result.notes}))


def start(source: Path, target: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--paint", str(source), str(target)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def workers_of(driver: int) -> list[int]:
    children = psutil.Process(driver).children(recursive=True)
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def wait_for_parts(folder: Path, target: Path, process: subprocess.Popen[str], count: int) -> None:
    """Until so many parts are done, or the run has ended."""
    while process.poll() is None:
        sides = folder.glob(f".{target.name}.parts/*/*.json")
        if len([path for path in sides if path.stem.isdecimal()]) >= count:
            return
        time.sleep(0.05)


def kill(process: subprocess.Popen[str], rng: random.Random) -> str:
    """Kill something of a run; what."""
    kind = rng.choice(["driver", "worker", "group"])
    try:
        workers = workers_of(process.pid)
        if kind == "worker" and workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            return kind
        if kind == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            kind = "driver"
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
    except (ProcessLookupError, psutil.NoSuchProcess):
        return ""
    return kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--paint", nargs=2, metavar=("IN", "OUT"))
    asked = parser.parse_args()
    if asked.paint:
        paint(Path(asked.paint[0]), Path(asked.paint[1]), WORKERS)
        return
    with tempfile.TemporaryDirectory() as folder:
        disturb(Path(folder), asked.kills, random.Random(asked.seed))


def disturb(folder: Path, wanted: int, rng: random.Random) -> None:
    from films import run, write_film

    from stream.offline.part_store import parts_folder

    source = write_film(folder / "film.mp4", SHOTS)
    whole = run(source, folder / "whole.mp4")
    known = sorted(path.name for path in folder.iterdir())
    kills: Counter[str] = Counter()
    runs = equal = kept = 0
    left: set[str] = set()
    while kills.total() < wanted:
        target = folder / f"out-{kills.total()}.mp4"
        process, runs = start(source, target), runs + 1
        wait_for_parts(folder, target, process, rng.randint(0, PARTS))
        time.sleep(rng.uniform(0, LONGEST_WAIT_S))
        what = kill(process, rng) if process.poll() is None else ""
        told, _ = process.communicate()
        kills[what] += bool(what)
        if process.returncode and (parts_folder(target).exists() or not target.exists()):
            process, runs = start(source, target), runs + 1
            told, _ = process.communicate()
        if what:
            kept += json.loads(told)["kept"] if told else 0
            equal += target.exists() and target.read_bytes() == whole
        target.unlink(missing_ok=True)
        left |= {path.name for path in folder.iterdir()} - {*known}
        line = f"{kills.total()} films, {equal} equal, left: {sorted(left)}"
        print(line, what or "ended before", file=sys.stderr, flush=True)
    row = ", ".join(f"{count} {name}" for name, count in sorted(kills.items()) if name)
    print(f"| films, one kill each | {kills.total()} ({row}) |")
    print(f"| runs of the command | {runs} |")
    print(f"| films equal to the undisturbed one | {equal} of {kills.total()} |")
    print(f"| parts kept over kills | {kept} of {PARTS * kills.total()} |")
    print(f"| files left beside the films | {', '.join(sorted(left)) or 'none'} |")


if __name__ == "__main__":
    main()
