"""Crew: parts handed out to workers, and their results taken in. Knows no process and no network.

    gaps ──planner──► parts ──► idle workers ──► results ──► PartStore
                        ▲             │
                        └── died, or read wrong: again

What differs between processes of this machine and a cluster is in `Link`, one per worker.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from models import ModelError
from stream.clock import Clock
from stream.frame import Frame
from stream.offline.film import Film
from stream.offline.part_source import EdgeError
from stream.offline.part_store import PartStore
from stream.offline.parts import Part
from stream.offline.planner import planned_parts
from stream.offline.worker import Done, Failed, Paint, Painted, Refused, Stop, Tailed
from stream.sinks.part_writer import Tail
from stream.stats import Stats
from stream.video_info import VideoInfo

MOST_DEATHS = 3
"""A part that ends so many workers is not tried again."""

PLANNED_AHEAD = 2
"""Parts that wait for each worker."""

PATIENCE_S = 0.2
"""How long the crew waits for news before it looks whether it was told to stop."""


class Link(Protocol):
    """One worker, as the crew sees it."""

    @property
    def name(self) -> str: ...

    def send(self, message: object) -> None:
        """Tell it something; a dead one is not told."""


class Workers(Protocol):
    """Where the workers are: processes, or a cluster."""

    def links(self) -> Sequence[Link]:
        """Those that can be given work now."""

    def news(self, limit_s: float) -> list[tuple[Link, object]]:
        """What they said since, at most `limit_s` seconds awaited; ``None`` is a death, after which
        another takes the place.
        """

    def notes(self) -> list[str]:
        """Sentences for the report."""


class FilmWorkers(Workers, Protocol):
    """Workers for whole jobs."""

    def describe(self, source: Path, target: Path, info: VideoInfo) -> Film:
        """Have one of them describe the film that an input becomes."""

    def close(self) -> None:
        """End them all."""


@dataclass(slots=True)
class Task:
    """A part in somebody's hands, or waiting.

    Attributes:
        part: It.
        seek: Whether whoever paints it may jump to it.
        deaths: Workers that ended over it.
        began_s: When it was handed out.
    """

    part: Part
    seek: bool
    deaths: int = 0
    began_s: float = 0.0


@dataclass(slots=True)
class Crew:
    """Paints gaps by workers: `stream.offline.film_job.Paints`. One thread calls it; `stop` any.

    Attributes:
        workers: Where they are.
        stopped: It was told to stop.
    """

    workers: Workers
    stopped: bool = False
    _clock: Clock = field(default_factory=Clock)

    def stop(self) -> bool:
        """End early but properly; True. May be called from a signal handler."""
        self.stopped = True
        return True

    def paint_gaps(
        self,
        film: Film,
        gaps: Sequence[Part],
        store: PartStore,
        *,
        on_frame: Callable[[Frame | None], None],
        seek: bool,
        stats: Stats,
    ) -> Tail | None:
        """As `Paints.paint_gaps`.

        Raises:
            EdgeError: A part does not begin or end as it should, without a seek either.
            ModelError: A part ended three workers.
        """
        time_base = film.info.time_base
        parts = chain.from_iterable(
            planned_parts(film.source, gap, film.rule, time_base, seek=seek) for gap in gaps
        )
        run = _Run(self.workers, film, store, on_frame, stats, self._clock, parts, seek)
        try:
            return run.to_the_end(lambda: self.stopped)
        finally:
            stats.note(*self.workers.notes())


class _Run:
    """One call of `paint_gaps`."""

    def __init__(
        self,
        workers: Workers,
        film: Film,
        store: PartStore,
        on_frame: Callable[[Frame | None], None],
        stats: Stats,
        clock: Clock,
        parts: Iterator[Part],
        seek: bool,
    ) -> None:
        self._workers, self._film, self._store = workers, film, store
        self._on_frame, self._stats, self._clock = on_frame, stats, clock
        self._parts: Iterator[Part] | None = parts
        self._seek = seek
        self._waiting: deque[Task] = deque()
        self._busy: dict[str, Task] = {}
        self._tails: list[Tail] = []
        self._error: Exception | None = None
        self._is_stopping = False

    def to_the_end(self, is_stopped: Callable[[], bool]) -> Tail | None:
        """Until all parts are done, or a stop; the tail of the earliest part that it ended."""
        with ExitStack() as on_failure:
            on_failure.callback(self._discard_tails, None)
            while self._has_work():
                self._step(is_stopped)
            on_failure.pop_all()
        # parts are handed out in order, so that the earliest is next to what is done
        kept = min((tail for tail in self._tails if tail.pts), key=_start, default=None)
        self._discard_tails(kept)
        if self._error is not None:
            if kept is not None:
                kept.abandon()
            raise self._error
        return kept

    def _has_work(self) -> bool:
        if self._busy:
            return True
        ends = self._is_stopping or self._error is not None
        return not ends and (self._parts is not None or bool(self._waiting))

    def _step(self, is_stopped: Callable[[], bool]) -> None:
        if is_stopped() and not self._is_stopping:
            self._is_stopping = True
            for link in self._workers.links():
                link.send(Stop())
        self._hand_out()
        is_short = len(self._waiting) < PLANNED_AHEAD * max(1, len(self._workers.links()))
        plans = is_short and self._parts is not None and not self._ends
        for link, message in self._workers.news(0.0 if plans else PATIENCE_S):
            self._take(link, message)
        if plans:
            self._plan()

    @property
    def _ends(self) -> bool:
        return self._is_stopping or self._error is not None

    def _plan(self) -> None:
        assert self._parts is not None
        part = next(self._parts, None)
        if part is None:
            self._parts = None
        else:
            self._waiting.append(Task(part, self._seek))

    def _hand_out(self) -> None:
        for link in self._workers.links():
            if self._ends or not self._waiting:
                return
            if link.name not in self._busy:
                task = self._waiting.popleft()
                task.began_s = self._clock.now_s()
                self._busy[link.name] = task
                path = self._store.new_file(task.part.start, f".{link.name}")
                link.send(Paint(self._film, task.part, path, task.seek))

    def _take(self, link: Link, message: object) -> None:
        if isinstance(message, Painted):
            for _ in range(message.count):
                self._on_frame(None)
            return
        task = self._busy.pop(link.name, None)
        if message is None:
            self._died(link, task)
        elif isinstance(message, Done) and task is not None:
            self._store.publish(message.path, message.facts)
            self._stats.absorb(message.stats, task.began_s, self._clock.now_s())
        elif isinstance(message, Refused) and task is not None:
            if task.seek:
                self._waiting.appendleft(Task(task.part, seek=False, deaths=task.deaths))
            else:
                self._fail(EdgeError(message.reason))
        elif isinstance(message, Tailed) and message.tail is not None:
            self._tails.append(message.tail)
        elif isinstance(message, Failed):
            self._fail(message.error)

    def _died(self, link: Link, task: Task | None) -> None:
        if task is None:
            return
        task.deaths += 1
        start_s = float(task.part.start * self._film.info.time_base)
        self._stats.note(f"A worker ended in the part at {start_s:.1f} s, which was painted again.")
        if task.deaths < MOST_DEATHS:
            self._waiting.appendleft(task)
            return
        self._fail(
            ModelError(
                f"The part of {self._film.source} at {start_s:.1f} s ended {MOST_DEATHS} workers, "
                "each in the same way; there may be too little memory: use fewer workers, or a "
                "smaller size."
            )
        )

    def _fail(self, error: Exception) -> None:
        """Let the parts in work come to their ends, then raise it."""
        self._error = self._error or error

    def _discard_tails(self, kept: Tail | None) -> None:
        for tail in self._tails:
            if tail is not kept:
                tail.abandon()


def _start(tail: Tail) -> int:
    return tail.pts[0]
