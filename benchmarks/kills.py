"""Twenty random kills: whether what is killed goes on, and ends in the same bytes.

    python benchmarks/kills.py --kills 20 --seed 7

A film of several shots is painted by two worker processes, again and again, with a model of known
answer that takes its time. Each run is killed (SIGKILL) at a random moment: its driver, a worker,
or all of its processes at once. Then the same command is run again. Every film that comes to its
end is compared with one that was painted undisturbed by one process. Counts hold on a busy machine.
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

SHOTS = 24
FRAME_S = 0.02
WORKERS = 2


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
    """Until so many parts more than now are there, or the run has ended."""
    there = len(list(folder.glob(f".{target.name}.parts/*/*.nut")))
    while process.poll() is None:
        if len(list(folder.glob(f".{target.name}.parts/*/*.nut"))) >= there + count:
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

    source = write_film(folder / "film.mp4", SHOTS)
    whole, target = run(source, folder / "whole.mp4"), folder / "out.mp4"
    kills: Counter[str] = Counter()
    runs = equal = finished = kept = 0
    while kills.total() < wanted or not finished:
        process, runs = start(source, target), runs + 1
        wait_for_parts(folder, target, process, rng.randint(1, 3))
        while kills.total() < wanted and process.poll() is None:
            what = kill(process, rng)
            kills[what] += bool(what)
            if what != "worker":
                break
            wait_for_parts(folder, target, process, rng.randint(1, 3))
        told, _ = process.communicate()
        if process.returncode == 0:
            finished += 1
            kept += json.loads(told)["kept"]
            equal += target.read_bytes() == whole
            target.unlink()
        print(
            f"{kills.total()} kills, {finished} films, {equal} equal", file=sys.stderr, flush=True
        )
    left = [path.name for path in folder.iterdir() if path.name not in ("film.mp4", "whole.mp4")]
    row = ", ".join(f"{count} {name}" for name, count in sorted(kills.items()) if name)
    print(f"| kills | {kills.total()} ({row}) |")
    print(f"| runs of the command | {runs} |")
    print(f"| films that came to their end | {finished} |")
    print(f"| of them equal to the undisturbed film | {equal} |")
    print(f"| parts kept over kills | {kept} |")
    print(f"| files left beside the films | {', '.join(sorted(left)) or 'none'} |")


if __name__ == "__main__":
    main()
