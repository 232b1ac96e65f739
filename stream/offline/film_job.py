"""FilmJob: one film from what is done of it to the finished output.

    gaps ──FilmPainter, or workers──► parts ──► PartStore ──Joiner──► the output

The same command goes on where it was ended, however that was.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Protocol

from models import file_mark
from stream.errors import SourceError
from stream.frame import Frame
from stream.media.partial_file import PartialFile, sink_errors
from stream.offline.film import Film, FilmPainter
from stream.offline.gaps import State, state_of
from stream.offline.part_damage import sentences
from stream.offline.part_source import EdgeError
from stream.offline.part_store import PartStore, megabytes
from stream.offline.parts import Edge, Part
from stream.offline.results import Result
from stream.sinks.encoding import encoder_threads
from stream.sinks.joining import JoinedPart, Joiner
from stream.sinks.part_writer import Tail
from stream.sources.video_range import VideoRange
from stream.stats import Stats

TOLD = "frames", "damaged", "losses"
"""Of a `Result`: what is to be told of a finished film, should this driver not come to tell it."""


class Paints(Protocol):
    """Paints what is missing of a film: `LocalPainter` in this process, or workers.

    `stopped`: it was told to stop.
    """

    @property
    def stopped(self) -> bool: ...

    def paint_gaps(
        self,
        film: Film,
        gaps: Sequence[Part],
        store: PartStore,
        *,
        on_frame: Callable[[Frame | None], None],
        seek: bool,
        stats: Stats,
    ) -> Tail | None:
        """Paint all gaps, or as much as comes before a stop; each part goes to the store.

        Returns:
            The part that a stop ended before its end, if that can be shown.

        Raises:
            EdgeError: A gap does not begin or end with the frames that it should.
        """


class FilmJob:
    """Paints what is missing of one film and joins it. Used once.

    Args:
        film: What is painted.
        overwrite: Whether an output of that name may be replaced.

    Raises:
        SinkError: The output is in the way, or is being painted by somebody else.
        SourceError: The input cannot be read.
    """

    def __init__(self, film: Film, *, overwrite: bool) -> None:
        self._film = film
        self._store = PartStore(film.target, film.job, film.facts)
        with ExitStack() as on_failure:
            on_failure.callback(self._store.close, remove=False)
            self._finished = self._store.finished()
            self._overwrite = bool(overwrite or self._finished or self._store.has_published)
            # so that a name that is taken shows now and not after a night
            self._partial_file().discard()
            self._first = _first_edge(film)
            self._state = self._look()
            on_failure.pop_all()
        self._kept = len(self._state.done)

    @property
    def kept_frames(self) -> int:
        """Frames that need not be painted any more."""
        return sum(len(facts.pts) for facts in self._state.done)

    def close(self) -> None:
        """Let others have the output. May be called twice."""
        self._store.close(remove=False)

    def run(
        self, painter: Paints, stats: Stats, on_frame: Callable[[Frame | None], None]
    ) -> Result:
        """Paint the gaps, join all parts and publish the output; after a stop, what there is.

        Args:
            painter: Who paints.
            stats: What is counted.
            on_frame: Told of each frame that was painted; ``None`` where a process beside did.

        Raises:
            SourceError, SinkError, ModelError: The outside world. Finished parts are kept.
        """
        result = Result(self.kept_frames, self._kept)
        if self._finished is not None:
            self._store.close(remove=True)
            frames, damaged, losses = (self._finished[name] for name in TOLD)
            notes = [f"{self._film.target} was finished already.", *losses]
            return Result(frames, 0, frames, damaged, finished=True, losses=losses, notes=notes)
        if result.kept_parts:
            result.notes.append(
                f"Kept from an earlier run: {result.kept_frames} frames in {result.kept_parts} "
                "parts."
            )
        has_finished = False
        try:
            tail = self._paint(painter, stats, on_frame)
            try:
                self._publish(result, tail)
            finally:
                if tail is not None:
                    tail.abandon()
            has_finished = result.finished
        finally:
            self._store.close(remove=has_finished)
            if self._store.has_parts:
                result.parts_bytes = self._store.size_bytes()
        if result.parts_bytes:
            result.notes.append(
                f"What is painted is kept in {self._store.folder} "
                f"({megabytes(result.parts_bytes)}); the same command goes on from there."
            )
        return result

    def _paint(
        self, painter: Paints, stats: Stats, on_frame: Callable[[Frame | None], None]
    ) -> Tail | None:
        seek = True
        while self._state.gaps:
            gaps = self._state.gaps
            try:
                tail = painter.paint_gaps(
                    self._film, gaps, self._store, on_frame=on_frame, seek=seek, stats=stats
                )
            except EdgeError as err:
                self._give_way(err, seek)
                seek = False
                continue
            self._state = self._look()
            if painter.stopped:
                return tail
        return None

    def _give_way(self, error: EdgeError, seek: bool) -> None:
        """After a wrong edge, read without seeking; if that was tried, the part beside it goes."""
        gap, self._state = self._state.gaps[0], self._look()
        if seek:
            return
        beside = [facts for facts in self._state.done if facts.first == gap.beyond]
        if not beside or self._state.gaps[:1] != [gap]:
            raise SourceError(
                f"{self._film.source} is not read alike twice, or has changed meanwhile; check "
                "that it plays."
            ) from error
        self._store.drop(beside[0])
        self._state = self._look()

    def _look(self) -> State:
        state = state_of(self._first, self._store.whole())
        for facts in state.stray:
            self._store.drop(facts)
        return state

    def _publish(self, result: Result, tail: Tail | None) -> None:
        film, state = self._film, self._state
        parts = state.until_gap()
        joined = [JoinedPart(self._store.path(f.first.pts), f.pts, f.stop) for f in parts]
        if tail is not None and tail.pts and state.gaps and tail.pts[0] == state.gaps[0].start:
            joined.append(JoinedPart(tail.path, tail.pts, tail.stop))
        result.frames = sum(len(part.pts) for part in joined)
        result.damaged = any(facts.damaged for facts in parts)
        result.losses += sentences((f.damage for f in parts), film.info.time_base)
        result.losses += _once(loss for facts in parts for loss in facts.losses)
        told = (note for facts in parts for note in facts.notes)
        result.notes += _once([*result.losses, *told])
        if not joined:
            result.notes.append(f"No frame came, so {film.target} was not written.")
            return
        if not state.gaps:
            self._check_input()
        self._join(joined, result, early=bool(state.gaps))
        result.finished = not state.gaps
        if not result.finished:
            self._store.note_published()

    def _join(self, joined: Sequence[JoinedPart], result: Result, *, early: bool) -> None:
        film, notes = self._film, result.notes
        file = self._partial_file()
        with ExitStack() as on_failure:
            on_failure.callback(file.discard)
            with sink_errors(film.target):
                joiner = Joiner(
                    file.path,
                    plan=film.plan,
                    info=film.info,
                    size=film.size,
                    time_base=film.info.time_base,
                    notes=notes,
                    sound=film.sound,
                    threads=encoder_threads(film.size),
                )
                on_failure.callback(joiner.abandon)
                joiner.join(joined, film.info.time_base, early=early)
                result.losses += joiner.losses
                result.damaged |= bool(joiner.losses)
            if not early:
                self._store.note_finished(file.path, {n: getattr(result, n) for n in TOLD})
            on_failure.pop_all()
        file.publish()

    def _partial_file(self) -> PartialFile:
        film = self._film
        return PartialFile(
            film.target,
            overwrite=self._overwrite,
            source=film.source,
            folder=self._store.folder,
        )

    def _check_input(self) -> None:
        with suppress(OSError):
            if file_mark(self._film.source) == self._film.facts["input"]["mark"]:
                return
        raise SourceError(
            f"{self._film.source} has changed while it was painted; run the same command again."
        )


def _first_edge(film: Film) -> Edge:
    with VideoRange(film.source) as reading:
        frame = reading.read()
    if frame is None:
        raise SourceError(f"Not one frame of {film.source} could be decoded; check that it plays.")
    return Edge.of(frame)


def _once(notes: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(notes))


class LocalPainter:
    """Paints gaps in this process, one after the other: `Paints` with one engine.

    Args:
        painter: With the engine.
    """

    def __init__(self, painter: FilmPainter) -> None:
        self._painter = painter

    @property
    def stopped(self) -> bool:
        return self._painter.stopped

    def stop(self) -> bool:
        """End early but properly; whether anything runs. May be called from a signal handler."""
        return self._painter.stop()

    def paint_gaps(
        self,
        film: Film,
        gaps: Sequence[Part],
        store: PartStore,
        *,
        on_frame: Callable[[Frame | None], None],
        seek: bool,
        stats: Stats,
    ) -> Tail | None:
        """As `Paints.paint_gaps`; it paints the first gap, which may be all."""
        return self._painter.paint(
            film,
            gaps[0],
            new_file=store.new_file,
            hand_over=store.publish,
            on_frame=on_frame,
            seek=seek,
            stats=stats,
        )
