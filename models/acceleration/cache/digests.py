"""Checksums of cached files, stored beside them, so that damage on disk is detected.

    folder/  a.bin  b.xml  digests.json

A file of the right length with wrong bytes would load without an error and paint something else.
"""

import hashlib
import json
import stat
import uuid
from collections.abc import Sequence
from pathlib import Path

DIGESTS_NAME = "digests.json"


def write_digests(folder: Path, names: Sequence[str]) -> None:
    """Note the digests of these files of a folder.

    Raises:
        OSError: One is not there, or the disk refuses.
    """
    _write(folder, {name: _digest(folder / name) for name in names})


def has_digests(folder: Path) -> bool:
    """Whether there are digests; `is_whole` compares them."""
    return (folder / DIGESTS_NAME).is_file()


def is_whole(folder: Path) -> bool:
    """Whether there are digests and every file that they name has its own."""
    try:
        noted = _read(folder)
        return bool(noted) and all(_digest(folder / name) == noted[name] for name in noted)
    except (OSError, ValueError):
        return False


def add_digest(folder: Path) -> None:
    """Note the digests of the files that came into a folder since, which become as readable.

    Raises:
        OSError: The disk refuses.
    """
    noted = _noted(folder)
    fresh = [path for path in _files(folder) if path.name not in noted]
    if fresh:
        _write(folder, noted | {path.name: _digest(path) for path in fresh})
        mode = stat.S_IMODE((folder / DIGESTS_NAME).stat().st_mode)
        for path in fresh:
            path.chmod(mode)


def trim(folder: Path, most_bytes: int) -> None:
    """Remove the oldest files of a folder until the others have no more than so many bytes.

    Raises:
        OSError: One cannot be removed.
    """
    left = most_bytes
    for path in sorted(_files(folder), key=lambda path: path.stat().st_mtime_ns, reverse=True):
        left -= path.stat().st_size
        if left < 0:
            path.unlink()


def drop_without_digests(folder: Path) -> None:
    """Remove the files of a folder that no digest is noted of, or another.

    Raises:
        OSError: One cannot be read or removed.
    """
    noted, good = _noted(folder), {}
    for path in _files(folder):
        digest = _digest(path)
        if noted.get(path.name) == digest:
            good[path.name] = digest
        else:
            path.unlink()
    if good != noted:  # what is made again under an old name is new
        _write(folder, good)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    named = (path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in named if path.is_file() and path.name != DIGESTS_NAME]


def _noted(folder: Path) -> dict[str, str]:
    try:
        return _read(folder)
    except (OSError, ValueError):
        return {}


def _read(folder: Path) -> dict[str, str]:
    noted = json.loads((folder / DIGESTS_NAME).read_text(encoding="utf-8"))
    if not isinstance(noted, dict):
        raise ValueError(f"got {type(noted).__name__} in {DIGESTS_NAME}, expected digests by name")
    return noted


def _write(folder: Path, digests: dict[str, str]) -> None:
    """Whole or not at all: another process may be reading."""
    path = folder / f".{uuid.uuid4().hex}"
    try:
        path.write_text(json.dumps(digests, indent=1), encoding="utf-8")
        path.replace(folder / DIGESTS_NAME)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
