"""The cache folder of this user, and atomic creation of folders in it: complete, or not there.

    begin ──► .new-… ──filled──► put ──► its name          oldest beyond a few: prune

Several processes may do so at once, even with the same name: none waits, and the first one wins.
"""

import math
import os
import shutil
import sys
import uuid
from pathlib import Path

FOLDER_VARIABLE = "ALLAPRIMA_CACHE"
"""Environment variable: another cache folder; empty keeps nothing."""

UNFINISHED = ".new-"
UNFINISHED_S = 24 * 3600.0
"""Older than this, what is unfinished belongs to a process that was killed."""


def cache_folder() -> Path | None:
    """Where this user's caches are; ``None`` where none are wanted.

    Raises:
        OSError: There is no home folder.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen == "":
        return None
    try:
        if chosen is not None:
            return Path(chosen).expanduser()
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = str(Path.home() / "Library" / "Caches")
        else:
            base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError as err:
        raise OSError(str(err)) from err
    return Path(base) / "allaprima"


def begin(root: Path) -> Path:
    """A fresh folder in `root`, to be filled and then `put` in its place.

    Raises:
        OSError: It cannot be written.
    """
    folder = root / f"{UNFINISHED}{uuid.uuid4().hex}"
    folder.mkdir(parents=True)  # as readable for others as the user's other folders
    return folder


def put(folder: Path, place: Path, marker: str) -> None:
    """Give a filled folder its name; another process's of that name stays, if it was quicker.

    Args:
        folder: From `begin`, in which `marker` was the last file to be written.
        place: Beside it.

    Raises:
        OSError: The disk refuses.
    """
    try:
        folder.rename(place)
    except OSError:
        if not (place / marker).is_file():
            raise
        shutil.rmtree(folder, ignore_errors=True)


def prune(root: Path, marker: str, most: int) -> None:
    """Leave the `most` newest folders with a `marker`, and nothing unfinished that is long dead.

    Another process may still read what is removed, or hold on to it.
    """
    there = [path for path in root.iterdir() if not path.name.startswith(UNFINISHED)]
    kept = [path for path in there if (path / marker).is_file()]
    kept.sort(key=_changed_s, reverse=True)
    old_s = root.stat().st_mtime - UNFINISHED_S  # it changed just now
    dead = [one for one in root.glob(f"{UNFINISHED}*") if _changed_s(one) < old_s]
    for path in [*kept[most:], *dead]:
        shutil.rmtree(path, ignore_errors=True)


def _changed_s(path: Path) -> float:
    """When the folder changed; what another process has just removed counts as new."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf
