"""Keeps an encoder from giving this process's threads real-time priority.

SVT-AV1 asks for `SCHED_FIFO` at the highest priority when the user is root, as in a container: for
the thread that opens it, and so for all that this one starts. Such threads are served before
everything else on the machine, which stands still meanwhile.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TASKS = Path("/proc/self/task")
"""Linux: one folder for each thread of this process, named by its id."""


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """What starts inside is scheduled as the calling thread was before, and so is this again.

    Does nothing where the system has no such scheduling: on macOS and Windows.
    """
    if sys.platform != "linux" or not TASKS.is_dir():
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    caller, others = threading.get_native_id(), _threads()
    try:
        yield
    finally:
        for thread in {caller, *(_threads() - others)}:
            with suppress(ProcessLookupError):  # a thread that has ended since
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(task.name) for task in TASKS.iterdir()}
