"""PartialFile: a file is written under a temporary name and renamed only when it is complete.

    out.mp4   written as   .out.1f0c.partial.mp4   fsync, then   link or rename   out.mp4

The temporary file lies beside the target, so that the rename is atomic, and keeps the suffix, so
that what a crash leaves behind can be played. Who can make it anew gives a folder of its own there,
which it clears when it comes back.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stream.errors import SinkError

LONGEST_NAME = 255
"""Bytes of a file's name, on all usual file systems."""

NEW_FILE_MODE = 0o666
"""Before the user's umask, as every program creates its files."""

NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
"""How file systems without hard links answer to one."""

DISK_IS_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file would be larger than is allowed here; choose another folder",
    errno.EACCES: "the folder may not be written to; choose another one",
    errno.EPERM: "the folder may not be written to; choose another one",
    errno.EROFS: "the folder is read-only; choose another one",
    errno.ENOENT: "the folder does not exist; create it first",
    errno.ENOTDIR: "its folder is not a folder; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
"""What to do about the failures of a file system."""


@contextmanager
def sink_errors(path: Path) -> Iterator[None]:
    """Failures of the file system and of FFmpeg become a SinkError that says what to do."""
    import av

    try:
        yield
    except (OSError, av.FFmpegError) as err:
        # FFmpeg also uses the file system's numbers for failures of its own.
        ours = err.errno in DISK_IS_FULL or not isinstance(err, av.FFmpegError)
        reason = ADVICE.get(err.errno or 0) if ours else None
        if reason is None:
            reason = f"{err.strerror or err}; try another codec or container"
        raise SinkError(f"{path} cannot be written: {reason}.") from err


class PartialFile:
    """A file in the making beside its target. Made at once, so that bad places show early.

    Args:
        target: The name that the whole file gets.
        overwrite: Whether a file of that name may be replaced.
        source: The input, which is never replaced.
        folder: Where it is made, on the target's file system; ``None`` is the target's folder.

    Attributes:
        path: Where to write.

    Raises:
        SinkError: The target exists or cannot be written.
    """

    def __init__(
        self,
        target: Path,
        *,
        overwrite: bool,
        source: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        self.target = target
        self._overwrite = overwrite
        self._refuse(source)
        token = secrets.token_hex(4)
        name = f".{target.stem}.{token}.partial{target.suffix}"
        if len(os.fsencode(name)) > LONGEST_NAME:
            name = f".{token}.partial{target.suffix}"
        self.path = (target.parent if folder is None else folder) / name
        with sink_errors(target):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, NEW_FILE_MODE))

    def _refuse(self, source: Path | None) -> None:
        if os.path.isdir(self.target):
            raise SinkError(f"{self.target} is a folder; give the name of a file.")
        if not os.path.exists(self.target):  # or too long a name, which writing will tell
            if os.path.islink(self.target):
                raise SinkError(f"{self.target} is a link to nothing; choose another output.")
            return
        if source is not None and source.exists() and self.target.samefile(source):
            raise SinkError(f"{self.target} is the input itself; choose another output.")
        if not self._overwrite:
            raise SinkError(
                f"{self.target} exists already; choose another name or allow it with "
                "overwrite=True."
            )

    def publish(self) -> None:
        """Give the whole file its name.

        Raises:
            SinkError: It cannot be done. If the name alone was taken meanwhile, the file is kept
                under its temporary one; otherwise it is removed.
        """
        with sink_errors(self.target):
            try:
                _sync(self.path, os.O_RDWR)  # Windows syncs only what may be written
                if self._overwrite:
                    os.replace(self.path, self.target)
                else:
                    self._publish_new()
            except OSError:
                self.discard()
                raise
            _sync_folder(self.target.parent)

    def _publish_new(self) -> None:
        try:
            # Unlike a rename, a link never replaces a file that came up in the meantime.
            os.link(self.path, self.target)
        except FileExistsError as err:
            raise SinkError(
                f"{self.target} was created by somebody else meanwhile; the result is kept as "
                f"{self.path}."
            ) from err
        except OSError as err:
            if err.errno not in NO_HARD_LINKS:
                raise
            self._rename_new(err)
        else:
            self.path.unlink()

    def _rename_new(self, cause: OSError) -> None:
        if self.target.exists():
            raise SinkError(
                f"{self.target} was created by somebody else meanwhile; the result is kept as "
                f"{self.path}."
            ) from cause
        os.replace(self.path, self.target)

    def discard(self) -> None:
        """Remove what was written; nothing is left. May be called twice."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    # Some file systems (network, Windows) cannot sync a folder; the rename stands all the same.
    with suppress(OSError):
        _sync(folder, os.O_RDONLY)
