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

from stream.frame import Size
from stream.geometry import output_sample_aspect_ratio, parse_output_size
from stream.offline.jobs import Job, Outcome, plan_jobs
from stream.offline.options import RestyleOptions
from stream.offline.session import Session
from stream.sinks import names_video, open_sink
from stream.sinks.base import Sink, VideoEncoding
from stream.sinks.encoding import plan_encoding
from stream.sources import names_pictures, open_source
from stream.stats import Stats
from stream.stylizer.options import option_errors
from stream.stylizer.stylizer import DEFAULT_STABILITY, Stylizer
from stream.video_info import VideoInfo

if TYPE_CHECKING:
    from models import Engine, OnDownload

Advance = Callable[[], None]
"""Called after each finished frame."""

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
    """

    def __init__(
        self,
        options: RestyleOptions,
        *,
        watch: Watch,
        on_load: Callable[[], None] = lambda: None,
        on_download: "OnDownload | None" = None,
    ) -> None:
        self._options = options
        self._encoding = VideoEncoding(
            options.codec, options.crf, options.encoder_preset, audio=options.audio
        )
        self._watch = watch
        self._on_load = on_load
        self._on_download = on_download
        self._engine: Engine | None = None
        self._session: Session | None = None
        self.stopped = False

    def check(self, jobs: Iterable[Job]) -> None:
        """Refuse what no encoder could do before anything is restyled.

        Raises:
            SinkError, OptionError: As `restyle`.
        """
        with option_errors():
            for job in jobs:
                if names_video(job.sink):
                    plan_encoding(Path(job.sink).suffix, self._encoding)

    def restyle(self, job: Job) -> Outcome:
        """Restyle one input to its end, or to a `stop`.

        Raises:
            SourceError, SinkError, ModelError: The outside world.
            OptionError: An option's value cannot be used.
        """
        with ExitStack() as stack:
            rate = self._options.framerate if names_pictures(job.source) else None
            source = stack.enter_context(open_source(job.source, rate=rate))
            with option_errors():
                engine = self._engine_for(job, source.info)
                stylizer = self._make_stylizer(engine, source.info)
                sizes = stylizer.sizes(source.info.size)
                sink = stack.enter_context(self._open_sink(job, source.info, sizes.output))
            if source.info.frame_count != 1:
                # so that the first frames are as fast as the others
                engine.warm_up(sizes.model, self._options.batch, ahead=True)
            advance = stack.enter_context(self._watch(job, source.info))
            session = Session(source, stylizer, sink, on_frame=lambda _: advance())
            self._session = session
            try:
                stats = session.run()
            finally:
                self._session = None
        losses = (*source.losses, *sink.losses)
        damaged = source.damaged or bool(losses)
        return Outcome(job, stats, source.info.frame_count, self.stopped, damaged, losses)

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

    def _make_stylizer(self, engine: "Engine", info: VideoInfo) -> Stylizer:
        options = self._options
        stability = DEFAULT_STABILITY if options.stability is None else options.stability
        return Stylizer(
            engine,
            options.style(engine.default_style),
            short_side_px=options.size,
            output_size=parse_output_size(options.output_size),
            stability=stability,
            sample_aspect_ratio=info.sample_aspect_ratio,
            stats=Stats(fps_target=options.fps_target),
            look_ahead=options.look_ahead and stability > 0,
            every=options.every,
            overlap=info.frame_count != 1,
            batch=1 if info.frame_count == 1 else options.batch,
        )

    def _open_sink(self, job: Job, info: VideoInfo, size: Size) -> Sink:
        options = self._options
        aspect = output_sample_aspect_ratio(info.size, info.sample_aspect_ratio, size)
        return open_sink(
            job.sink,
            info=replace(info, sample_aspect_ratio=aspect),
            encoding=self._encoding,
            overwrite=options.overwrite,
        )


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
    asked = RestyleOptions(inputs=[source], output=output, **options)

    def watch(job: Job, info: VideoInfo) -> AbstractContextManager[Advance]:
        written = count(1)
        if on_frame is None:
            return nullcontext(lambda: None)
        return nullcontext(lambda: on_frame(next(written), info.frame_count))

    with option_errors():
        asked.check()
        (job,) = plan_jobs([source], output, overwrite=asked.overwrite)
    restyler = Restyler(asked, watch=watch)
    restyler.check([job])
    with closing(restyler):
        return restyler.restyle(job).stats
