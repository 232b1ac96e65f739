"""Workers that paint in the test's own thread, and die, refuse or answer late where told to."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from films import FilmEngine, Job

from stream.errors import SourceError
from stream.offline.film import FilmPainter
from stream.offline.part_store import PartFacts
from stream.offline.worker import Done, Failed, Paint, Painted, Refused, Stop
from stream.stats import Stats


@dataclass(eq=False)
class FakeLink:
    """One worker: paints when its answer is asked for."""

    name: str
    asked: deque[Any] = field(default_factory=deque)
    told_to_stop: bool = False

    def send(self, message: object) -> None:
        if isinstance(message, Stop):
            self.told_to_stop = True
        else:
            self.asked.append(message)


@dataclass
class FakeWorkers:
    """So many workers; `script` says by part and try what happens instead of a painting.

    Attributes:
        script: What happens to a part, by its number: "die", "refuse", "fail", "twice", in turns.
        painted: Numbers of the parts that were painted, in order.
    """

    job: Job
    count: int = 2
    script: dict[int, list[str]] = field(default_factory=dict)
    painted: list[int] = field(default_factory=list)
    seeks: list[tuple[int, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._links = [FakeLink(f"fake-{index}") for index in range(self.count)]
        self._numbers: dict[int, int] = {}

    def links(self) -> list[FakeLink]:
        return self._links

    def notes(self) -> list[str]:
        return []

    def news(self, limit_s: float) -> list[tuple[Any, object]]:
        # the youngest first: results come out of order
        for link in reversed(self._links):
            if link.asked:
                return [(link, message) for message in self._answers(link.asked.popleft())]
        return []

    def _answers(self, asked: Paint) -> list[object]:
        number = self._numbers.setdefault(asked.part.start, len(self._numbers))
        self.seeks.append((number, asked.seek))
        steps = self.script.get(number, [])
        step = steps.pop(0) if steps else "paint"
        if step == "die":
            asked.path.write_bytes(b"half a part")
            return [Painted(3), None]
        if step == "refuse":
            return [Refused("a wrong edge")]
        if step == "fail":
            return [Failed(SourceError("the file is gone"))]
        done: list[tuple[Any, PartFacts]] = []
        stats = Stats()
        FilmPainter(FilmEngine(), self.job.options).paint(
            asked.film,
            asked.part,
            new_file=lambda start: asked.path,
            hand_over=lambda path, facts: done.append((path, facts)),
            seek=asked.seek,
            is_one=True,
            stats=stats,
        )
        self.painted.append(number)
        return [Painted(stats.frames_out), Done(*done[0], stats.state())]
