"""Folder: what the studio keeps on disk, and Downloads: addresses that nobody guesses.

FOLDER/recordings/         takes, under names that a person understands; they stay
FOLDER/files/RANDOM/       uploads and what became of them; removed after a day
"""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from stream.clock import Clock
from stream.errors import SinkError

OWNER_ONLY = 0o700
KEPT_S = 24 * 3600.0
MOST_NAME = 120
FORBIDDEN = '/\\:*?"<>|'


class Folder:
    """Where the studio writes; made when something is.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self._clock = clock
        self._made: dict[Path, float] = {}
        self._takes = 0

    def recording(self, kind: str, suffix: str) -> Path:
        """A name for a new recording, such as ``live-3.mp4``.

        Raises:
            SinkError: The folder cannot be made.
        """
        folder = self._make(self.root / "recordings")
        while True:
            self._takes += 1
            path = folder / f"{kind}-{self._takes}{suffix}"
            if not path.exists():
                return path

    def room(self) -> Path:
        """A new folder with a name that nobody guesses.

        Raises:
            SinkError: It cannot be made.
        """
        room = self._make(self.root / "files" / secrets.token_urlsafe(16))
        self._made[room] = self._clock.now_s()
        return room

    def free_bytes(self) -> int:
        """Room on the disk."""
        there = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        return shutil.disk_usage(there).free

    def remove(self, room: Path) -> None:
        """A room and what is in it."""
        if self._made.pop(room, None) is not None:
            shutil.rmtree(room, ignore_errors=True)

    def remove_old(self) -> list[Path]:
        """Remove rooms that are a day old, and say which."""
        end_s = self._clock.now_s() - KEPT_S
        old = [room for room, made_at_s in self._made.items() if made_at_s < end_s]
        for room in old:
            self.remove(room)
        return old

    def close(self) -> None:
        """Remove every room: nobody knows its name any more."""
        for room in list(self._made):
            self.remove(room)
        for empty in (self.root / "files", self.root):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()

    def _make(self, folder: Path) -> Path:
        try:
            folder.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        except OSError as err:
            raise SinkError(
                f"The folder {folder} cannot be made ({err.strerror}); give another with --folder."
            ) from err
        return folder


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be fetched, and the name that it is saved under."""

    path: Path
    name: str


class Downloads:
    """Files by addresses that nobody guesses. Belongs to the web thread."""

    def __init__(self) -> None:
        self._files: dict[str, Download] = {}

    def add(self, path: Path, name: str) -> str:
        """The address of a file, below the server's root."""
        token = secrets.token_urlsafe(24)
        self._files[token] = Download(path, name)
        return f"/d/{token}"

    def address(self, path: Path, name: str) -> str:
        """As `add`; the same each time."""
        for token, one in self._files.items():
            if one.path == path:
                return f"/d/{token}"
        return self.add(path, name)

    def find(self, token: str) -> Download | None:
        """What an address stands for, if it is there still."""
        found = self._files.get(token)
        return found if found is not None and found.path.is_file() else None

    def forget(self, folder: Path) -> None:
        """Everything in a folder."""
        self._files = {
            token: one for token, one in self._files.items() if folder not in one.path.parents
        }


def plain_name(name: str, default: str = "file") -> str:
    """A file name that somebody sent, without anything that could name another place."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(sign for sign in last if sign.isprintable() and sign not in FORBIDDEN)
    kept = kept.strip(". ")
    stem, dot, suffix = kept.rpartition(".")
    short = f"{stem[: MOST_NAME - 12]}{dot}{suffix[:10]}" if dot else kept[:MOST_NAME]
    return short or default
