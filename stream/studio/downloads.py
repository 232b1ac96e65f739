"""Folder: what the studio keeps on disk, and Downloads: addresses that nobody guesses.

FOLDER/recordings/         takes, under names that a person understands; they stay
FOLDER/studio.lock         held by the studio that uses the folder
FOLDER/files/RANDOM/       uploads and what became of them, for a day: a later studio removes them
"""

import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stream.clock import Clock
from stream.errors import SinkError
from stream.media.locking import LockedError, LockFile

LOCK_NAME = "studio.lock"
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
        self._lock: LockFile | None = None

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

    def find_rooms(self) -> list[Path]:
        """The rooms that an earlier studio left, the oldest first; what is too old is removed.

        There are none while another studio uses the folder.
        """
        with suppress(OSError, SinkError, LockedError):
            lock = LockFile(self._make(self.root) / LOCK_NAME)
            lock.take()
            self._lock = lock
            there = [room for room in (self.root / "files").iterdir() if room.is_dir()]
            made_at_s = {room: room.stat().st_mtime for room in there}
            os.utime(self.root / LOCK_NAME)  # now, by the clock that dated the rooms
            now_s, dated_s = self._clock.now_s(), (self.root / LOCK_NAME).stat().st_mtime
            for room in sorted(there, key=lambda one: made_at_s[one]):
                self._made[room] = now_s - max(0.0, dated_s - made_at_s[room])
        self.remove_old()
        return list(self._made)

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
        """Let others use the folder, and remove what is empty."""
        if self._lock is not None:
            (self.root / LOCK_NAME).unlink(missing_ok=True)
            self._lock.release()
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
