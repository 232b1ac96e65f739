"""Session: one source through one stylizer into one sink. The only file that starts threads.

    capture ──inbox──► the caller's thread: paint ──painted──► finisher ──outbox──► writer

thread        touches only              is woken by                on an error
------------  ------------------------  -------------------------  -------------------------------
capture       the source                closing the inbox          what was read is still painted
the caller's  torch, engine, stylizer   closing inbox or painted   all channels are discarded
finisher      the stylizer's `finish`   closing painted or outbox  the loop's next `put` ends it
writer        the sink                  closing the outbox         the finisher's next `put` ends it

The channels are bounded and block, so that a file loses no frame. For a live source inbox and
outbox keep the newest only, and there is no finisher: the loop finishes. A sink that must be
written from the main thread has neither finisher nor writer.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TypeVar

from stream.channel import Channel
from stream.clock import Clock, Pacer, wait_for
from stream.errors import Closed, StreamError
from stream.finishing import Painted
from stream.frame import Frame
from stream.sink import Sink
from stream.source import Source
from stream.stats import Stats
from stream.stylizer import Stylizer

Step = Callable[[], object]
Result = TypeVar("Result")

CAPACITY = 4
"""Frames that wait in each channel: enough to hide the other threads' jitter, 24 MB of 1080p."""

PAINTED = 8
"""Paintings that wait to be finished: looking ahead comes in bursts, and the model paints on."""

CAPTURE_LIMIT_S = 30.0
"""How long the capture thread may take to end once nobody waits for its frames: one read."""

WRITER_LIMIT_S = 600.0
"""Likewise the writer: it may have to empty a slow encoder's look-ahead and publish a long file."""


class Session:
    """Runs a stream from end to end, once.

    `run` belongs to the thread that may use torch (and the window, if the sink is one); `stop` to
    any. Source and sink are closed by the session, in the threads that used them.

    Args:
        source: Read until its end.
        stylizer: Paints; its history is reset at the end.
        sink: Closed at the end, at a stop and at Ctrl-C; aborted when anything failed.
        clock: Where time comes from.
        stats: What is counted; ``None`` takes the stylizer's.
        pacer: Lets each frame wait until it is due; ``None`` writes as fast as frames come.
        on_frame: Called after each frame that was written, in the thread that wrote it.
        capacity: Frames in inbox and in outbox; 1, newest only, for a live source.
        join_limit_s: How long to wait for a thread to end; ``None`` takes what suits each.
    """

    def __init__(
        self,
        source: Source,
        stylizer: Stylizer,
        sink: Sink,
        *,
        clock: Clock | None = None,
        stats: Stats | None = None,
        pacer: Pacer | None = None,
        on_frame: Callable[[Frame], None] | None = None,
        capacity: int = CAPACITY,
        join_limit_s: float | None = None,
    ) -> None:
        self.stats = stats or stylizer.stats
        self._source = source
        self._stylizer = stylizer
        self._sink = sink
        self._clock = clock or Clock()
        self._pacer = pacer
        self._on_frame = on_frame
        self._join_limit_s = join_limit_s
        live = source.is_live
        self._inbox: Channel[Frame] = Channel(1 if live else capacity, leaky=live)
        self._outbox: Channel[Frame] = Channel(1 if live else capacity, leaky=live)
        self._painted: Channel[Painted] = Channel(PAINTED)
        self._finishes_aside = not (live or sink.main_thread)
        self._stopped = threading.Event()
        self._failures = Failures()
        self._has_run = False

    def run(self) -> Stats:
        """Run to the end of the source, or to a `stop`, and return what was counted.

        Raises:
            KeyboardInterrupt: Ctrl-C; the frames painted until then are written, but for those
                that wait for later ones, and the sink is closed first. `stats` holds what was
                counted. `stop` loses none.
            SourceError, SinkError, ModelError, …: The first thing that failed, in whichever
                thread; what failed after it is in its notes. The sink is aborted.
            StreamError: A thread did not end.
            RuntimeError: It has run before.
        """
        if self._has_run:
            raise RuntimeError("this session has run: make a new one for another run")
        self._has_run = True
        failures = self._failures
        capture: list[Step] = [self._capture, self._source.close, self._inbox.close]
        drop_rest = partial(self._outbox.close, discard=True)
        write: list[Step] = [partial(feed, self._outbox, self._write), drop_rest, self._finish_sink]
        drop_painted = partial(self._painted.close, discard=True)
        finish: list[Step] = [self._finish_painted, drop_painted, self._outbox.close]
        limit_s = self._join_limit_s
        workers = [Worker("capture", capture, failures, limit_s or CAPTURE_LIMIT_S)]
        if self._finishes_aside:
            workers.append(Worker("finisher", finish, failures, limit_s or WRITER_LIMIT_S))
        if not self._sink.main_thread:
            workers.append(Worker("writer", write, failures, limit_s or WRITER_LIMIT_S))
        run_workers(workers, self._paint, partial(self._shut_down, workers), failures)
        self._stylizer.reset()
        if self._source.is_live:
            self.stats.count_dropped("newer frame", self._inbox.dropped + self._outbox.dropped)
        self.stats.count_unseen("interrupted")
        self.stats.note(*self._source.notes, *self._sink.notes)
        failures.raise_first()
        return self.stats

    def stop(self) -> None:
        """End early but properly: what was read is painted and written, and the sink is closed.

        From any thread, or a signal handler. Returns at once; `run` returns when all is done.
        """
        self._stopped.set()
        self._inbox.close()

    def _capture(self) -> None:
        """The capture thread: source to inbox."""
        while not self._stopped.is_set():
            start_s = self._clock.now_s()
            frame = self._source.read()
            if frame is None:
                break
            now_s = self._clock.now_s()
            self.stats.record("read", now_s - start_s)
            with suppress(Closed):
                self._inbox.put(frame.replace(frame.data, captured_at_s=now_s))
                self.stats.count_in(now_s)

    def _paint(self) -> None:
        """The caller's thread: inbox to whoever finishes, which may be this thread as well."""
        hand_over = self._painted.put if self._finishes_aside else self._finish
        with suppress(Closed):  # finisher or writer have failed: their error is the one to raise
            for frame in self._inbox:
                hand_over(self._paint_one(frame))
            hand_over(self._paint_one(None))

    def _paint_one(self, frame: Frame | None) -> Painted:
        """The loop's half of a frame; where it fails, nothing more is written."""
        with ExitStack() as on_failure:
            on_failure.push(self._discard_painted)
            return self._stylizer.paint(frame)

    def _discard_painted(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None and issubclass(error, Exception):  # a Ctrl-C breaks nothing
            for channel in (self._painted, self._outbox):
                channel.close(discard=True)

    def _finish_painted(self) -> None:
        """The finisher thread: from the loop to outbox."""
        with suppress(Closed):
            feed(self._painted, self._finish)

    def _finish(self, painted: Painted) -> None:
        """To outbox, or to a sink of the main thread."""
        hand_over = self._write if self._sink.main_thread else self._outbox.put
        feed(self._stylizer.finish(painted), hand_over)

    def _write(self, frame: Frame) -> None:
        """The writer thread, or the caller's: one frame into the sink, when it is due."""
        if self._pacer is not None:
            delay_s = self._pacer.delay_s(frame.time_s, self._clock.now_s())
            self._clock.wait(self._stopped, delay_s)
        start_s = self._clock.now_s()
        self._sink.write(frame)
        self.stats.record("write", self._clock.now_s() - start_s)
        self.stats.count_out(frame.captured_at_s, start_s)
        if self._on_frame is not None:
            self._on_frame(frame)

    def _finish_sink(self) -> None:
        if self._failures.failed:
            self._sink.abort()
            return
        if self._stopped.is_set():
            self._sink.end_early()
        self._sink.close()

    def _shut_down(self, workers: list["Worker"]) -> None:
        """Wake everybody and wait for them. May be repeated."""
        failures = self._failures
        if failures.failed or failures.interrupted:
            self._stopped.set()  # but at a plain end the last frames still wait until they are due
        self._inbox.close(discard=True)
        self._painted.close()
        if not self._finishes_aside:
            self._outbox.close()
        if self._sink.main_thread:
            failures.guard(self._finish_sink)
        for worker in workers:
            if worker.name == "writer":
                self._outbox.close()  # as the finisher did, if it ever ran
            worker.join()


class _WorkerThread(threading.Thread):
    """A thread that is told from those of libraries."""


class Worker:
    """A thread that takes its steps in order, each whatever became of the one before.

    Started once, and joined, by the session. It is a daemon: one that hangs in a driver is named
    in an error, and must not keep the process from ending after that.

    Args:
        name: What an error calls it.
        steps: What it does.
        failures: Where it says what went wrong.
        limit_s: How long it may take to end once it is told to.
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

    What it raises is lost: whoever needs its result takes the step again and is told.
    """
    Worker(name, [step], Failures(), threading.TIMEOUT_MAX, must_end=False).start()


def workers_left() -> bool:
    """Whether a worker is still at it: then Python's own way to end might crash in it."""
    return any(isinstance(thread, _WorkerThread) for thread in threading.enumerate())


def feed(items: Iterable[Result], take: Callable[[Result], None]) -> None:
    """Hand over items one by one."""
    for item in items:
        take(item)
