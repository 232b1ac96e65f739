"""How much faster N workers paint a film than one, on devices that are imitated.

    python benchmarks/speedup.py                       # processes: 1, 2, 4 and 8 of them
    unshare -n -p -f --mount-proc sh tests/cluster/two_nodes.sh PYTHON FOLDER \\
        PYTHON benchmarks/speedup.py --cluster         # actors on a Ray cluster of two nodes

The model is the tests' fake, and waits in each frame as a program does that waits for a GPU. So the
cores hardly matter, as long as they can decode, smooth and encode small frames meanwhile: what is
measured is how well planning, handing out and taking in keep N devices at work. The time is from
when all workers are ready to the finished film. All outputs are compared with the first.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "support")]

FRAME_S = float(os.environ.get("FRAME_S", "2"))
SHOTS = int(os.environ.get("SHOTS", "24"))
"""Each of 15 frames, and a part."""

WARM_SIZE = (64, 64)
"""(width, height) of the film before, which the devices take no time for."""


def waiting_engine(options: Any) -> Any:
    """What a worker loads: a fake that waits for its device."""
    from fakes import CELL_PX
    from films import FilmEngine

    class Waiting(FilmEngine):
        def denoise(self, *given: Any, **named: Any) -> Any:
            if given[0].shape[-1] * CELL_PX > WARM_SIZE[0]:
                time.sleep(FRAME_S)
            return super().denoise(*given, **named)

    return Waiting("fake")


def make_workers(count: int, *, cluster: bool) -> Any:
    import speedup
    from films import options_of

    from stream.offline.places import places
    from stream.offline.processes import ProcessWorkers

    load = speedup.waiting_engine  # by a name that other processes can import
    if not cluster:
        return ProcessWorkers(options_of(encoder_preset="ultrafast"), places("cpu", count), load)
    from stream.cluster.ray_workers import RayWorkers

    asked = options_of(encoder_preset="ultrafast", device="auto", workers=count)
    return RayWorkers(asked, "auto", load)


def write_warm(path: Path, count: int) -> Path:
    from clips import Clip, write_clip
    from films import TICKS, shots

    pictures = shots(count, WARM_SIZE)
    pts = tuple(range(0, len(pictures) * TICKS, TICKS))
    return write_clip(path, Clip(pts=pts, pictures=pictures, size=WARM_SIZE))


def painting_s(source: Path, target: Path, count: int, *, cluster: bool) -> float:
    """Seconds that so many workers take, once they are ready."""
    warm = write_warm(target.with_name(f"warm-{count}.mp4"), 2 * count)
    workers = make_workers(count, cluster=cluster)
    try:
        paint(workers, warm, target.with_name(f"warmed-{count}.mp4"), count)
        return paint(workers, source, target, count)
    finally:
        workers.close()


def paint(workers: Any, source: Path, target: Path, count: int) -> float:
    from films import Job

    from stream.offline.crew import Crew
    from stream.offline.film_job import FilmJob
    from stream.stats import Stats

    film = Job(source, target).film()
    workers.describe(source, target, film.info)
    while len(workers.links()) < count:
        workers.news(1.0)
    start_s = time.perf_counter()
    result = FilmJob(film, overwrite=False).run(Crew(workers), Stats(), lambda frame: None)
    assert result.finished
    return time.perf_counter() - start_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workers", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--cluster", action="store_true")
    asked = parser.parse_args()
    import films

    films.LEAST_S = films.Fraction(1, 2)
    with tempfile.TemporaryDirectory() as name:
        source = films.write_film(Path(name, "film.mp4"), SHOTS)
        alone_s, first = 0.0, b""
        print("| workers | seconds | speed-up | of N | bytes |\n|---|---|---|---|---|")
        for count in asked.workers:
            target = Path(name, f"{count}.mp4")
            spent_s = painting_s(source, target, count, cluster=asked.cluster)
            alone_s, first = alone_s or spent_s * asked.workers[0], first or target.read_bytes()
            gained = alone_s / spent_s
            equal = "equal" if target.read_bytes() == first else "DIFFERENT"
            row = f"| {count} | {spent_s:.1f} | {gained:.2f} | {gained / count:.3f} | {equal} |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
