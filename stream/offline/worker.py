"""A worker: a process of its own that paints parts, one device or a share of the cores each.

    driver ──Paint, Stop──► worker ──Ready, Painted, Done, Tailed, Refused, Failed──► driver

It publishes nothing: a finished part is a file under a temporary name, which the driver takes. It
looks for its driver at every frame, so that one whose driver was killed ends too.
Nothing heavy is imported before the device is chosen.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models import Engine
    from stream.offline.film import Film
    from stream.offline.options import RestyleOptions
    from stream.offline.part_store import PartFacts
    from stream.offline.parts import Part
    from stream.sinks.part_writer import Tail
    from stream.video_info import VideoInfo

Load = Callable[["RestyleOptions"], "Engine"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker computes.

    Attributes:
        index: Its number.
        visible: What CUDA_VISIBLE_DEVICES is to be; ``None`` leaves it.
        cores: Processors that it may run on; () is all.
    """

    index: int
    visible: str | None = None
    cores: tuple[int, ...] = ()


# What the driver asks


@dataclass(frozen=True, slots=True)
class Describe:
    """Describe the film that this input becomes."""

    source: Path
    target: Path
    info: "VideoInfo"


@dataclass(frozen=True, slots=True)
class Paint:
    """Paint this part of this film, written to this file."""

    film: "Film"
    part: "Part"
    path: Path
    seek: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """End the part in work early."""


# What a worker answers


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded; by this recipe it computes."""

    recipe: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """The film that was asked for."""

    film: "Film"


@dataclass(frozen=True, slots=True)
class Painted:
    """So many frames more are painted."""

    count: int


@dataclass(frozen=True, slots=True)
class Done:
    """A part lies in this file."""

    path: Path
    facts: "PartFacts"
    stats: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tailed:
    """A stop ended the part; what there is of it."""

    tail: "Tail | None"


@dataclass(frozen=True, slots=True)
class Refused:
    """The part does not begin or end with the frames that it should."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """What failed, as the driver is to raise it."""

    error: Exception


def load(options: "RestyleOptions") -> "Engine":
    """The engine that was asked for, as a worker loads it."""
    return options.load_engine(None)


def work(link: Connection, options: "RestyleOptions", place: Place, load: Load) -> None:
    """The process: load, then paint what is asked for until the driver goes away."""
    for name in ("SIGINT", "SIGHUP"):  # Ctrl-C is for the driver, which says what to do
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if place.visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.visible
    from models import ModelError
    from stream.errors import StreamError

    with suppress(EOFError, BrokenPipeError, ConnectionError):
        try:
            engine = load(options)
            _pin(place.cores)
            _Worker(link, options, engine).run()
        except (ModelError, StreamError, ValueError) as err:
            link.send(Failed(err))


def _pin(cores: tuple[int, ...]) -> None:
    """Keep the threads that there are, and those to come, on these processors.

    Not before the model is loaded: as many threads share a frame as without workers.
    """
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it has ended
            os.sched_setaffinity(int(task), cores)


class _Worker:
    def __init__(self, link: Connection, options: "RestyleOptions", engine: "Engine") -> None:
        from models import recipe_of
        from stream.offline.film import FilmPainter

        self._link = link
        self._options = options
        self._engine = engine
        self._painter = FilmPainter(engine, options)
        self._warm: set[tuple[int, int]] = set()
        self._recipe = recipe_of(engine, shares_frames=options.batch > 1).as_dict()

    def run(self) -> None:
        self._link.send(Ready(self._recipe))
        while True:
            asked = self._link.recv()
            if isinstance(asked, Describe):
                self._describe(asked)
            elif isinstance(asked, Paint):
                self._paint(asked)

    def _describe(self, asked: Describe) -> None:
        from stream.offline.film import describe_film

        film = describe_film(asked.source, asked.target, asked.info, self._engine, self._options)
        self._link.send(Described(film))

    def _paint(self, asked: Paint) -> None:
        from models import ModelError
        from stream.errors import StreamError
        from stream.offline.part_source import EdgeError
        from stream.stats import Stats

        stats, done = Stats(), []
        if asked.film.rule.model_size not in self._warm:
            self._warm.add(asked.film.rule.model_size)
            film, batch = asked.film, self._options.batch
            self._engine.warm_up(film.rule.model_size, batch, ahead=True, cell_px=film.cell_px)
        self._painter.stopped = False
        try:
            tail = self._painter.paint(
                asked.film,
                asked.part,
                new_file=lambda start: asked.path,
                hand_over=lambda path, facts: done.append((path, facts)),
                on_frame=lambda frame: self._tell(),
                seek=asked.seek,
                is_one=True,
                stats=stats,
            )
        except EdgeError as err:
            self._link.send(Refused(str(err)))
        except (ModelError, StreamError) as err:
            self._link.send(Failed(err))
        else:
            if done:
                self._link.send(Done(*done[0], stats.state()))
            else:
                self._link.send(Tailed(tail))

    def _tell(self) -> None:
        """Another frame is painted; a driver that is gone or says stop ends the part."""
        try:
            self._link.send(Painted(1))
            if self._link.poll() and isinstance(self._link.recv(), Stop):
                self._painter.stop()
        except (EOFError, OSError):
            self._painter.stop()
