"""What parts cost: one film in one piece and in parts, in turns, by the processor's time.

    python benchmarks/parts.py --rounds 5 --seconds 1     # a clip of four seconds, in short parts
    python benchmarks/parts.py --rounds 3 --drawn 60      # a minute, in parts as the command makes

Both paint with a model of known answer, so that what is measured is all the rest: decoding, looking
for boundaries, encoding, joining. Sizes of the outputs are compared too. Parts of a second are ten
times as many as the command makes. The slower the model, the less all this is of the whole.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
SIZE = (320, 180)
FILM = ROOT / "examples" / "clips" / "bunny.mp4"


class OwnCosts:
    """What parts alone cost, by the time of the threads that do it: little noise, and no contrast.

    Attributes:
        spent_s: By what it is, in seconds, of all rounds.
    """

    def __init__(self) -> None:
        from stream.offline.part_store import PartStore
        from stream.offline.parts import PartFinder
        from stream.sinks.joining import Joiner

        self.spent_s = {"looking for cuts": 0.0, "joining": 0.0, "keeping parts": 0.0}
        self._time(PartFinder, "starts_part", "looking for cuts")
        self._time(Joiner, "join", "joining")
        self._time(PartStore, "publish", "keeping parts")
        self._time(PartStore, "whole", "keeping parts")

    def _time(self, cls: type, method: str, name: str) -> None:
        called = getattr(cls, method)

        def timed(*given: object, **named: object) -> object:
            start_s = time.thread_time()
            try:
                return called(*given, **named)
            finally:
                self.spent_s[name] += time.thread_time() - start_s

        setattr(cls, method, timed)


def spent_s(run: Callable[[], object]) -> float:
    """Processor time of all threads, in seconds."""
    start_s = time.process_time()
    run()
    return time.process_time() - start_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", nargs="?", type=Path, default=FILM)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=Fraction, help="shortest length of a part")
    parser.add_argument("--drawn", type=int, metavar="SECONDS", help="draw a film of this length")
    asked = parser.parse_args()
    import films

    from stream.offline.parts import LEAST_PART_S

    films.LEAST_S = asked.seconds or LEAST_PART_S
    with tempfile.TemporaryDirectory() as name:
        if asked.drawn:
            asked.film = draw(Path(name, "film.mp4"), asked.drawn)
        parted, whole = Path(name, "parts.mp4"), Path(name, "whole.mp4")

        def in_parts() -> None:
            parted.unlink(missing_ok=True)
            films.Job(asked.film, parted).run()

        def in_one() -> None:
            whole.unlink(missing_ok=True)
            paint_in_one(asked.film, whole)

        in_parts(), in_one()  # so that everything is imported
        own = OwnCosts()
        times = []
        for index in range(asked.rounds):
            first, second = (in_parts, in_one) if index % 2 else (in_one, in_parts)
            pair = spent_s(first), spent_s(second)
            times.append(pair if index % 2 else pair[::-1])
        sizes = parted.stat().st_size, whole.stat().st_size
    ratios = sorted(parts_s / one_s for parts_s, one_s in times)
    parts_s, one_s = (sum(column) for column in zip(*times, strict=True))
    least = min(t[0] for t in times) / min(t[1] for t in times)
    print(f"| CPU in parts, in one piece, mean of {asked.rounds} | {parts_s / asked.rounds:.2f} s, "
          f"{one_s / asked.rounds:.2f} s |")  # fmt: skip
    print(f"| ratio of the sums; of the least; median and range of the rounds | "
          f"{parts_s / one_s:.3f}; {least:.3f}; {ratios[len(ratios) // 2]:.3f} "
          f"({ratios[0]:.3f} to {ratios[-1]:.3f}) |")  # fmt: skip
    for name, spent in own.spent_s.items():
        print(f"| {name}, of the CPU in parts | {100 * spent / parts_s:.2f} % |")
    print(f"| size of the output, parts to one piece | {sizes[0] / sizes[1]:.4f} |")


def draw(path: Path, seconds: int) -> Path:
    """A film of shots of 0.6 s at 25 frames a second."""
    from clips import Clip, write_clip
    from films import SHOT_FRAMES, TICKS, shots

    pictures = shots(round(seconds * 25 / SHOT_FRAMES), SIZE)
    pts = tuple(range(0, len(pictures) * TICKS, TICKS))
    return write_clip(path, Clip(pts=pts, pictures=pictures, size=SIZE, audio="aac"))


def paint_in_one(source: Path, target: Path) -> None:
    """As file jobs were before there were parts: one encoder over all."""
    from films import FilmEngine, options_of

    from stream import Session, open_sink, open_source
    from stream.offline.film import encoding_of, make_stylizer

    options, reading = options_of(encoder_preset="ultrafast"), open_source(source)
    sink = open_sink(target, info=reading.info, encoding=encoding_of(options))
    Session(reading, make_stylizer(FilmEngine(), options, reading.info), sink).run()


if __name__ == "__main__":
    main()
