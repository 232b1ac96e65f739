"""Session: restyles a file from end to end, one source through one stylizer into one sink.

    capture ──inbox──► the caller's thread: paint ──painted──► finisher ──outbox──► writer

thread        touches only              is woken by                on an error
------------  ------------------------  -------------------------  -------------------------------
capture       the source                closing the inbox          what was read is still painted
the caller's  torch, engine, stylizer   closing inbox or painted   all channels are discarded
finisher      the stylizer's `finish`   closing painted or outbox  the loop's next `put` ends it
writer        the sink                  closing the outbox         the finisher's next `put` ends it

The channels are bounded and block, so that no frame is lost. A sink that must be written from the
main thread has neither finisher nor writer: the loop does their work. What is live is for
`stream.live.session`.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

from stream.channel import Channel
from stream.clock import Clock, ReentrantEvent
from stream.errors import Closed
from stream.frame import Frame
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.stats import Stats
from stream.stylizer.output_frames import Painted
from stream.stylizer.stylizer import Stylizer
from stream.workers import Failures, Step, Worker, feed, run_workers

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
        on_frame: Called after each frame that was written, in the thread that wrote it.
        capacity: Frames in inbox and in outbox.
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
        on_frame: Callable[[Frame], None] | None = None,
        capacity: int = CAPACITY,
        join_limit_s: float | None = None,
    ) -> None:
        self.stats = stats or stylizer.stats
        self._source = source
        self._stylizer = stylizer
        self._sink = sink
        self._clock = clock or Clock()
        self._on_frame = on_frame
        self._join_limit_s = join_limit_s
        self._inbox: Channel[Frame] = Channel(capacity)
        self._outbox: Channel[Frame] = Channel(capacity)
        self._painted: Channel[Painted] = Channel(PAINTED)
        self._finishes_aside = not sink.main_thread
        self._stopped = ReentrantEvent()
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
        self._source.interrupt()

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
        """The writer thread, or the caller's: one frame into the sink."""
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

    def _shut_down(self, workers: list[Worker]) -> None:
        """Wake everybody and wait for them. May be repeated."""
        failures = self._failures
        if failures.failed or failures.interrupted:
            self._stopped.set()
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
