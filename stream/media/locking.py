"""A lock file: who holds it is the only one, and lets go of it however it ends."""

import json
import os
import socket
import sys
from pathlib import Path


class LockedError(Exception):
    """Somebody else holds the lock; the message says who, as far as it is known."""


class LockFile:
    """Held from `take` to `release`, or to the end of the process.

    Args:
        path: The file; its folder is there. It stays when the lock is released.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """
        Raises:
            LockedError: Another process has it.
            OSError: The file cannot be made.
        """
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        if not _lock(descriptor):
            os.close(descriptor)
            raise LockedError(self._holder())
        if not self._path.exists() or not os.path.samestat(os.fstat(descriptor), self._path.stat()):
            os.close(descriptor)  # who had it removed it meanwhile
            self._path.parent.mkdir(exist_ok=True)
            self.take()
            return
        self._descriptor = descriptor
        told = json.dumps({"process": os.getpid(), "host": socket.gethostname()})
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, told.encode(), 0)

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        """Let go. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _holder(self) -> str:
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            return f"process {told['process']} on {told['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"


def _lock(descriptor: int) -> bool:
    """Take the system's lock on an open file, without waiting; whether it was free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
