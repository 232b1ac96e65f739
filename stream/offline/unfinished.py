"""Unfinished jobs: what interrupted commands left beside their outputs, found by its names.

For `allaprima jobs`, which lists and clears them. What a job reuses of its own, `part_store.py`
decides.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.media.locking import LockedError, LockFile
from stream.offline.part_store import JOB_NAME, LOCK_NAME, folder_bytes, parts_folder

FOLDER_PATTERN = ".*.parts"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A film that is not finished.

    Attributes:
        output: What it becomes.
        source: Its input's name.
        job: Its id.
        parts, frames: That are done.
        size_bytes: What they take.
        holder: Who paints it just now; "" if nobody does.
    """

    output: Path
    source: str
    job: str
    parts: int
    frames: int
    size_bytes: int
    holder: str


def find_unfinished(folder: Path) -> list[Unfinished]:
    """Every unfinished film in a folder and below, by name."""
    return [job for root in sorted(folder.rglob(FOLDER_PATTERN)) for job in _jobs(root)]


def clear_unfinished(jobs: list[Unfinished]) -> int:
    """Remove the parts of all that nobody paints just now; the bytes that are free now.

    Raises:
        OSError: The folder may not be written.
    """
    freed = 0
    for job in jobs:
        root = parts_folder(job.output)
        lock = LockFile(root / LOCK_NAME)
        try:
            lock.take()
        except LockedError:
            continue
        try:
            freed += folder_bytes(root / job.job)
            shutil.rmtree(root / job.job)
            if not any(path.is_dir() for path in root.iterdir()):
                shutil.rmtree(root)
        finally:
            lock.release()
    return freed


def _jobs(root: Path) -> Iterator[Unfinished]:
    holder = _holder(root / LOCK_NAME)
    for path in sorted(root.glob(f"*/{JOB_NAME}")):
        told = _read(path)
        output = root.with_name(str(told.get("output", "?")))
        sides = [side for side in path.parent.glob("*.json") if side.name != JOB_NAME]
        frames = sum(len(_read(side).get("pts", ())) for side in sides)
        source = str(told.get("input", {}).get("name", "?"))
        size_bytes = folder_bytes(path.parent)
        yield Unfinished(output, source, path.parent.name, len(sides), frames, size_bytes, holder)


def _holder(path: Path) -> str:
    if not path.is_file():
        return ""
    lock = LockFile(path)
    try:
        lock.take()
    except LockedError as err:
        return str(err)
    except OSError:
        return "?"
    lock.release()
    return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
