"""CanvasSeat: a seat that is drawn on. Nothing is painted unless something was drawn.

    patches, each of them ─► picture ─► paint it as it is now … 300 ms without ─► paint at rest

The governor gives up steps and size only: if pictures were left out, the last one might be, and
none would follow it. At rest the picture is painted once more with nothing given up; then nothing
is sent until somebody draws.
"""

import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import ModelError
from stream.channel import Channel
from stream.clock import Clock
from stream.errors import SinkError
from stream.live.controls import Controls
from stream.live.host import LiveHost
from stream.live.live_stylizer import LiveStylizerOptions
from stream.studio import pictures
from stream.studio.canvas import MOST_GRAIN, CanvasPicture, Timelapse
from stream.studio.protocol import Close, Kind, Packet, ProtocolError
from stream.studio.seat import Seat, SeatOptions
from stream.studio.thumbnails import Thumbnails
from stream.workers import meanwhile

if TYPE_CHECKING:
    from collections.abc import Callable

    from models import Engine

REST_S = 0.3
"""How long nothing is drawn before it counts as rest."""

FPS_TARGET = 30.0
"""Paintings a second while somebody draws, below which effort is given up."""

SIZE_SHARE = 1.5
"""Short side that is painted at, of the model's own: a painting at rest has time."""

SIZE_STEP_PX = 32
GRAIN = 6.0

MOST_WAITING = 16
"""Patches that may wait to be put on the picture; who keeps to the protocol has two."""


class CanvasSeat(Seat):
    """A person's drawing and its painting; threads as `Seat`'s."""

    kind = "canvas"

    def __init__(
        self,
        id_: str,
        options: SeatOptions,
        controls: Controls,
        engine_thread: LiveHost,
        *,
        clock: Clock,
    ) -> None:
        super().__init__(id_, options, controls, engine_thread, clock=clock)
        controls.change({"transition": 0.0})  # between two strokes nothing fades
        self.timelapse = Timelapse()
        self._picture = CanvasPicture(options.size)
        self._lock = threading.Lock()
        self._mark = 0
        self._changed_at_s: float | None = None
        self._rest_at_s: float | None = None
        self._grain = GRAIN
        self._thumbnails = Thumbnails(options.prompts, rounds=1)
        self._has_all_sizes = False

    # The web thread

    def take(self, packet: Packet) -> None:
        if packet.kind is not Kind.PATCH:
            raise ProtocolError(f"got a message of kind {packet.kind:d} from a canvas")
        if len(self._packets) >= MOST_WAITING:
            raise ProtocolError("got more patches than were acknowledged", Close.TOO_FAST)
        self._packets.put(packet)

    def change(self, asked: dict[str, Any]) -> None:
        rest = {word: value for word, value in asked.items() if word != "grain"}
        grain = asked.get("grain", self._grain)
        is_number = isinstance(grain, int | float) and not isinstance(grain, bool)
        if not is_number or not 0 <= grain <= MOST_GRAIN:
            raise ValueError(f"got grain={grain!r}, expected 0 to {MOST_GRAIN:g}")
        super().change(rest)
        with self._lock:
            self._grain = float(grain)
        if self._first_s is not None:
            self._repaint()

    def look_as_dict(self) -> dict[str, object]:
        return {**super().look_as_dict(), "grain": self._grain}

    def film(self, path: Path, then: "Callable[[int, str], None]") -> None:
        """Make a video of how the painting came to be.

        Args:
            then: Told how many frames it has, and what went wrong or ""; in another thread.
        """
        meanwhile("timelapse", partial(self._film, path, then))

    # The decoder's thread

    def _make_channel(self) -> Channel[Packet]:
        return Channel(MOST_WAITING)

    def _decode(self, packet: Packet) -> None:
        data = pictures.decode(packet)
        with self._lock:
            self._picture.apply(data, packet.place)
            self._mark = packet.id
        self.tell({"ack": packet.id})
        self.stats.count_in(self.clock.now_s())
        self._repaint()

    def _repaint(self) -> None:
        with self._lock:
            if self._changed_at_s is None:
                self._changed_at_s = self.clock.now_s()
        self._engine_thread.wake()

    # The engine's thread

    @property
    def has_frame(self) -> bool:
        return self._changed_at_s is not None and not self._is_preparing

    @property
    def due_at_s(self) -> float | None:
        return self._thumbnails.due_at_s if self._rest_at_s is None else self._rest_at_s

    def paint_frame(self, engine: "Engine") -> None:
        try:
            if self._can_begin(engine):
                self._paint_newest(engine)
        except ModelError as err:
            self._fail(err)

    def _paint_newest(self, engine: "Engine") -> None:
        with self._lock:
            changed_at_s, self._changed_at_s = self._changed_at_s, None
            data, mark = self._picture.with_grain(self._grain), self._mark
        if changed_at_s is None:
            return
        frame = self._newest = self._stamped(data, mark, changed_at_s)
        self._thumbnails.rest()
        look, start_s = self.controls.look, self.clock.now_s()
        stylizer = self._stylizer_of(engine)
        painted = stylizer.paint(frame, look)
        self._times_s = start_s - changed_at_s, self.clock.now_s() - start_s
        self._show(frame, None if look.bypass else painted, stylizer.output_size(frame.size))
        self._rest_at_s = self.clock.now_s() + REST_S
        if not self._has_all_sizes:
            self._has_all_sizes = stylizer.prepare_all(frame.size)
        self.timelapse.keep(painted.data)

    def paint_due(self, engine: "Engine") -> None:
        if self._rest_at_s is None:
            super().paint_due(engine)
            return
        self._rest_at_s = None
        newest, now_s = self._newest, self.clock.now_s()
        if newest is None:
            return
        if not self._stylizer_of(engine).can_rest(newest.size, self.controls.look):
            self._rest_at_s = now_s + REST_S
            return
        frame = self._stamped(newest.data, newest.mark, now_s)
        look = self.controls.look
        try:
            stylizer = self._stylizer_of(engine)
            painted = stylizer.paint_at_rest(frame, look)
        except ModelError as err:
            self._fail(err)
            return
        self._times_s = 0.0, self.clock.now_s() - now_s
        self._rest_pts = frame.pts
        self._show(frame, None if look.bypass else painted, stylizer.output_size(frame.size))
        self.timelapse.keep(painted.data)
        self._thumbnails.begin(self.clock.now_s())
        self._has_all_sizes = stylizer.prepare_all(frame.size)

    def _stylizer_options(self, engine: "Engine") -> LiveStylizerOptions:
        return LiveStylizerOptions(
            short_side_px=self.options.short_side_px or canvas_side_px(engine),
            fps_target=FPS_TARGET,
            governor="effort",
        )

    # Another thread

    def _film(self, path: Path, then: "Callable[[int, str], None]") -> None:
        try:
            count = self.timelapse.write(path)
        except SinkError as err:
            then(0, str(err))
            return
        then(count, "")


def canvas_side_px(engine: "Engine") -> int:
    """The short side that a canvas is painted at by this model."""
    return round(SIZE_SHARE * engine.native_size / SIZE_STEP_PX) * SIZE_STEP_PX
