"""Jobs: pairs each input with its output, and holds the outcome. Opens and loads nothing, so that a
wrong name is reported before any waiting.

one input      OUT as it stands: a file, pictures by number (OUT/%06d.png), `null`, `-`; where it is
               a folder, a video keeps its name in there, and pictures theirs
several        OUT is a folder; each input keeps its name in there, in a container that can be
               written (clip.mkv → OUT/clip.mkv, clip.mpg → OUT/clip.mp4, pictures/ → OUT/pictures/,
               pictures/*.png → OUT/pictures/)
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from stream.addresses import PIPE, shown
from stream.errors import SinkError, SourceError
from stream.offline.part_store import is_unfinished
from stream.offline.results import Result
from stream.sinks.base import NULL
from stream.sources import GENERATOR, names_pictures
from stream.sources.animation import is_animation
from stream.stats import Stats
from stream.video_info import IMAGE_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
DEFAULT_CONTAINER = ".mp4"


ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True)
class Job:
    """One input and the output that it becomes; both are specs for `open_source`/`open_sink`."""

    source: str
    sink: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input.

    Attributes:
        job: The input and its output.
        stats: What the run counted and timed.
        frames_expected: Frames that the input said it holds, ``None`` where it cannot say.
        interrupted: The user stopped the run before the end of the input.
        damaged: Something of the input is missing in the output, whichever side lost it.
        losses: What, in sentences; they are among the notes too.
        result: Of a film that was painted in parts: what was kept, what is left.
        recipe: What decided its bytes beside frames and settings, likewise.
    """

    job: Job
    stats: Stats
    frames_expected: int | None = None
    interrupted: bool = False
    damaged: bool = False
    losses: Sequence[str] = ()
    result: Result | None = None
    recipe: Mapping[str, str | int] | None = None

    @property
    def frames_done(self) -> int:
        """Frames in the output."""
        return self.stats.frames_out if self.result is None else self.result.frames


def plan_jobs(inputs: Sequence[str], output: str, *, overwrite: bool) -> list[Job]:
    """Pair every input with its output; for several, make the folder that they go to.

    Of several inputs one that is not there, or whose output is, is left to fail by itself.

    Raises:
        SourceError: No input is there.
        SinkError: An output would be written over an input, all are there already (and `overwrite`
            is not set), or their folder cannot be made.
        ValueError: Two inputs would be written to one name, or several to what is named as a file.
    """
    if len(inputs) > 1 and PIPE in (output, *inputs):
        raise ValueError("got several inputs and a pipe, expected one input")
    for spec in inputs:
        if ADDRESS.match(spec) and not os.path.exists(spec):
            raise SourceError(f"{shown(spec)} is an address; save what is there to a file first.")
    if not any(_is_present(spec) for spec in inputs):
        raise SourceError(f"There is no file or folder {inputs[0]}; check the name.")
    into_folder = os.path.isdir(output) or output.endswith(("/", "\\"))
    is_folder_of_videos = into_folder and not names_pictures(inputs[0])
    jobs = [Job(inputs[0], _in_folder(output, inputs[0]) if is_folder_of_videos else output)]
    if len(inputs) > 1:
        _check_folder(output)
        jobs = [Job(spec, _in_folder(output, spec)) for spec in inputs]
    _check_distinct(jobs)
    for job in jobs:
        _check_own(job.sink, inputs)
    in_the_way = [job.sink for job in jobs if not overwrite and _is_in_the_way(job.sink)]
    if len(in_the_way) == len(jobs):  # else each for itself, when it comes to it
        raise SinkError(
            f"{in_the_way[0]} is already there; allow that with overwrite=True, or give the output "
            "another name."
        )
    if (len(jobs) > 1 or is_folder_of_videos) and output != NULL:
        _make_folder(Path(output))
    return jobs


def _check_folder(output: str) -> None:
    names_file = PurePath(output).suffix.lower() in (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES)
    if names_file and not os.path.isdir(output) and not output.endswith(("/", "\\")):
        raise ValueError(
            f"got several inputs and the output {output}, expected a folder; they are not joined"
        )


def _in_folder(folder: str, spec: str) -> str:
    if folder == NULL:
        return NULL
    path = Path(spec)
    if path.is_dir():
        return f"{Path(folder, path.resolve().name)}/"
    if _is_pattern(spec):
        return f"{Path(folder, path.parent.resolve().name)}/"
    if not path.exists() and GENERATOR.match(spec):
        return str(Path(folder, spec.partition("=")[0] + DEFAULT_CONTAINER))
    suffix = path.suffix.lower()
    kept = suffix in VIDEO_SUFFIXES or (suffix in IMAGE_SUFFIXES and not is_animation(path))
    return str(Path(folder, path.name if kept else path.stem + DEFAULT_CONTAINER))


def _is_present(spec: str) -> bool:
    if spec == PIPE:
        return True
    try:
        is_there = Path(spec).exists()
    except OSError as err:
        raise SourceError(f"{spec} cannot be read ({err.strerror}); check the name.") from err
    return is_there or _is_pattern(spec) or GENERATOR.match(spec) is not None


def _is_pattern(spec: str) -> bool:
    return any(sign in spec for sign in "*?[%") and not Path(spec).exists()


def _check_distinct(jobs: Sequence[Job]) -> None:
    taken: dict[PurePath, str] = {}
    for job in jobs:
        path = PurePath(job.sink)
        if path in taken and job.sink != NULL:
            raise ValueError(
                f"got {taken[path]} and {job.source}, which would both become {job.sink}, expected "
                "different names; restyle them one by one, each to its own output"
            )
        taken[path] = job.source


def _check_own(sink: str, inputs: Sequence[str]) -> None:
    path = Path(sink)
    # where it cannot be told whether it is there, writing will tell
    if sink in (NULL, PIPE) or not os.path.exists(sink):
        return
    for spec in inputs:
        if Path(spec).exists() and path.samefile(spec):
            raise SinkError(f"{sink} is an input; give the output another name.")
        if path.is_dir() and _is_of_pictures(spec) and path.samefile(Path(spec).parent):
            raise SinkError(f"{sink} holds what is read; give the output another folder.")


def _is_in_the_way(sink: str) -> bool:
    path = Path(sink)
    return sink != NULL and os.path.isfile(sink) and not is_unfinished(path)


def _is_of_pictures(spec: str) -> bool:
    """Whether an input is pictures that lie in the folder that its spec is in."""
    is_picture = Path(spec).is_file() and Path(spec).suffix.lower() in IMAGE_SUFFIXES
    return is_picture or (_is_pattern(spec) and Path(spec).parent.is_dir())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as err:
        raise SinkError(
            f"{folder} is a file, but several inputs need a folder; give the output another name."
        ) from err
    except OSError as err:
        raise SinkError(
            f"The folder {folder} cannot be made ({err.strerror}); choose another one."
        ) from err
