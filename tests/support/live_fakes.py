"""Fakes for live sessions: a source in step with its sink, a painter of known answer."""

import threading
from collections.abc import Callable, Sequence

from fakes import LIMIT_S, FakeEngine, ListSink, ListSource, make_frames

from models import Style
from stream.clock import Clock
from stream.frame import Frame, Size
from stream.live.controls import Controls, Look
from stream.live.governor import Effort
from stream.live.live_stylizer import LiveStylizer, LiveStylizerOptions
from stream.live.motion_carry import Reference, make_reference
from stream.live.session import LiveSession
from stream.sinks.base import Sink
from stream.stats import Stats


class PreviewSink(ListSink):
    """Takes unpainted frames, as a window does, but in a thread of its own."""

    takes_preview = True


class StuckSink(ListSink):
    """Takes one frame and hangs until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def write(self, frame: Frame) -> None:
        super().write(frame)
        self.let_go.wait(LIMIT_S)


class SteppedSource(ListSource):
    """Gives the next frame when it is told that the one before has arrived."""

    can_wait = True

    def __init__(self, count: int, **options: object) -> None:
        self._turn = threading.Semaphore(1)
        super().__init__(
            make_frames(count),
            before_read=lambda: self._turn.acquire(timeout=LIMIT_S),
            **options,
        )

    def step(self) -> None:
        self._turn.release()

    def interrupt(self) -> None:
        self._turn.release(1000)


class InStep:
    """Lets a source go on when each of its sinks has been given the frame, so that none misses one.

    Args:
        step: Lets the source give one more frame.
        sinks: How many there are.
    """

    def __init__(self, step: Callable[[], None], sinks: int = 0) -> None:
        self._step, self._sinks, self._given = step, sinks, 0
        self._lock = threading.Lock()

    def join(self) -> None:
        """One more sink is to be waited for; before the first frame."""
        self._sinks += 1

    def given(self) -> None:
        """A sink has a frame."""
        with self._lock:
            self._given += 1
            self._go_on()

    def leave(self) -> None:
        """A sink has failed and will be given no more."""
        with self._lock:
            self._sinks -= 1
            self._go_on()

    def _go_on(self) -> None:
        if self._given >= self._sinks:
            self._given = 0
            self._step()


class FakePainter:
    """Paints the negative; as much effort as it is told."""

    def __init__(self, every: int = 1) -> None:
        self.effort = Effort(1, 64, every)
        self.reference: Reference | None = None
        self.painted: list[int] = []
        self.on_paint: Callable[[], None] = lambda: None

    def warm_up(self, source_size: Size, look: Look) -> None:
        self.warmed_up = source_size

    def output_size(self, source_size: Size) -> Size:
        return source_size

    def is_due(self, frame: Frame) -> bool:
        return True

    def paint(self, frame: Frame, look: Look) -> Frame:
        self.on_paint()
        self.painted.append(frame.pts)
        painted = frame.replace(255 - frame.data)
        self.reference = make_reference(frame, painted)
        return painted

    def reset(self) -> None:
        self.reference = None

    def close(self) -> None:
        self.reset()


def make_controls() -> Controls:
    return Controls(Look(Style(), transition_s=0.0))


def make_live(
    source: ListSource,
    sinks: Sequence[tuple[str, Sink]],
    painter: FakePainter | None = None,
    controls: Controls | None = None,
    **options: object,
) -> LiveSession:
    painter = painter or FakePainter()
    return LiveSession(
        source,
        lambda: painter,
        sinks,
        controls=controls or make_controls(),
        join_limit_s=LIMIT_S,
        **options,
    )


def make_painter(
    engine: FakeEngine | None = None, clock: Clock | None = None, **options: object
) -> LiveStylizer:
    """The real painter on the fake engine."""
    clock = clock or Clock()
    look = Look(Style(), stability=0.0)
    return LiveStylizer(
        engine or FakeEngine(),
        look,
        LiveStylizerOptions(**options),
        clock=clock,
        stats=Stats(clock=clock),
    )
