"""LiveSession: the threads of a live session, from one source through the model to several sinks.

                ┌─[·]─► paint: painting.py ──────────┐             ┌─[·]─► write window (the caller)
    capture ────┤                  │ newest painting ├─► presenter ┼─[·]─► write …
                └─[·]─► move: carries it along ──────┘             └─[·]─► write …

thread        touches only                  on an error
------------  ----------------------------  ------------------------------------------------------
capture       the source                    the session ends
paint         torch, engine, painter        the session ends (or it waits for a host's turns)
move          the newest painting           the session ends
write NAME    one sink                      that sink is closed, the others go on
the caller's  the window, if there is one   the same

Every channel keeps only the newest frame. Where fewer frames are painted than captured, `move`
shows the others by warping the newest painting to them (`motion_carry.py`); otherwise it is idle.
All threads are workers of `stream.workers`, the only file that starts any.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial

from stream.channel import Channel
from stream.clock import Clock, ReentrantEvent, wait_for
from stream.errors import Closed, StreamError
from stream.frame import Frame
from stream.live.controls import Controls
from stream.live.fan_out import FanOut, Outlet
from stream.live.host import LiveHost
from stream.live.live_stylizer import LiveStylizer
from stream.live.motion_carry import Carrier
from stream.live.painting import Painting, Turns
from stream.live.presenter import Presenter
from stream.live.services import Service
from stream.live.tape import Tape
from stream.media.sound import SOUND_RATE, Sound, SoundClock
from stream.sinks.base import Sink
from stream.sources.base import Source
from stream.stats import REPEATED, Stats
from stream.workers import Failures, Worker, feed, run_workers

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90_000)
"""Of every frame in a live session, whose pts is when it was captured."""

USUAL_RATE = 24
"""Frames a second where neither the target nor the source says."""

MAX_AGE_S = 0.15
TICK_S = 1.0

NEWER = "newer frame"
"""Why a frame is dropped where all is well."""

IN_FLIGHT = 3
"""Frames that may be on their way: one waits, one is painted, one is moved."""

MAKER_LIMIT_S = 0.5
"""How long is waited at the end for who reads and paints, before they are left behind: nothing
depends on them any more, and one may be loading a model, or listening to a silent server."""

WRITE_LIMIT_S = 60.0
"""Likewise for a sink, which must end: a recording may have to be finished."""


class LiveSession:
    """Runs a live stream until its end, a `stop`, or the death of its last sink; once.

    `run` belongs to the main thread if a sink needs it, `stop` to any. Source and sinks are closed
    by the session, in the threads that used them.

    Args:
        source: Read as fast as it gives frames.
        make_painter: Loads the model, or takes the host's; called in the thread that paints.
        sinks: Name and sink of each output; at most one of the main thread.
        controls: The look, live.
        host: Paints for several sessions by turns; ``None``: this one has a model of its own.
        services: Run beside it.
        tape: Records the source and the changes; its recording is one of `services`.
        max_age_s: A frame older than this is not written where a newer one waits.
        duration_s: Stop by itself so many seconds after the first painted picture; ``None`` never
            does.
        on_ready: Called, in the thread that paints, when the first painted picture has gone out.
        on_tick: Called once a second while there is no window, in the caller's thread.
        join_limit_s: How long is waited for a thread to end; ``None`` takes what suits each.
    """

    def __init__(
        self,
        source: Source,
        make_painter: Callable[[], LiveStylizer],
        sinks: Sequence[tuple[str, Sink]],
        *,
        controls: Controls,
        host: LiveHost | None = None,
        clock: Clock | None = None,
        stats: Stats | None = None,
        services: Sequence[Service] = (),
        tape: Tape | None = None,
        max_age_s: float = MAX_AGE_S,
        duration_s: float | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_tick: Callable[[], None] = lambda: None,
        join_limit_s: float | None = None,
    ) -> None:
        self._clock = clock or Clock()
        self.stats = stats or Stats(clock=self._clock)
        self._source = source
        self._controls = controls
        self._services = tuple(services)
        self._tape = tape or Tape()
        self._duration_s = duration_s
        self._on_ready, self._on_tick = on_ready, on_tick
        self._join_limit_s = join_limit_s
        outlet = partial(Outlet, clock=self._clock, stats=self.stats, max_age_s=max_age_s)
        outlets = [outlet(name, sink) for name, sink in sinks]
        self._fanout = FanOut(outlets)
        self._window = next((one for one in outlets if one.sink.main_thread), None)
        if sum(one.sink.main_thread for one in outlets) > 1:
            raise ValueError("got several sinks of the main thread, expected at most one window")
        self._presenter = Presenter(self._fanout, clock=self._clock, stats=self.stats)
        self._painting = Painting(
            make_painter,
            self._presenter,
            controls,
            self._tape,
            on_frame=(lambda: None) if host is None else host.wake,
            on_ready=lambda: self._ready.set(),
            on_begin=self._begin,
        )
        self._inbox = self._painting.inbox
        self._turns: Turns | None = None
        if host is not None:
            rate = self.stats.fps_target or source.info.rate or USUAL_RATE
            self._turns = Turns(host, self._painting, float(rate))
        self._motion: Channel[Frame] = Channel(1, leaky=True)
        self._sound_clock, self._microphone_clock = SoundClock(), SoundClock()
        self._over, self._ready, self._begun = (ReentrantEvent() for _ in range(3))
        self._failures = Failures()
        self._first_s: float | None = None
        self._previewed = False
        self._started_at_s = 0.0
        self._end_s: float | None = None
        self._has_run = False

    def run(self) -> Stats:
        """Run until the end and return what was counted.

        Raises:
            KeyboardInterrupt: Ctrl-C; the sinks are closed properly first.
            SourceError, SinkError, ModelError, …: What ended the session. A sink's failure does
                so only if it was the last one; the others' are in `failed_sinks`.
            StreamError: A sink did not end.
            RuntimeError: It has run before.
        """
        if self._has_run:
            raise RuntimeError("this session has run: make a new one for another run")
        self._has_run = True
        self._started_at_s = self._clock.now_s()
        self._controls.on_quit = self.stop
        workers = makers, takers = self._workers()
        run_workers(
            [*makers, *takers], self._attend, partial(self._shut_down, *workers), self._failures
        )
        self.stats.count_unseen(NEWER)
        self.stats.note(*self._source.notes)
        self._failures.raise_first()
        return self.stats

    def stop(self) -> None:
        """End properly: the sinks are finished. From any thread, or a signal handler."""
        self._end()
        self._ready.set()
        self._source.interrupt()

    @property
    def failed_sinks(self) -> list[str]:
        """Names of the sinks that failed; why is in the notes."""
        return [one.name for one in self._fanout.outlets if one.failed]

    def _workers(self) -> tuple[list[Worker], list[Worker]]:
        """The threads that make frames, and those that take them."""

        def maker(name: str, *steps: Callable[[], object]) -> Worker:
            limit_s = self._join_limit_s or MAKER_LIMIT_S
            return Worker(name, steps, self._failures, limit_s, must_end=False)

        def taker(name: str, *steps: Callable[[], object]) -> Worker:
            limit_s = self._join_limit_s or WRITE_LIMIT_S
            return Worker(name, steps, self._failures, limit_s)

        makers = [
            maker("capture", self._capture, self._source.close, self._inbox.close, self._no_more),
            maker("paint", self._paint, self._ready.set, self._motion.close),
            maker("move", self._move, self._end),
        ]
        takers = [
            taker(
                f"write {one.name}",
                partial(self._guarded, one, partial(feed, one.channel, one.write)),
                partial(self._guarded, one, partial(self._finish, one)),
            )
            for one in self._fanout.outlets
            if one is not self._window
        ]
        takers += [taker(one.name, one.run) for one in self._services]
        return makers, takers

    # The thread that captures

    def _capture(self) -> None:
        while not self._over.is_set():
            start_s = self._clock.now_s()
            frame = self._source.read()
            if frame is None:
                break
            now_s = self._clock.now_s()
            self.stats.record("read", now_s - start_s)
            if not self._ready.is_set():
                self._preview(frame.replace(frame.data, captured_at_s=now_s))
                if not self._source.can_wait:
                    self._source.sounds()  # of pictures that will not be
                    continue
                self._ready.wait()
                now_s = self._clock.now_s()
            self._take_in(frame, now_s)
            self._listen(frame, now_s)

    def _take_in(self, frame: Frame, now_s: float) -> None:
        """Stamp a frame and give it to those who paint and move. Time starts at the first."""
        if self._first_s is None:
            self._first_s = now_s
        pts = round((now_s - self._first_s) * TIME_BASE.denominator)
        frame = frame.replace(
            frame.data, pts=pts, time_base=TIME_BASE, duration=None, captured_at_s=now_s
        )
        self.stats.count_in(now_s)
        self.stats.count_unseen(NEWER, IN_FLIGHT)
        with suppress(Closed):
            if not self._presenter.started:
                self._preview(frame)
            self._tape.take(frame)
            self._painting.take(frame)
            self._motion.put(frame)

    def _preview(self, frame: Frame) -> None:
        """Show a frame unpainted, to those who take such."""
        if self._presenter.preview(frame) and not self._previewed:
            self._previewed = True
            self.stats.record("first preview", self._clock.now_s() - self._started_at_s)
            logger.info("the first unpainted picture has gone out")

    def _listen(self, frame: Frame, now_s: float) -> None:
        """Pass on the sound that came with a frame as the source gave it."""
        if frame.is_repeat:
            self.stats.count_event(REPEATED)
        else:
            self._sound_clock.anchor(frame.time_s, now_s - (self._first_s or 0.0))
        for sound in self._source.sounds():
            self._pass_on(self._sound_clock.place(sound))

    def hear(self, sound: Sound) -> None:
        """Take a piece of a microphone's sound, whose last sample is of now; from one thread."""
        if self._first_s is not None:
            now_s = self._clock.now_s() - self._first_s
            self._microphone_clock.anchor(sound.end / SOUND_RATE, now_s)
            self._pass_on(self._microphone_clock.place(sound))

    def _pass_on(self, sound: Sound | None) -> None:
        if sound is not None:
            self._fanout.hear(sound)
            self._tape.hear(sound)

    def _no_more(self) -> None:
        if self._turns is not None:
            self._turns.finish()

    # The thread that paints, or waits for those that do

    def _paint(self) -> None:
        (self._painting if self._turns is None else self._turns).run(self._source.info.size)
        self._tape.end()

    def _begin(self) -> None:
        """The first painted picture has gone out."""
        now_s = self._clock.now_s()
        self.stats.record("first picture", now_s - self._started_at_s)
        self._end_s = None if self._duration_s is None else now_s + self._duration_s
        self._begun.set()
        logger.info("the first painted picture has gone out")
        self._on_ready()

    # The thread that moves

    def _move(self) -> None:
        carrier = Carrier()
        for frame in self._motion:
            key = self._painting.carry.reference
            if key is None or not self._painting.moving.is_set():
                continue
            look = self._controls.look
            with self.stats.stage("move"):
                moved = carrier.carry(key, frame)
            if moved is None:  # after a cut the old painting stands until there is a new one
                moved = key.frame
            if self._painting.moving.is_set():
                self._presenter.show(frame, moved.data, look, moved.size, moved.mask)

    # The caller's thread

    def _attend(self) -> None:
        """Until the end: write the window, or wait."""
        if self._window is None:
            self._wait()
            return
        with self._guarding(self._window):
            self._attend_window(self._window)
        if self._window.failed:
            self._wait()

    def _wait(self) -> None:
        wait_for(self._begun)
        while not self._waited():
            self._on_tick()

    def _waited(self) -> bool:
        """Wait for a tick; whether the session is over. Only a duration is the clock's to wait."""
        if self._end_s is None:
            return wait_for(self._over, TICK_S)
        left_s = self._end_s - self._clock.now_s()
        return left_s <= 0 or self._clock.wait(self._over, min(TICK_S, left_s))

    def _attend_window(self, window: Outlet) -> None:
        while not self._over.is_set():
            if self._end_s is not None and self._clock.now_s() >= self._end_s:
                return
            frame = window.channel.poll()
            if frame is None:
                window.sink.idle()
            else:
                window.write(frame)

    # Ends

    def _end(self) -> None:
        self._over.set()
        self._begun.set()

    def _guarded(self, outlet: Outlet, step: Callable[[], object]) -> None:
        with self._guarding(outlet):
            step()

    @contextmanager
    def _guarding(self, outlet: Outlet) -> Iterator[None]:
        """A sink that fails is left out from now on; the last one to fail ends the session.

        What no sink should raise is raised again when the session has ended.
        """
        try:
            yield
        except Exception as err:
            outlet.failed = True
            outlet.channel.close(discard=True)
            is_last = all(one.failed for one in self._fanout.outlets)  # then it is raised besides
            level = logging.WARNING if is_last else logging.ERROR
            logger.log(level, "The output %s failed: %s", outlet.name, err)
            self.stats.count_event(f"{outlet.name} failed")
            self.stats.note(f"The output {outlet.name} failed: {err}")
            if is_last:
                self._end()
            if is_last or not isinstance(err, (StreamError, ValueError, OSError)):
                raise

    def _finish(self, outlet: Outlet) -> None:
        outlet.finish(aborted=outlet.failed)  # what was shown until a failure elsewhere is kept

    def _shut_down(self, makers: list[Worker], takers: list[Worker]) -> None:
        """Wake everybody and wait for them. May be repeated."""
        self.stop()
        self._inbox.close(discard=True)
        if self._turns is not None:
            self._turns.end()
        self._motion.close(discard=True)
        for worker in makers:
            worker.join()
        self._fanout.close()
        for service in self._services:
            service.stop()
        if (window := self._window) is not None:
            finish = partial(self._finish, window)
            self._failures.guard(partial(self._guarded, window, finish))
        for worker in takers:
            worker.join()
