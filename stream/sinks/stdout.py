"""Standard output for pictures alone: whatever else is printed meanwhile goes to standard error.

That holds for what libraries print, too: the descriptor itself is turned. Imports nothing heavy.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.errors import SinkError

STDOUT_FD, STDERR_FD = 1, 2

_claimed: list[int] = []


@contextmanager
def claim_stdout() -> Iterator[None]:
    """While this lasts, only a `PipeSink` writes to standard output; all else goes to standard
    error.
    """
    if sys.stdout is None or sys.stderr is None:  # closed, as by >&-
        yield
        return
    sys.stdout.flush()
    ours = os.dup(STDOUT_FD)
    os.dup2(STDERR_FD, STDOUT_FD)
    _claimed.append(ours)
    try:
        yield
    finally:
        _claimed.remove(ours)
        sys.stdout.flush()
        os.dup2(ours, STDOUT_FD)
        os.close(ours)


class PipeFile:
    """Standard output as a file that cannot seek.

    Raises:
        SinkError: It is closed.
    """

    def __init__(self) -> None:
        self._descriptor = _claimed[-1] if _claimed else STDOUT_FD
        if sys.stdout is None:
            raise SinkError("Standard output is closed; pipe it into a program that reads it.")

    @property
    def is_terminal(self) -> bool:
        """Whether a person would see the bytes."""
        return os.isatty(self._descriptor)

    def write(self, data: bytes | memoryview) -> int:
        """
        Raises:
            SinkError: Nobody reads any more, or it cannot be written.
        """
        view = memoryview(data).cast("B")
        total = len(view)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as err:
            if err.errno in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL
                raise SinkError(
                    "Standard output was closed by the program that reads it; what it had is "
                    "complete up to there."
                ) from err
            raise SinkError(f"Standard output cannot be written: {err.strerror}.") from err
        return total
