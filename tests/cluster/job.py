"""A film painted on a Ray cluster of this machine, an actor of which is killed in the middle.

Run by test_cluster.py in a network namespace of its own: Ray listens on every interface. Writes
what became of it as JSON to standard output.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parent.parent / "support"
sys.path.insert(0, str(SUPPORT))

FRAME_S = 0.02


def slow_engine(options: Any) -> Any:
    """What an actor loads: a fake that takes its time."""
    from films import FilmEngine

    class Slow(FilmEngine):
        def denoise(self, *given: Any, **named: Any) -> Any:
            time.sleep(FRAME_S)
            return super().denoise(*given, **named)

    return Slow("fake")


def main(folder: Path) -> None:
    from films import Job, options_of, run, write_film

    from stream.cluster.ray_workers import RayWorkers
    from stream.offline.crew import Crew
    from stream.offline.film_job import FilmJob
    from stream.stats import Stats

    film = write_film(folder / "film.mp4")
    whole = run(film, folder / "whole.mp4")
    job = Job(film, folder / "out.mp4")
    workers = RayWorkers(
        options_of(encoder_preset="ultrafast", workers=2), "auto", _by_name(slow_engine)
    )
    workers.describe(film, job.target, job.film().info)
    while len(workers.links()) < 2:  # so that each has a part when one is killed
        workers.news(1.0)
    killed: list[int] = []

    def kill_once(frame: object) -> None:
        if not killed:
            killed.append(_pid())
            os.kill(killed[0], signal.SIGKILL)

    stats = Stats()
    result = FilmJob(job.film(), overwrite=False).run(Crew(workers), stats, kill_once)
    hosts = sorted({node["NodeID"] for node in workers._ray.nodes()})
    workers.close()
    sys.stdout.write(
        json.dumps(
            {
                "equal": job.target.read_bytes() == whole,
                "frames": result.frames,
                "killed": len(killed),
                "nodes": len(hosts),
                "notes": stats.notes,
                "left": sorted(path.name for path in folder.iterdir()),
            }
        )
    )


def _by_name(function: Any) -> Any:
    """The function as actors import it, and not as this script's own."""
    import job

    return getattr(job, function.__name__)


def _pid() -> int:
    """Of an actor; the tests' namespace has no other."""
    import psutil

    for process in psutil.process_iter(["pid", "cmdline"]):
        if "ray::PainterActor" in " ".join(process.info["cmdline"] or ()):
            return int(process.info["pid"])
    raise AssertionError("there is no actor")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main(Path(sys.argv[1]))
