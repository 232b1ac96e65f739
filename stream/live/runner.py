"""LiveRunner: opens everything that the options of a live session name, and runs the session.

Source, sinks, control server, metrics and model are opened here and closed by the session. It
prints nothing and installs no signal handler; `stream.command.live` does both around it.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stream.addresses import PIPE, shown
from stream.clock import Clock
from stream.errors import ControlError, SinkError, StreamError
from stream.geometry import parse_output_size
from stream.live.automation import AutomationWriter
from stream.live.beat_clock import BeatClock
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.governor import GovernorMode
from stream.live.inputs import LiveInput, open_live_source, source_kind
from stream.live.live_stylizer import LiveStylizer, LiveStylizerOptions
from stream.live.options import LiveOptions
from stream.live.outputs import (
    LiveOutputs,
    may_be_lacking,
    open_live_sink,
    open_source_recording,
)
from stream.live.pipes import raw_video
from stream.live.scheduling import schedule_beats
from stream.live.services import OpenedService, service_openers
from stream.live.session import TIME_BASE, LiveSession
from stream.live.style_sources import StyleSource, is_moving
from stream.live.styles_file import read_styles
from stream.live.tape import SourceRecording, Tape
from stream.sinks.base import Sink, VideoEncoding
from stream.sources.base import Source
from stream.sources.microphone import Microphone
from stream.sources.reconnecting import OnLoss
from stream.sources.silence import SILENT, Silence
from stream.stats import Stats
from stream.stylizer.masks import PERSON
from stream.stylizer.options import option_errors
from stream.stylizer.stylizer import DEFAULT_STABILITY
from stream.video_info import VideoInfo
from stream.workers import interruptibly, meanwhile

if TYPE_CHECKING:
    from models import Blend, OnDownload


class LiveRunner:
    """Runs one live session as the options say. Not thread-safe, but for `stop`.

    Args:
        options: What was asked, checked.
        on_load: Called when the model is about to be loaded, in another thread.
        on_download: Called with the progress of downloads for it, in that thread.
        on_ready: Called when the first painted picture has gone out, in another thread.
        on_tick: Called once a second while there is no window.
        on_trouble: Called with a sentence when something that was asked for is left out.
    """

    def __init__(
        self,
        options: LiveOptions,
        *,
        on_load: Callable[[], None] = lambda: None,
        on_download: "OnDownload | None" = None,
        on_ready: Callable[[], None] = lambda: None,
        on_tick: Callable[[], None] = lambda: None,
        on_trouble: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._options = options
        self._on_load = on_load
        self._on_download = on_download
        self._on_ready, self._on_tick = on_ready, on_tick
        self._on_trouble = on_trouble
        self._clock = Clock()
        self._session: LiveSession | None = None
        self.stats = Stats(fps_target=options.fps_target, clock=self._clock)
        self.stopped = False
        self.failed_outputs: list[str] = []

    def run(self) -> Stats:
        """Run until the user, the source or the last output ends it.

        Raises:
            SourceError, SinkError, ModelError: The outside world.
            OptionError: An option's value cannot be used.
        """
        options = self._options
        with ExitStack() as on_failure:
            with option_errors():
                parse_output_size(options.output_size)
                wanted = self._input()
            # what takes longest at a start; the thread that paints finds it done
            meanwhile("import", _import_engine)
            source = interruptibly(
                "open", lambda: open_live_source(wanted, clock=self._clock, stats=self.stats)
            )
            on_failure.callback(source.close)
            microphone = self._open_microphone(source, on_failure)
            with option_errors():
                controls = self._controls()
                services = self._open_services(
                    controls, schedule_beats(options, controls, self._clock)
                )
            for service in services:
                on_failure.callback(service.abandon)
            services += self._open_style_sources(controls, on_failure)
            sound = source.has_sound or microphone is not None
            with option_errors():
                shared = self._shared_by_outputs(source, controls, sound=sound)
                sinks = self._open_sinks(shared, on_failure)
                tape = self._open_tape(shared, on_failure)
            if tape.source is not None:
                services.append(tape.source)
            on_failure.pop_all()  # the session closes them, in its threads
        session = LiveSession(
            source,
            lambda: self._make_painter(source.info, controls),
            sinks,
            controls=controls,
            clock=self._clock,
            stats=self.stats,
            services=services if microphone is None else [*services, microphone],
            tape=tape,
            max_age_s=options.max_age / 1e3,
            duration_s=options.duration,
            on_ready=self._on_ready,
            on_tick=self._on_tick,
        )
        self._session = session
        if microphone is not None:
            microphone.on_sound = session.hear
        try:
            return session.run()
        finally:
            self._session = None
            self.failed_outputs += [*session.failed_sinks, *tape.failed_outputs()]

    def stop(self) -> bool:
        """End the session properly; False if there is none to end, or it ends already. May be
        called from a signal handler.
        """
        session, first = self._session, not self.stopped
        self.stopped = True
        if session is None or not first:
            return False
        session.stop()
        return True

    def _input(self) -> LiveInput:
        options = self._options
        size = None
        if options.camera_size is not None:
            parsed = parse_output_size(options.camera_size)
            if isinstance(parsed, str):
                raise ValueError(f"got camera_size={parsed}, expected WxH, e.g. 1280x720")
            size = parsed
        on_loss = cast(OnLoss, options.on_loss)
        sound = options.audio and options.audio_device is None
        rate = options.camera_rate
        raw = raw_video(options) if options.source == PIPE else None
        given = size, rate, options.loop, on_loss, sound, options.insecure, raw
        return LiveInput(options.source, *given)

    def _controls(self) -> Controls:
        from models import STYLES, Style

        options = self._options
        stability = DEFAULT_STABILITY if options.stability is None else options.stability
        style = options.style(Style())
        if options.styles is None:
            styles = [NamedStyle(one.prompt, replace(style, prompt=one.prompt)) for one in STYLES]
        else:
            styles = read_styles(Path(options.styles), style)
        look = Look(
            style, stability, transition_s=options.transition, mask=options.mask is not None
        )
        return Controls(look, styles)

    def _open_services(self, controls: Controls, beats: BeatClock) -> list[OpenedService]:
        services = []
        for open_service in service_openers(self._options, controls, self.stats, beats):
            try:
                services.append(open_service())
            except ControlError as err:
                self._go_without(err)
        return services

    def _open_style_sources(self, controls: Controls, on_failure: ExitStack) -> list[OpenedService]:
        """What reads each style that moves."""
        opened: list[OpenedService] = []
        for spec in filter(is_moving, self._options.style_images):
            make = partial(StyleSource, spec, controls, clock=self._clock, stats=self.stats)
            opened.append(interruptibly("open", make))
            on_failure.callback(opened[-1].abandon)
        return opened

    def _go_without(self, err: StreamError) -> None:
        self.stats.note(str(err))
        self._on_trouble(str(err))

    def _open_microphone(
        self, source: Source, on_failure: ExitStack
    ) -> Microphone | Silence | None:
        options, device = self._options, self._options.audio_device
        if device is None:
            if options.audio and not source.has_sound:
                self.stats.note(f"{shown(options.source)} gives no sound, so there is none.")
            return None
        opened: Microphone | Silence = (
            Silence() if device == SILENT else interruptibly("open", lambda: Microphone(device))
        )
        on_failure.callback(opened.abandon)
        return opened

    def _shared_by_outputs(self, source: Source, controls: Controls, *, sound: bool) -> LiveOutputs:
        options = self._options
        is_camera = source_kind(options.source) == "camera"
        return LiveOutputs(
            info=VideoInfo(
                size=source.info.size,
                time_base=TIME_BASE,
                rate=source.info.rate or Fraction(options.fps_target).limit_denominator(1001),
                sample_aspect_ratio=source.info.sample_aspect_ratio,
                sound=sound,
            ),
            controls=controls,
            stats=self.stats,
            clock=self._clock,
            encoding=VideoEncoding(options.codec, options.crf, options.preset),
            overwrite=options.overwrite,
            mirrored=is_camera if options.mirror is None else options.mirror,
            insecure=options.insecure,
            output_format=options.output_format,
            pixel_format=options.pixel_format,
        )

    def _open_tape(self, shared: LiveOutputs, on_failure: ExitStack) -> Tape:
        options, source, automation = self._options, None, None
        if options.record_source is not None:
            name = options.record_source
            sink = open_source_recording(name, shared)
            source = SourceRecording(name, sink, clock=self._clock, stats=self.stats)
            on_failure.callback(source.abandon)
        if options.automation is not None:
            path = Path(options.automation)
            automation = AutomationWriter(path, self.stats, overwrite=options.overwrite)
            on_failure.callback(automation.close)
        return Tape(source, automation)

    def _open_sinks(self, shared: LiveOutputs, on_failure: ExitStack) -> list[tuple[str, Sink]]:
        options = self._options
        sinks, missing = [], []
        for spec in options.outputs:
            if spec != PIPE and os.path.exists(spec) and _is_same_file(spec, options.source):
                raise SinkError(f"{spec} is the input; give the output another name.")
            try:
                sink = open_live_sink(spec, shared)
            except SinkError as err:
                if not may_be_lacking(spec):
                    raise
                missing.append((spec, err))
                continue
            on_failure.callback(sink.abort)
            sinks.append((shown(spec), sink))
        if not sinks:
            raise missing[0][1]
        for spec, reason in missing:
            self.failed_outputs.append(spec)
            self._go_without(reason)
        return sinks

    def _make_painter(self, info: VideoInfo, controls: Controls) -> LiveStylizer:
        """Load the model and warm it up; in the thread that paints."""
        options = self._options
        self._on_load()
        with option_errors():
            engine = options.load_engine(self._on_download)
            style = options.style(engine.default_style)
            engine.encode_prompt(style)
            controls.start_with(style)
            return LiveStylizer(
                engine,
                controls.look,
                LiveStylizerOptions(
                    short_side_px=options.size,
                    output_size=parse_output_size(options.output_size),
                    fps_target=options.fps_target,
                    governor=cast(GovernorMode, options.governor),
                    sample_aspect_ratio=info.sample_aspect_ratio,
                    mask=options.mask or PERSON,
                    blend=cast("Blend", options.blend),
                ),
                clock=self._clock,
                stats=self.stats,
            )


def _is_same_file(spec: str, other: str) -> bool:
    return Path(other).exists() and Path(spec).samefile(other)


def _import_engine() -> None:
    from models import load_engine  # noqa: F401
