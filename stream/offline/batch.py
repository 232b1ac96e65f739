"""Batch: the films of a folder, one after the other, each a file job of its own.

    films/ ──find_films──► what is not done by the manifest ──Restyler──► OUT/ + OUT/allaprima.json

One film's failure stops no other; a full disk, a model that cannot be had and a stop end them all.
Prints nothing.
"""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

from models import ModelMemoryError
from stream.errors import SinkError, SourceError
from stream.media.partial_file import DISK_IS_FULL
from stream.offline.identity import job_id, library_versions
from stream.offline.jobs import DEFAULT_CONTAINER, VIDEO_SUFFIXES, Job, Outcome
from stream.offline.manifest import Entry, Manifest
from stream.offline.options import RestyleOptions
from stream.stylizer.options import OptionError
from stream.video_info import IMAGE_SUFFIXES

FILM_SUFFIXES = (
    *VIDEO_SUFFIXES, ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".mxf",
    ".3gp", ".ogv", ".vob", ".divx", ".asf",
)  # fmt: skip
"""What a file in a folder must be called to be taken for a film."""

NOT_OF_THE_PICTURE = (
    "inputs", "output", "overwrite", "recipe", "workers", "json", "quiet", "offline", "device",
    "fps_target", "recursive", "watch", "cluster", "stats",
)  # fmt: skip
"""Options that change no bytes."""


class Restyles(Protocol):
    """What paints one film: `stream.offline.restyler.Restyler`."""

    stopped: bool

    def restyle(self, job: Job) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class FilmFile:
    """A film of the folder.

    Attributes:
        name: Its path inside of the folder, with slashes.
        path: Where it is.
        output: Its output's path inside of the output folder.
    """

    name: str
    path: Path
    output: str


@dataclass(slots=True)
class Tally:
    """What became of the films of one run.

    Attributes:
        done, skipped: Names.
        failed: Why, by name.
        left: Names of those that were not come to.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def is_batch(options: RestyleOptions) -> bool:
    """Whether a folder of films is asked for; a folder of pictures is one film.

    Raises:
        OptionError: The options do not fit.
    """
    asked = options.recursive or options.watch
    folder = Path(options.inputs[0])
    if len(options.inputs) > 1 or not folder.is_dir():
        if asked:
            raise OptionError("--recursive and --watch need one folder of videos as the input")
        return False
    has_films = next(find_films(folder, options), None) is not None
    names_file = Path(options.output).suffix.lower() in (*FILM_SUFFIXES, *IMAGE_SUFFIXES)
    if has_films and names_file and not os.path.isdir(options.output):
        raise OptionError(
            f"got the videos of {folder} and the output {options.output}, expected a folder; they "
            "are not joined"
        )
    if not has_films and asked and _count_pictures(folder):
        raise OptionError(f"{folder} holds pictures; --recursive and --watch are for videos")
    return has_films or asked


def with_films(options: RestyleOptions) -> tuple[RestyleOptions, list[str]]:
    """The options with the films of each folder among several inputs in its place; and a sentence
    on what of the folders is left out.
    """
    inputs: list[str] = []
    left: list[str] = []
    for spec in options.inputs:
        films = [*find_films(Path(spec), options)] if Path(spec).is_dir() else []
        inputs += [str(film.path) for film in films] or [spec]
        left += left_out(Path(spec)) if films else []
    return replace(options, inputs=inputs), left


def left_out(folder: Path) -> list[str]:
    """A sentence on the pictures in a folder of films, or none."""
    count = _count_pictures(folder)
    if not count:
        return []
    return [f"Pictures among the videos of {folder} that were left out: {count}."]


def _count_pictures(folder: Path) -> int:
    return sum(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def find_films(folder: Path, options: RestyleOptions) -> Iterator[FilmFile]:
    """The films of a folder, by name; hidden files and the output folder are left out."""
    out = Path(options.output).resolve()
    for root, folders, names in os.walk(folder):
        inside = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if options.recursive and name[:1] != "." and (inside / name).resolve() != out
        )
        for name in sorted(names):
            path = inside / name
            if name[:1] != "." and path.suffix.lower() in FILM_SUFFIXES and path.is_file():
                relative = path.relative_to(folder)
                kept = path.suffix.lower() in VIDEO_SUFFIXES
                output = relative if kept else relative.with_suffix(DEFAULT_CONTAINER)
                yield FilmFile(relative.as_posix(), path, output.as_posix())


def settings_id(options: RestyleOptions) -> str:
    """An id of what the user asked of the pictures; known before any model is loaded."""
    asked: dict[str, Any] = {
        one.name: getattr(options, one.name)
        for one in fields(options)
        if one.name not in NOT_OF_THE_PICTURE
    }
    return job_id({"options": asked, "libraries": library_versions()})


class Batch:
    """Paints the films of a folder that are not done. Not thread-safe.

    Args:
        options: What was asked.
        restyler: Paints one film.
        code_of: The exit code of a failure, for the manifest.
        on_begin: Told of each film before it is painted: it, how many are before it, how many
            in all.

    Raises:
        SinkError: The output folder or its manifest cannot be used.
    """

    def __init__(
        self,
        options: RestyleOptions,
        restyler: Restyles,
        *,
        code_of: Callable[[Exception], int],
        on_begin: Callable[[FilmFile, int, int], None],
    ) -> None:
        self._options = options
        self._restyler = restyler
        self._code_of = code_of
        self._on_begin = on_begin
        self._settings = settings_id(options)
        self._out = Path(options.output)
        if self._out.is_file():
            raise SinkError(f"{self._out} is a file; give a folder with -o FOLDER.")
        self._manifest = Manifest(self._out)
        self._seen: set[str] = set()
        self.tally = Tally()

    @property
    def entries(self) -> dict[str, Entry]:
        """The manifest's."""
        return self._manifest.entries

    def run(self, films: list[FilmFile]) -> list[Outcome]:
        """Paint what is not done of these; those that were skipped or failed are in `tally`.

        Raises:
            SinkError: The disk is full.
            ModelError: The model cannot be had.
        """
        todo = [film for film in films if not self._skip(film)]
        outcomes: list[Outcome] = []
        for index, film in enumerate(todo):
            if self._restyler.stopped:
                break
            self._on_begin(film, index, len(todo))
            outcome = self._paint(film)
            if outcome is not None:
                outcomes.append(outcome)
        touched = {*self.tally.done, *self.tally.failed}
        self.tally.left = [film.name for film in todo if film.name not in touched]
        return outcomes

    def _skip(self, film: FilmFile) -> bool:
        if not self._manifest.is_done(film.name, film.path, self._settings):
            return False
        if film.name not in self._seen:
            self._seen.add(film.name)
            self.tally.skipped.append(film.name)
        return True

    def _paint(self, film: FilmFile) -> Outcome | None:
        self._seen.add(film.name)
        try:
            target = self._target(film)
            self._manifest.begin(film.name, film.output, self._settings)
            outcome = self._restyler.restyle(Job(str(film.path), str(target)))
        except (SourceError, SinkError, ModelMemoryError) as err:
            if is_disk_full(err):
                raise
            self._manifest.failed(film.name, err, self._code_of(err))
            self.tally.failed[film.name] = str(err)
            return None
        if outcome.interrupted:
            self._manifest.put(film.name, replace(self._manifest.get(film.name), state="waiting"))
            return outcome
        self._manifest.done(film.name, film.path, outcome.frames_done, outcome.stats.notes)
        self.tally.done.append(film.name)
        self.tally.failed.pop(film.name, None)
        return outcome

    def _target(self, film: FilmFile) -> Path:
        """The output's path; its folder is made.

        Raises:
            SinkError: It is another film's, or in the way.
        """
        others = (name for name, entry in self.entries.items() if entry.output == film.output)
        other = next((name for name in others if name != film.name), None)
        if other is not None:
            raise SinkError(f"{other} and {film.name} would both become {film.output}; rename one.")
        target = self._out / film.output
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise SinkError(
                f"The folder {target.parent} cannot be made ({err.strerror}); choose another one."
            ) from err
        return target


def is_disk_full(error: BaseException) -> bool:
    """Whether a failure is one that the next film would meet too."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in {*DISK_IS_FULL, errno.EROFS}
