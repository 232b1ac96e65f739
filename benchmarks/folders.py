"""What a second run over a folder of films costs, where all of them are done.

    python benchmarks/folders.py --films 10000

Makes so many small files with their outputs and the manifest that tells of them, then finds and
skips them as `allaprima restyle IN -o OUT --recursive` does. The model is never loaded.
"""

import argparse
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))


class PaintsNothing:
    """Fails if a film is to be painted after all."""

    stopped = False

    def restyle(self, job: object) -> object:
        raise AssertionError(f"{job} was to be skipped")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        make(asked.films)
        times = sorted(skip(asked.films) for _ in range(asked.rounds))
    told = ", ".join(f"{1000 * time_s / asked.films:.3f}" for time_s in times)
    print(f"| seconds a thousand of {asked.films} done films, {asked.rounds} rounds | {told} |")


def options() -> object:
    from films import options_of

    return options_of(inputs=("films",), output="out", recursive=True)


def make(count: int) -> None:
    """The films, their outputs, and what the manifest tells of them."""
    import json

    from stream.offline.batch import settings_id
    from stream.offline.manifest import FORMAT, MANIFEST_NAME, Entry, FileFacts

    entries, settings = {}, settings_id(options())
    for index in range(count):
        film = f"{index % 100:02}/{index:05}.mp4"
        for folder in ("films", "out"):
            path = Path(folder, film)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(film.encode())
        facts = FileFacts.of(Path("films", film)), FileFacts.of(Path("out", film))
        entries[film] = asdict(Entry("done", film, settings, *facts, frames=1, tries=1))
    Path("out", MANIFEST_NAME).write_text(json.dumps({"format": FORMAT, "files": entries}))


def skip(count: int) -> float:
    """Seconds that a run takes which skips all."""
    from stream.offline.batch import Batch, find_films

    start_s = time.perf_counter()
    batch = Batch(options(), PaintsNothing(), code_of=lambda error: 1, on_begin=lambda *told: None)
    batch.run(list(find_films(Path("films"), options())))
    spent_s = time.perf_counter() - start_s
    if len(batch.tally.skipped) != count:
        raise SystemExit(f"{len(batch.tally.skipped)} of {count} were skipped")
    return spent_s


if __name__ == "__main__":
    main()
