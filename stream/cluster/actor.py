"""PainterActor: a worker in a Ray cluster, with one GPU or some cores. Imports no ray itself.

It answers with a part's bytes, so that no disk need be shared but the input's. Two threads call it:
one paints, the other asks how far it is and tells it to stop.
"""

import platform
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.offline.film import Film
    from stream.offline.options import RestyleOptions
    from stream.offline.part_store import PartFacts
    from stream.offline.parts import Part
    from stream.offline.worker import Load
    from stream.video_info import VideoInfo


@dataclass(frozen=True, slots=True)
class Introduction:
    """What an actor says of itself.

    Attributes:
        host: Its node.
        recipe: By what it computes; with the versions of this program and of Python.
        mark: The input's digest as it is read there; "" where it cannot be read.
    """

    host: str
    recipe: dict[str, Any]
    mark: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of a part.

    Attributes:
        data: The part's file, or of its beginning, if a stop ended it.
        facts: Of a whole part.
        pts, stop: Of a part that a stop ended.
        stats: What was counted.
        wrong_edge: Why it is not the part that was meant; "" if it is.
        error: What failed.
    """

    data: bytes = b""
    facts: "PartFacts | None" = None
    pts: tuple[int, ...] = ()
    stop: int = 0
    stats: dict[str, Any] | None = None
    wrong_edge: str = ""
    error: Exception | None = None


class PainterActor:
    """Loads the model once and paints parts. `paint` is called by one at a time.

    Args:
        options: What was asked.
        load: Loads an engine.
    """

    def __init__(self, options: "RestyleOptions", load: "Load") -> None:
        self._options = options
        self._load_engine = load
        self._recipe: dict[str, Any] | None = None
        self._source: Path | None = None
        self._painted = 0
        self._told = 0

    def introduce(self, source: str, address: str = "") -> Introduction:
        """Who this is, and whether it reads the input; loads the model at first.

        Args:
            source: The input's path.
            address: Where it is fetched from, once a node; "" if nodes share it.

        Raises:
            ModelError: It cannot be loaded.
        """
        from models import file_mark
        from stream.errors import SourceError
        from stream.offline.remote import fetch

        recipe = self._load()
        try:
            self._source = fetch(address) if address else Path(source)
            mark = file_mark(self._source)
        except (OSError, SourceError):
            mark = ""
        versions = {"allaprima": version("allaprima"), "python": platform.python_version()}
        return Introduction(platform.node(), {**recipe, **versions}, mark)

    def _load(self) -> dict[str, Any]:
        """The recipe of the model, which is loaded the first time.

        Not when this is made: Ray would make it again and again, and keep the reason to itself.
        """
        from models import recipe_of
        from stream.offline.film import FilmPainter

        if self._recipe is None:
            self._engine = self._load_engine(self._options)
            self._painter = FilmPainter(self._engine, self._options)
            shares_frames = self._options.batch > 1
            self._recipe = recipe_of(self._engine, shares_frames=shares_frames).as_dict()
        return self._recipe

    def describe(self, source: str, target: str, info: "VideoInfo") -> "Film":
        """The film that an input becomes."""
        from stream.offline.film import describe_film

        path = self._source or Path(source)
        film = describe_film(path, Path(target), info, self._engine, self._options)
        return replace(film, source=Path(source))

    def paint(self, film: "Film", part: "Part", seek: bool) -> Delivery:
        """Paint one part, in a file that nobody else sees."""
        from models import ModelError
        from stream.errors import StreamError
        from stream.offline.part_source import EdgeError
        from stream.stats import Stats

        stats, done = Stats(), []
        self._load()  # Ray may have made this anew meanwhile
        self._painter.stopped = False
        with tempfile.TemporaryDirectory(prefix="allaprima-") as folder:
            try:
                tail = self._painter.paint(
                    film if self._source is None else replace(film, source=self._source),
                    part,
                    new_file=lambda start: Path(folder, f"{start}.nut"),
                    hand_over=lambda path, facts: done.append((path.read_bytes(), facts)),
                    on_frame=lambda frame: self._count(),
                    seek=seek,
                    is_one=True,
                    stats=stats,
                )
            except EdgeError as err:
                return Delivery(wrong_edge=str(err))
            except (ModelError, StreamError) as err:
                return Delivery(error=err)
            if done:
                return Delivery(*done[0], stats=stats.state())
            if tail is None:
                return Delivery()
            return Delivery(tail.path.read_bytes(), pts=tuple(tail.pts), stop=tail.stop)

    def _count(self) -> None:
        self._painted += 1

    def progress(self) -> int:
        """Frames painted since this was asked last."""
        painted = self._painted
        count, self._told = painted - self._told, painted
        return count

    def stop(self) -> None:
        """End the part in work early."""
        self._painter.stop()
