"""Manifest: what became of each film of a folder, in OUT/allaprima.json.

It is replaced whole after each film, so that a second run of the same command goes on where the
first ended, however that was. What is done is told by the input's and the output's sizes and dates,
which costs two looks at the disk; where a date has changed, by their contents.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from models import file_mark
from stream.errors import SinkError
from stream.media.partial_file import sink_errors
from stream.offline.part_store import write_whole

MANIFEST_NAME = "allaprima.json"
FORMAT = 1

State = Literal["waiting", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What tells a file from another of its name.

    Attributes:
        size_bytes, changed_ns: As the file system has them.
        mark: Digest of its contents (`models.file_mark`).
    """

    size_bytes: int
    changed_ns: int
    mark: str

    @classmethod
    def of(cls, path: Path) -> "FileFacts":
        """
        Raises:
            OSError: It cannot be read.
        """
        told = path.stat()
        return cls(told.st_size, told.st_mtime_ns, file_mark(path))

    def hold_of(self, path: Path) -> bool:
        """Whether the file is still that one."""
        try:
            told = path.stat()
            if told.st_size != self.size_bytes:
                return False
            return told.st_mtime_ns == self.changed_ns or file_mark(path) == self.mark
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Entry:
    """One film.

    Attributes:
        state: How far it is.
        output: Its output's name in the folder.
        settings: The id of the settings that it was painted with.
        input, result: Of its input and its output, as they were when it was done.
        frames: In the output.
        tries: How often it was begun.
        notes: What the report said.
        error: Why it failed: kind, exit code, sentence.
    """

    state: State = "waiting"
    output: str = ""
    settings: str = ""
    input: FileFacts | None = None
    result: FileFacts | None = None
    frames: int = 0
    tries: int = 0
    notes: list[str] = field(default_factory=list)
    error: dict[str, Any] | None = None


class Manifest:
    """The entries of a folder's films, on disk. Not thread-safe.

    Args:
        folder: Where the outputs go.

    Raises:
        SinkError: There is one that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST_NAME
        self._folder = folder
        self.entries: dict[str, Entry] = {}
        if self.path.exists():
            self.entries = _read(self.path)

    def get(self, name: str) -> Entry:
        """The entry of a film, by its path inside the input folder."""
        return self.entries.get(name, Entry())

    def is_done(self, name: str, source: Path, settings: str) -> bool:
        """Whether a film need not be painted again."""
        entry = self.get(name)
        if entry.state != "done" or entry.settings != settings:
            return False
        if entry.input is None or entry.result is None:
            return False
        return entry.input.hold_of(source) and entry.result.hold_of(self._folder / entry.output)

    def put(self, name: str, entry: Entry) -> None:
        """Replace an entry, on disk too.

        Raises:
            SinkError: The disk refuses.
        """
        self.entries[name] = entry
        files = {name: asdict(entry) for name, entry in self.entries.items()}
        with sink_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps({"format": FORMAT, "files": files}, indent=1))

    def begin(self, name: str, output: str, settings: str) -> Entry:
        """Note that a film is being painted.

        Raises:
            SinkError: As `put`.
        """
        tries = self.get(name).tries + 1
        entry = Entry("running", output, settings, tries=tries)
        self.put(name, entry)
        return entry

    def done(self, name: str, source: Path, frames: int, notes: list[str]) -> None:
        """Note that a film is painted.

        Raises:
            SinkError: As `put`, or a file has gone.
        """
        entry = self.get(name)
        with sink_errors(self.path):
            facts = FileFacts.of(source), FileFacts.of(self._folder / entry.output)
        self.put(
            name,
            replace(
                entry, state="done", input=facts[0], result=facts[1], frames=frames, notes=notes
            ),
        )

    def failed(self, name: str, error: Exception, code: int) -> None:
        """Note why a film failed.

        Raises:
            SinkError: As `put`.
        """
        told = {"kind": type(error).__name__, "code": code, "text": str(error)}
        self.put(name, replace(self.get(name), state="failed", error=told))


def _read(path: Path) -> dict[str, Entry]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {name: _entry(fields) for name, fields in told["files"].items()}
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise SinkError(
            f"{path} is not a list of films that this program wrote; remove it, or give another "
            "folder."
        ) from err


def _entry(fields: dict[str, Any]) -> Entry:
    facts = {
        name: None if fields[name] is None else FileFacts(**fields[name])
        for name in ("input", "result")
    }
    return Entry(**{**fields, **facts})
