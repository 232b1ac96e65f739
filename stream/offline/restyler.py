"""Restyler: restyles inputs into outputs as its options say, one after the other, with one engine.

Called by `stream.command.restyle` for a call of the command, and by `restyle_one` for a call of
`allaprima.restyle_file`. Prints nothing and installs no signal handler.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import Detail
from stream.addresses import PIPE
from stream.frame import Frame, Size
from stream.geometry import output_sample_aspect_ratio, parse_output_size
from stream.offline.crew import Crew, FilmWorkers
from stream.offline.film import Film, FilmPainter, describe_film, encoding_of, make_stylizer
from stream.offline.film_job import FilmJob, LocalPainter
from stream.offline.jobs import Job, Outcome, plan_jobs
from stream.offline.options import RestyleOptions
from stream.offline.part_store import is_unfinished
from stream.offline.pipes import Pipes
from stream.offline.places import places
from stream.offline.processes import ProcessWorkers
from stream.offline.session import Session
from stream.offline.worker import Place
from stream.sinks import names_video, open_sink
from stream.sinks.base import Sink
from stream.sinks.encoding import plan_encoding
from stream.sources import names_pictures, open_source
from stream.sources.base import Source
from stream.stats import Stats
from stream.stylizer.options import option_errors
from stream.video_info import VideoInfo

if TYPE_CHECKING:
    from models import Engine, OnDownload

Advance = Callable[[Frame | None], None]
"""Called after each finished frame; ``None`` where a process beside painted it."""

Watch = Callable[[Job, VideoInfo], AbstractContextManager[Advance]]
"""Opens what follows the frames of a job (a progress bar) for as long as the job runs."""


class Restyler:
    """Restyles inputs as the options say. Not thread-safe, but for `stop`.

    The engine is loaded when the first input and output have been opened.

    Args:
        options: What was asked, checked.
        watch: Opened for the time of each job.
        on_load: Called when the engine is about to be loaded, which takes a while.
        on_download: Called with the progress of downloads for it.
        make_workers: Makes what paints videos elsewhere; ``None`` is this process, or processes of
            this machine.
    """

    def __init__(
        self,
        options: RestyleOptions,
        *,
        watch: Watch,
        on_load: Callable[[], None] = lambda: None,
        on_download: "OnDownload | None" = None,
        make_workers: Callable[[], FilmWorkers] | None = None,
    ) -> None:
        self._options = options
        self._encoding = encoding_of(options)
        self._pipes = Pipes(options)
        self._watch = watch
        self._on_load = on_load
        self._on_download = on_download
        self._make_workers = make_workers
        self._engine: Engine | None = None
        self._places: list[Place] | None = None
        self._workers: FilmWorkers | None = None
        self._session: Session | LocalPainter | Crew | None = None
        self.stopped = False

    def check(self, jobs: Iterable[Job]) -> None:
        """Refuse what no encoder could do before anything is restyled.

        Raises:
            SinkError, OptionError: As `restyle`.
        """
        with option_errors():
            for job in jobs:
                self._pipes.check(job.source, job.sink)
                if _names_file(job.sink):
                    plan_encoding(Path(job.sink).suffix, self._encoding)

    def restyle(self, job: Job) -> Outcome:
        """Restyle one input to its end, or to a `stop`.

        Raises:
            SourceError, SinkError, ModelError: The outside world.
            OptionError: An option's value cannot be used.
        """
        with ExitStack() as stack:
            source = stack.enter_context(self._open_source(job))
            is_film = source.info.path is not None and _names_file(job.sink)
            if is_film and not source.info.has_alpha:  # parts hold no transparency
                source.close()
                return self._restyle_film(job, source.info)
            with option_errors():
                engine = self._engine_for(job, source.info)
                stylizer = make_stylizer(engine, self._options, source.info)
                sizes = stylizer.sizes(source.info.size)
                sink = stack.enter_context(self._open_sink(job, source.info, sizes.output))
            if source.info.frame_count == 1:
                width, height = sizes.model
                stylizer.stats.note(Detail(f"Painted at {width}x{height}."))
            else:
                # so that the first frames are as fast as the others
                batch, cell_px = self._options.batch, sizes.cell_px
                engine.warm_up(sizes.model, batch, ahead=True, cell_px=cell_px)
            advance = stack.enter_context(self._watch(job, source.info))
            session = Session(source, stylizer, sink, on_frame=advance)
            self._session = session
            try:
                stats = session.run()
            finally:
                self._session = None
        losses = (*source.losses, *sink.losses)
        damaged = source.damaged or bool(losses)
        return Outcome(job, stats, source.info.frame_count, self.stopped, damaged, losses)

    def _restyle_film(self, job: Job, info: VideoInfo) -> Outcome:
        """A video into a video: in parts, beginning with what an earlier run left."""
        with option_errors():
            film, painter = self._painter_of(job, info)
        film_job = FilmJob(film, overwrite=self._options.overwrite)
        with ExitStack() as stack:
            stack.callback(film_job.close)
            rest = info
            if info.frame_count is not None:
                rest = replace(info, frame_count=max(0, info.frame_count - film_job.kept_frames))
            advance = stack.enter_context(self._watch(job, rest))
            self._session = painter
            stats = Stats(fps_target=self._options.fps_target)
            try:
                result = film_job.run(painter, stats, advance)
            finally:
                self._session = None
        stats.note(*result.notes)
        return Outcome(
            job,
            stats,
            info.frame_count,
            self.stopped and not result.finished,
            result.damaged,
            result.losses,
            result,
            film.facts["recipe"],
        )

    def _painter_of(self, job: Job, info: VideoInfo) -> "tuple[Film, LocalPainter | Crew]":
        """The film that a job is, and who paints it: this process, or workers."""
        options, source, target = self._options, Path(job.source), Path(job.sink)
        if self._places is None and self._make_workers is None:
            self._places = places(options.device, options.workers)
        if self._places is not None and len(self._places) == 1:
            engine = self._engine_for(job, info)
            film = describe_film(source, target, info, engine, options)
            model_size, cell_px = film.rule.model_size, film.cell_px
            engine.warm_up(model_size, options.batch, ahead=True, cell_px=cell_px)
            return film, LocalPainter(FilmPainter(engine, options))
        if self._workers is None:
            parse_output_size(options.output_size)
            self._open_sink(job, info, info.size).abort()
            self._on_load()
            if self._make_workers is not None:
                self._workers = self._make_workers()
            else:
                self._workers = ProcessWorkers(options, self._places or [])
        return self._workers.describe(source, target, info), Crew(self._workers)

    def stop(self) -> bool:
        """End the running job early but properly; False if there is none to end, or it ends
        already. May be called from a signal handler.
        """
        session, first = self._session, not self.stopped
        self.stopped = True
        if session is None or not first:
            return False
        session.stop()
        return True

    def close(self) -> None:
        """End what runs beside the engine (a compiler)."""
        if self._engine is not None:
            self._engine.close()
        if self._workers is not None:
            self._workers.close()

    def _engine_for(self, job: Job, info: VideoInfo) -> "Engine":
        """The engine; loaded for the first job, once nothing is seen to be wrong with it."""
        if self._engine is None:
            options = self._options
            parse_output_size(options.output_size)
            self._open_sink(job, info, info.size).abort()
            self._on_load()
            self._engine = options.load_engine(self._on_download)
            # A prompt that makes no sense is an option's fault, not the run's.
            self._engine.encode_prompt(options.style(self._engine.default_style))
        return self._engine

    def _open_source(self, job: Job) -> Source:
        if job.source == PIPE:
            return self._pipes.open_source()
        rate = self._options.framerate if names_pictures(job.source) else None
        return open_source(job.source, rate=rate)

    def _open_sink(self, job: Job, info: VideoInfo, size: Size) -> Sink:
        options = self._options
        aspect = output_sample_aspect_ratio(info.size, info.sample_aspect_ratio, size)
        described = replace(info, sample_aspect_ratio=aspect)
        if job.sink == PIPE:
            return self._pipes.open_sink(described)
        return open_sink(
            job.sink,
            info=described,
            encoding=self._encoding,
            overwrite=options.overwrite or is_unfinished(Path(job.sink)),
        )


def _names_file(sink: str) -> bool:
    return sink != PIPE and names_video(sink)


def restyle_one(
    source: str,
    output: str,
    *,
    on_frame: Callable[[int, int | None], None] | None = None,
    **options: Any,
) -> Stats:
    """Restyle one input by itself.

    Args:
        source, output: Specs, as `open_source` and `open_sink` take them.
        on_frame: Called after each frame that was written, in the thread that wrote it, with how
            many were written and how many there will be (``None`` where nobody knows).
        options: Further fields of `RestyleOptions`.

    Raises:
        SourceError, SinkError, ModelError: The outside world.
        OptionError: An option's value cannot be used.
        TypeError: There is no such option.
    """
    # a process that is started anew would run the caller's program again
    asked = RestyleOptions(inputs=[source], output=output, **{"workers": 1, **options})

    def watch(job: Job, info: VideoInfo) -> AbstractContextManager[Advance]:
        written = count(1)
        if on_frame is None:
            return nullcontext(lambda frame: None)
        return nullcontext(lambda frame: on_frame(next(written), info.frame_count))

    with option_errors():
        asked.check()
        (job,) = plan_jobs([source], output, overwrite=asked.overwrite)
    restyler = Restyler(asked, watch=watch)
    restyler.check([job])
    with closing(restyler):
        return restyler.restyle(job).stats
