"""PartedSink: frames into parts, a new encoder at each boundary.

frames ──► encoder of part 1 ──► flushed and handed over aside, while the next is written
                encoder of part 2 ──► …
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.media.partial_file import sink_errors
from stream.offline.part_damage import since
from stream.offline.part_source import PartSource
from stream.offline.part_store import PartFacts
from stream.offline.parts import Edge
from stream.sinks.base import Sink
from stream.sinks.encoding import EncodingPlan
from stream.sinks.part_writer import PartWriter
from stream.video_info import VideoInfo
from stream.workers import Failures, Worker

FLUSH_LIMIT_S = 600.0
"""How long an encoder may take to write what it holds."""


class PartedSink(Sink):
    """Takes the frames of a stretch of a film. Not thread-safe.

    Args:
        source: Where they come from: it knows where parts begin.
        target: The output, for messages.
        job: The id that the parts belong to.
        plan, info: How they are encoded, and what the source says.
        new_file: Where a part that begins at that pts is to be written.
        hand_over: Takes a finished part, in a thread of its own.

    Attributes:
        tail: The part that a stop ended before its end: whole frames, but not a whole part.
        size: (width, height) of the frames.
    """

    def __init__(
        self,
        source: PartSource,
        *,
        target: Path,
        job: str,
        plan: EncodingPlan,
        info: VideoInfo,
        new_file: Callable[[int], Path],
        hand_over: Callable[[Path, PartFacts], object],
    ) -> None:
        self.notes: list[str] = []
        self.tail: PartWriter | None = None
        self.size: Size | None = None
        self._source = source
        self._target = target
        self._job = job
        self._plan = plan
        self._info = info
        self._new_file = new_file
        self._hand_over = hand_over
        self._writer: PartWriter | None = None
        self._first: Edge | None = None
        self._flushing: tuple[Worker, Failures] | None = None
        self._early = False
        self._done = False

    def write(self, frame: Frame) -> None:
        edge = self._source.starts.get(frame.pts)
        if edge is not None:
            self._end_part(edge)
            self._begin_part(frame, edge)
        assert self._writer is not None
        if frame.size != self.size:
            raise ValueError(f"got a frame of {frame.size}, expected {self.size} as the first")
        with sink_errors(self._target):
            self._writer.write(frame)

    def _begin_part(self, frame: Frame, edge: Edge) -> None:
        self._first, self.size = edge, frame.size
        with sink_errors(self._target):
            self._writer = PartWriter(
                self._new_file(frame.pts),
                plan=self._plan,
                info=self._info,
                size=frame.size,
                time_base=frame.time_base,
            )

    def _end_part(self, beyond: Edge | None) -> None:
        """Let the part in work be flushed aside, once the one before it is."""
        self._wait_for_flush()
        writer, first = self._writer, self._first
        if writer is None or first is None:
            return
        self._writer = None
        facts = self._facts(writer, first, beyond)

        def flush() -> None:
            try:
                with sink_errors(self._target):
                    writer.finish()
            except SinkError:
                writer.abandon()
                raise
            self._hand_over(writer.path, facts)

        failures = Failures()
        worker = Worker("part encoder", [flush], failures, FLUSH_LIMIT_S)
        self._flushing = worker, failures
        worker.start()

    def _facts(self, writer: PartWriter, first: Edge, beyond: Edge | None) -> PartFacts:
        source = self._source
        before = source.damage_before[first.pts]
        after = source.damage() if beyond is None else source.damage_before.get(beyond.pts)
        damage = since(after or source.damage(), before)
        is_last = beyond is None
        return PartFacts(
            job=self._job,
            first=first,
            beyond=beyond,
            pts=list(writer.pts),
            stop=writer.stop,
            damage=damage,
            damaged=bool(damage) or (is_last and source.damaged),
            losses=[*(source.losses if is_last else ())],
            notes=[*(source.notes if is_last else ()), *writer.notes],
        )

    def _wait_for_flush(self) -> None:
        if self._flushing is not None:
            (worker, failures), self._flushing = self._flushing, None
            worker.join()
            failures.raise_first()

    def end_early(self) -> None:
        self._early = True

    def close(self) -> None:
        """Finish the last part; after a stop it is the `tail`, and not handed over."""
        if self._done:
            return
        self._done = True
        if self._early:
            self._wait_for_flush()
            self.tail, self._writer = self._writer, None
            if self.tail is not None:
                with sink_errors(self._target):
                    self.tail.finish()
        else:
            stretch = self._source.stretch
            self._end_part(None if stretch is None else stretch.beyond)
            self._wait_for_flush()

    def abort(self) -> None:
        """Leave the part in work; those that were handed over stay."""
        self._done = True
        if self._writer is not None:
            with suppress(OSError):
                self._writer.abandon()
            self._writer = None
        with suppress(SinkError):
            self._wait_for_flush()
