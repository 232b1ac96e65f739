"""Jobs: which output each input of the command line becomes. Opens nothing and loads nothing; the
command calls it first, so that a wrong name costs no waiting.

one input      OUT as it stands: a file, a folder/ of pictures, `null`
several        OUT is a folder; each input keeps its name in there, in a container that can be
               written (clip.mkv → OUT/clip.mkv, clip.mpg → OUT/clip.mp4, pictures/ → OUT/pictures/)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from stream.errors import SinkError, SourceError

NULL = "null"
GENERATED = "testsrc"
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
DEFAULT_CONTAINER = ".mp4"


@dataclass(frozen=True, slots=True)
class Job:
    """One input and the output that it becomes; both are specs for `open_source`/`open_sink`."""

    source: str
    sink: str


def plan_jobs(inputs: Sequence[str], output: str, *, overwrite: bool) -> list[Job]:
    """Pair every input with its output.

    Raises:
        SourceError: An input is not there.
        SinkError: An output would be written over an input, is there already (and `overwrite` is
            not set), or would have to go into a folder that is a file.
        ValueError: Two inputs would be written to one name.
    """
    for spec in inputs:
        _check_present(spec)
    jobs = [Job(inputs[0], output)] if len(inputs) == 1 else _into_folder(inputs, output)
    _check_distinct(jobs)
    for job in jobs:
        _check_not_an_input(job.sink, inputs)
        _check_free(job.sink, overwrite)
    return jobs


def _into_folder(inputs: Sequence[str], output: str) -> list[Job]:
    folder = Path(output)
    if output == NULL:
        return [Job(spec, NULL) for spec in inputs]
    if folder.exists() and not folder.is_dir():
        raise SinkError(
            f"{output} is a file, but {len(inputs)} inputs need a folder: give one with -o FOLDER"
        )
    return [Job(spec, f"{folder}/{_name_in_folder(spec)}") for spec in inputs]


def _name_in_folder(spec: str) -> str:
    if is_generated(spec):
        return GENERATED + DEFAULT_CONTAINER
    path = Path(spec)
    if path.is_dir():
        return path.resolve().name + "/"
    suffix = path.suffix.lower()
    return path.stem + (suffix if suffix in VIDEO_SUFFIXES + IMAGE_SUFFIXES else DEFAULT_CONTAINER)


def is_generated(spec: str) -> bool:
    """True for a source that is no file: a test pattern."""
    return spec == GENERATED or spec.startswith(GENERATED + "=")


def _check_present(spec: str) -> None:
    if not is_generated(spec) and not Path(spec).exists():
        raise SourceError(f"there is no file or folder {spec}: check the name and the folder")


def _check_distinct(jobs: Sequence[Job]) -> None:
    taken: dict[PurePath, str] = {}
    for job in jobs:
        if job.sink == NULL:
            continue
        other = taken.setdefault(PurePath(job.sink), job.source)
        if other is not job.source:
            raise ValueError(
                f"got {other} and {job.source}, which would both become {job.sink}: "
                "restyle them one by one, each with its own -o"
            )


def _check_not_an_input(sink: str, inputs: Sequence[str]) -> None:
    path = Path(sink)
    if sink == NULL or not path.exists():
        return
    for spec in inputs:
        if not is_generated(spec) and path.samefile(spec):
            raise SinkError(f"{sink} is an input: give the output another name with -o")


def _check_free(sink: str, overwrite: bool) -> None:
    if sink != NULL and Path(sink).is_file() and not overwrite:
        raise SinkError(
            f"{sink} is already there: add --overwrite to replace it, or give another name with -o"
        )
