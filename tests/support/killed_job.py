"""A file job that kills itself at a given moment, as the power fails: run as a program.

python killed_job.py IN OUT MOMENT
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from films import Job

from stream.offline.part_store import PartStore
from stream.sinks.joining import Joiner

MOMENTS = ("joined", "named", "linked", "removing")
"""Between joining and naming, within naming, before the parts go, while they go."""


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after(function: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*given: Any, **named: Any) -> None:
        function(*given, **named)
        die()

    return killed


def arm(moment: str) -> None:
    """Have this process die then."""
    if moment == "joined":
        Joiner.join = after(Joiner.join)  # type: ignore[method-assign]
    elif moment == "linked":
        os.link = after(os.link)
    elif moment == "named":
        PartStore.close = die  # type: ignore[method-assign]
    else:
        unlink = Path.unlink
        Path.unlink = lambda self, **named: (  # type: ignore[method-assign,assignment]
            after(unlink)(self, **named) if self.suffix == ".nut" else unlink(self, **named)
        )


if __name__ == "__main__":
    arm(sys.argv[3])
    Job(Path(sys.argv[1]), Path(sys.argv[2])).run()
