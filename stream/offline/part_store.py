"""PartStore: the finished parts of one output, on disk beside it, until they are joined.

    .painted.mp4.parts/   lock                  one driver at a time
        <job id>/         job.json              what the parts are of
                          160256.nut            a part: its encoder's packets
                          160256.json           beside it, written last: frames, times, digest

There is no list of what is done: what is there, whole and of this id, is done. A part is written
under another name, synced and renamed; then its side file, likewise. Settings that change the bytes
change the id, so that they never meet old parts. The output is made in here too: whatever a driver
was doing when it was killed, the next one clears it away, and nothing lies beside the films.
"""

import hashlib
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models import file_mark
from stream.errors import SinkError
from stream.media.locking import LockedError, LockFile
from stream.media.partial_file import LONGEST_NAME, sink_errors
from stream.offline.parts import Edge

FORMAT = 1
JOB_NAME = "job.json"
LOCK_NAME = "lock"
UNFINISHED = ".new"
"""Suffix of what is being written."""

PARTIAL = ".partial."
"""In the name of an output that is being made."""

REMOVALS = 5
"""How often a folder is removed into which the workers of a killed driver write their last."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What is known of a finished part; its side file holds just this.

    Attributes:
        job: The id that it belongs to.
        first: Its first frame.
        beyond: The first frame of the next part; ``None`` where the film ends.
        pts: When each of its frames is shown.
        stop: When the last of them is over.
        size_bytes, crc: Of its file.
        damage: Fields of `stream.sources.decoding.Damage`, of this part alone.
        damaged: Something of the input is missing in it.
        losses: What of the film is missing, in sentences, beside `damage`; of its last part alone.
        notes: What was met on the way.
    """

    job: str
    first: Edge
    beyond: Edge | None
    pts: list[int]
    stop: int
    size_bytes: int = 0
    crc: int = 0
    damage: dict[str, Any] = field(default_factory=dict)
    damaged: bool = False
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "PartFacts":
        """
        Raises:
            ValueError, TypeError, KeyError: It is not what `as_json` wrote.
        """
        told = json.loads(text)
        first, beyond = Edge(*told.pop("first")), told.pop("beyond")
        return cls(first=first, beyond=None if beyond is None else Edge(*beyond), **told)

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def parts_folder(target: Path) -> Path:
    """Where the parts of an output are, whatever their settings.

    A name that leaves no room for more is told by its digest.
    """
    name = f".{target.name}.parts"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}.parts"
    return target.with_name(name)


class PartStore:
    """The parts of one job. One driver at a time; `publish` from any of its threads.

    Args:
        target: The output.
        job: The id of what is painted into it.
        facts: What job.json tells besides, for people.

    Raises:
        SinkError: Another driver paints this output, or the folder cannot be made.
    """

    def __init__(self, target: Path, job: str, facts: dict[str, Any] | None = None) -> None:
        self.target = target
        self.job = job
        self._root = parts_folder(target)
        self.folder = self._root / job
        self._facts = facts or {}
        # workers whose driver was killed may write on for a while, under names of their own
        self._token = secrets.token_hex(4)
        self._lock = LockFile(self._root / LOCK_NAME)
        with sink_errors(target):
            with suppress(FileNotFoundError):
                target.lstat()  # a name that no file can have leaves nothing behind
            self._root.mkdir(exist_ok=True)
            self._take_lock()
            self.folder.mkdir(exist_ok=True)
            self._clear_unfinished()
            if not (self.folder / JOB_NAME).exists():
                self._write_job({})

    def _take_lock(self) -> None:
        try:
            self._lock.take()
        except LockedError as err:
            raise SinkError(
                f"{self.target} is being painted by {err}; wait for it, or give another output."
            ) from err

    def _clear_unfinished(self) -> None:
        """Remove what a driver that was killed, and its workers, did not come to the end of."""
        for path in self.folder.iterdir():
            if UNFINISHED in path.name or PARTIAL in path.name:
                path.unlink(missing_ok=True)

    # Parts

    def new_file(self, start: int, token: str = "") -> Path:
        """Where a part that begins at `start` is to be written; no other driver's name."""
        return self.folder / f"{start}{UNFINISHED}.{self._token}{token}.nut"

    def publish(self, written: Path, facts: PartFacts) -> PartFacts:
        """Make a part that was written one that is done; what was done already stays.

        Raises:
            SinkError: The disk refuses; the part is removed.
        """
        with sink_errors(self.target):
            try:
                size_bytes, crc = _synced(written)
                facts = PartFacts(**{**_fields(facts), "size_bytes": size_bytes, "crc": crc})
                os.replace(written, self.path(facts.first.pts))
                write_whole(self._side(facts.first.pts), facts.as_json())
            except OSError:
                written.unlink(missing_ok=True)
                raise
        return facts

    def path(self, start: int) -> Path:
        """The file of the part that begins at `start`."""
        return self.folder / f"{start}.nut"

    def _side(self, start: int) -> Path:
        return self.folder / f"{start}.json"

    def whole(self) -> list[PartFacts]:
        """The parts that are there and whole, by time. Reads them all."""
        found = [facts for path in self.folder.glob("*.json") if (facts := self._checked(path))]
        return sorted(found, key=lambda facts: facts.first.pts)

    def _checked(self, side: Path) -> PartFacts | None:
        if side.name == JOB_NAME:
            return None
        try:
            facts = PartFacts.from_json(side.read_text(encoding="utf-8"))
            path = self.path(facts.first.pts)
            is_whole = facts.job == self.job and path.stat().st_size == facts.size_bytes
            return facts if is_whole and _crc(path) == facts.crc else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def drop(self, facts: PartFacts) -> None:
        """Remove a part."""
        for path in (self._side(facts.first.pts), self.path(facts.first.pts)):
            path.unlink(missing_ok=True)

    # The output

    @property
    def has_published(self) -> bool:
        """Whether the file under the output's name is the unfinished one of this very job."""
        told = _read(self.folder / JOB_NAME).get("published")
        return bool(told) and told == output_mark(self.target)

    def finished(self) -> dict[str, Any] | None:
        """What `note_finished` told of the file under the output's name; ``None`` if that is none.

        A driver was killed then between naming the film and removing its parts.
        """
        told = _read(self.folder / JOB_NAME).get("finished")
        return told if told and told["output"] == output_mark(self.target) else None

    def note_finished(self, whole: Path, told: dict[str, Any]) -> None:
        """Remember the whole film, which is about to get its name, and what there is to tell of it.

        Raises:
            SinkError: The disk refuses.
        """
        with sink_errors(self.target):
            self._write_job({"finished": {**told, "output": output_mark(whole)}})

    def note_published(self) -> None:
        """Remember the unfinished output, which the rest of the job may replace.

        Raises:
            SinkError: The disk refuses.
        """
        with sink_errors(self.target):
            self._write_job({"published": output_mark(self.target)})

    def _write_job(self, told: dict[str, Any]) -> None:
        facts = {
            "format": FORMAT,
            "id": self.job,
            "output": self.target.name,
            **self._facts,
            **told,
        }
        write_whole(self.folder / JOB_NAME, json.dumps(facts, indent=1))

    @property
    def has_parts(self) -> bool:
        """Whether any part is done."""
        return any(UNFINISHED not in path.name for path in self.folder.glob("*.nut"))

    def size_bytes(self) -> int:
        """What the parts of this job take on disk."""
        return folder_bytes(self.folder)

    def close(self, *, remove: bool) -> None:
        """Let others have the output; with `remove` leave nothing.

        Where no part is done, only an unfinished output is remembered, if there is one: so that
        the same command may replace it.

        May be called again, which does nothing.
        """
        if not self._lock.is_held:
            return
        if remove:
            for folder in self._job_folders():
                _remove(folder)
        elif not self.has_parts and not self.has_published:
            _remove(self.folder)
        if not self._job_folders():
            shutil.rmtree(self._root, ignore_errors=True)
        self._lock.release()

    def _job_folders(self) -> list[Path]:
        return [path for path in self._root.iterdir() if path.is_dir()]


def output_mark(path: Path) -> dict[str, Any] | None:
    """By what an output is told from another file of its name; ``None`` where there is none."""
    try:
        return {"bytes": path.stat().st_size, "mark": file_mark(path)}
    except OSError:
        return None


def is_unfinished(target: Path) -> bool:
    """Whether the file of this name is what an interrupted job left, as it left it; its parts are
    still there.
    """
    return (
        any(
            output_mark(target) in (told.get("published"), told.get("finished", {}).get("output"))
            for told in map(_read, job_files(target))
        )
        and target.exists()
    )


def job_files(target: Path) -> Iterator[Path]:
    """The job.json of every job that has parts of this output."""
    return parts_folder(target).glob(f"*/{JOB_NAME}")


def folder_bytes(folder: Path) -> int:
    """What the files of a folder take."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def megabytes(count: int) -> str:
    """A size for people."""
    return f"{count / 1e6:.1f} MB"


def _remove(folder: Path) -> None:
    """Remove a job's folder, and what it is of last: a removal that is killed is done again."""
    for _ in range(REMOVALS):
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name != JOB_NAME:
                    path.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _fields(facts: PartFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in PartFacts.__slots__}


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def write_whole(path: Path, text: str) -> None:
    """Replace a file as a whole: readers find the old text or the new one."""
    fresh = path.with_name(f"{path.name}{UNFINISHED}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _synced(path: Path) -> tuple[int, int]:
    """Bring a file to the disk; its size and CRC-32."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return path.stat().st_size, _crc(path)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc
