"""Workers: the threads of `stream`. No other file starts any.

A worker takes its steps in order, each whatever became of the one before; what fails is kept in
`Failures` and raised by whoever waits for it.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from stream.clock import wait_for
from stream.errors import StreamError

Step = Callable[[], object]
Result = TypeVar("Result")


class _WorkerThread(threading.Thread):
    """Its own class tells our threads apart from those of libraries."""


class Worker:
    """A thread that takes its steps in order, each whatever became of the one before.

    Started once, and joined, by the session. It is a daemon: one that hangs in a driver is named
    in an error, and must not keep the process from ending after that.

    Args:
        name: What an error calls it.
        steps: What it does: its work, then what closes things.
        failures: Where it says what went wrong.
        limit_s: How long it may take to end when it should.
        must_end: Whether taking longer is a failure; otherwise nothing depends on its end.
    """

    def __init__(
        self,
        name: str,
        steps: Iterable[Step],
        failures: "Failures",
        limit_s: float,
        *,
        must_end: bool = True,
    ) -> None:
        self.name = name
        self.limit_s = limit_s
        self._must_end = must_end
        self._steps = tuple(steps)
        self._failures = failures
        self._ended = threading.Event()
        self._thread = _WorkerThread(target=self._run, name=name, daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether all its steps are taken."""
        return self._ended.is_set()

    def start(self) -> None:
        """Start the thread; it runs even when a Ctrl-C interrupts the wait for its first sign.

        Raises:
            RuntimeError: The system gives no more threads.
        """
        try:
            self._thread.start()
        except RuntimeError:
            self._ended.set()
            raise

    def join(self) -> None:
        """Wait for the end, at most `limit_s` seconds; one that must end and does not is a failure.

        Any other is left behind (see `workers_left`).
        """
        if wait_for(self._ended, self.limit_s):
            if self._thread.ident is not None:
                self._thread.join(self.limit_s)
            return
        if not self._must_end:
            return
        self._failures.add(
            StreamError(
                f"the {self.name} thread did not end within {self.limit_s:g} s: what it reads or "
                "writes hangs; start the program again"
            )
        )

    def end_unstarted(self) -> None:
        """Where the thread never started: take its steps after the first, which close things."""
        if self._thread.ident is None:
            for step in self._steps[1:]:
                self._failures.guard(step)

    def _run(self) -> None:
        for step in self._steps:
            self._failures.guard(step)
        self._ended.set()


class Failures:
    """What went wrong, in order, in whichever thread. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []

    @property
    def failed(self) -> bool:
        """Something broke. A Ctrl-C alone breaks nothing."""
        with self._lock:
            return any(not isinstance(error, KeyboardInterrupt) for error in self._errors)

    @property
    def interrupted(self) -> bool:
        with self._lock:
            return any(isinstance(error, KeyboardInterrupt) for error in self._errors)

    def add(self, error: BaseException) -> None:
        with self._lock:
            self._errors.append(error)

    def guard(self, step: Step) -> bool:
        """Take a step and keep what it raises; say whether it came to its end."""
        try:
            step()
        except BaseException as error:  # carried to the caller of `run`, who gets it re-raised
            self.add(error)
            return False
        return True

    def raise_first(self) -> None:
        """Re-raise the first error with its traceback; the later ones become its notes.

        A Ctrl-C comes last: an output that could not be finished is the news.
        """
        with self._lock:
            errors, self._errors = self._errors, []  # an error holds its frames' memory
        errors.sort(key=lambda error: isinstance(error, KeyboardInterrupt))
        for later in errors[1:]:
            errors[0].add_note(f"after which: {later!r}")
        if errors:
            raise errors[0]


def run_workers(workers: Sequence[Worker], body: Step, shut_down: Step, failures: Failures) -> None:
    """Start all workers, take `body` in this thread, and `shut_down` whatever happens.

    Nothing is raised but a second Ctrl-C; what went wrong is in `failures`.

    Args:
        shut_down: Wakes everybody and waits for them; may be called again.
    """
    try:
        # a Ctrl-C may come while a thread starts: then all start, and end properly at once
        if all([failures.guard(worker.start) for worker in workers]):
            failures.guard(body)
    finally:
        # the first Ctrl-C ends the outputs properly, even here; the second leaves at once
        if failures.interrupted or not failures.guard(shut_down):
            shut_down()
        for worker in workers:
            worker.end_unstarted()


def interruptibly(name: str, step: Callable[[], Result]) -> Result:
    """Take a step that may hang in a driver or a library, where a Ctrl-C must not wait for it.

    It runs in a thread of its own, called `name`, which a Ctrl-C leaves behind.

    Raises:
        KeyboardInterrupt: While this waited.
        Exception: What the step raises.
    """
    results: list[Result] = []
    failures = Failures()
    worker = Worker(name, [lambda: results.append(step())], failures, threading.TIMEOUT_MAX)
    worker.start()
    worker.join()
    failures.raise_first()
    return results[0]


def meanwhile(name: str, step: Step) -> None:
    """Take a step in a thread of its own, called `name`, that nothing waits for.

    What it raises is lost: whoever needs its result takes the step again and sees the error.
    """
    Worker(name, [step], Failures(), threading.TIMEOUT_MAX, must_end=False).start()


def workers_left() -> bool:
    """Whether a worker is still at it: then Python's own way to end might crash in it."""
    return any(isinstance(thread, _WorkerThread) for thread in threading.enumerate())


def feed(items: Iterable[Result], take: Callable[[Result], None]) -> None:
    """Hand over items one by one."""
    for item in items:
        take(item)
