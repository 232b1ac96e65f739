"""Painting: what becomes of a live session's frames in the thread that has the model.

    inbox ─► shown as it is, painted, or left to `move` ─► presenter

`Turns` lets that be the thread of a `LiveHost`, which paints for several sessions: one model in
memory, and each session's newest frame when it is its turn.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from stream.channel import Channel
from stream.clock import wait_for
from stream.frame import Frame, Size
from stream.live.controls import Controls
from stream.live.host import LiveHost
from stream.live.live_stylizer import LiveStylizer
from stream.live.motion_carry import MotionCarry
from stream.live.presenter import Presenter
from stream.live.tape import Tape
from stream.workers import Failures

if TYPE_CHECKING:
    from models import Engine


class Painting:
    """Paints a session's frames. All but the attributes and `take` belongs to the thread that has
    the model.

    Args:
        make_painter: Makes what paints; loads the model where that is not loaded yet.
        tape: Told of each frame's look.
        on_frame: Called when a frame has come, in the thread that gave it.
        on_ready: Called when the painter can paint.
        on_begin: Called when the first painted picture has gone out.

    Attributes:
        inbox: The newest frame.
        carry: The newest painting, for `move`.
        moving: Set while not every frame is painted.
    """

    def __init__(
        self,
        make_painter: Callable[[], LiveStylizer],
        presenter: Presenter,
        controls: Controls,
        tape: Tape,
        *,
        on_frame: Callable[[], object],
        on_ready: Callable[[], None],
        on_begin: Callable[[], None],
    ) -> None:
        self.inbox: Channel[Frame] = Channel(1, leaky=True)
        self.carry = MotionCarry()
        self.moving = threading.Event()
        self.painter: LiveStylizer | None = None
        self._make_painter = make_painter
        self._presenter = presenter
        self._controls = controls
        self._tape = tape
        self._on_frame, self._on_ready, self._on_begin = on_frame, on_ready, on_begin
        self._size: Size = 0, 0
        self._has_begun = False

    def take(self, frame: Frame) -> None:
        """A frame has come; from the thread that captures.

        Raises:
            Closed: No more are taken.
        """
        self.inbox.put(frame)
        self._on_frame()

    def open(self, size: Size) -> LiveStylizer:
        """Make the painter and warm it up for frames of this (width, height)."""
        self.painter = painter = self._make_painter()
        painter.warm_up(size, self._controls.look)
        self._size = painter.output_size(size)
        self._on_ready()
        return painter

    def run(self, size: Size) -> None:
        """Paint until the inbox is closed; the model is this session's own."""
        painter = self.open(size)
        for frame in self.inbox:
            self.paint(frame)
        painter.close()

    def paint(self, frame: Frame) -> None:
        """Show one frame as the look says."""
        look = self._controls.look_at(frame.time_s, frame.captured_at_s)
        painter = self.painter
        assert painter is not None
        if look.bypass or look.freeze or frame.as_is:
            self._tape.change(frame, look)
            self.moving.clear()
            self._presenter.show(frame, None, look, self._size)
        elif painter.is_due(frame):
            look = self._controls.advance()
            self._tape.change(frame, look)
            painted = painter.paint(frame, look)
            self.carry.reference = painter.reference
            if painter.effort.every > 1:
                self.moving.set()
            else:
                self.moving.clear()
                self._presenter.show(frame, painted.data, look, self._size, painted.mask)
        if not self._has_begun and self._presenter.started:
            self._has_begun = True
            self._on_begin()


class Turns:
    """A session's place at a host: `stream.live.host.Guest`.

    Args:
        rate: Frames a second that are to be painted.
    """

    def __init__(self, host: LiveHost, painting: Painting, rate: float) -> None:
        self._host = host
        self._painting = painting
        self._rate = rate
        self._size: Size = 0, 0
        self._is_last = False
        self._over = threading.Event()
        self._failures = Failures()

    def run(self, size: Size) -> None:
        """Have turns until the end, which this thread waits for.

        Raises:
            CapacityError: There is no room.
            ModelError, …: What failed in the host's thread.
        """
        self._size = size
        self._host.admit(self, self._rate)
        try:
            wait_for(self._over)
        finally:
            self._host.remove(self, wait=True)
        painter = self._painting.painter
        if painter is not None:
            painter.reset()
        self._failures.raise_first()

    def finish(self) -> None:
        """No more frames come: the one that waits is the last."""
        self._is_last = True
        if not len(self._painting.inbox):
            self._over.set()

    def end(self) -> None:
        """No more turns."""
        self._over.set()

    # The host's thread

    @property
    def has_frame(self) -> bool:
        if self._over.is_set():
            return False
        return self._painting.painter is None or len(self._painting.inbox) > 0

    @property
    def due_at_s(self) -> float | None:
        return None

    def paint_frame(self, engine: "Engine") -> None:
        """One frame; the first turn makes the painter."""
        if not self._failures.guard(self._paint):
            self._over.set()
        if self._is_last and not len(self._painting.inbox):
            self._over.set()

    def paint_due(self, engine: "Engine") -> None:
        return

    def _paint(self) -> None:
        if self._painting.painter is None:
            self._painting.open(self._size).crowd = partial(self._host.crowd, self)
            return
        frame = self._painting.inbox.poll()
        if frame is not None:
            self._painting.paint(frame)
