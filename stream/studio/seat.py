"""Seat: one person at the studio: a look, a history, outputs, all their own.

    packets ─[newest]─► decoder thread ─► frame ─[newest]─► engine's thread ─► presenter ─► fan-out

The web thread gives packets and changes the look; nothing in here waits for it. Two seats share
the engine and nothing else. `canvas_seat.py` has the kind that is drawn on.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models import ModelError
from stream import geometry
from stream.channel import Channel
from stream.clock import Clock
from stream.errors import Closed
from stream.frame import Frame, Size
from stream.live.controls import Controls
from stream.live.fan_out import FanOut
from stream.live.host import LiveHost
from stream.live.live_stylizer import LiveStylizer, LiveStylizerOptions
from stream.live.motion_carry import Carrier
from stream.live.presenter import Presenter
from stream.live.session import TIME_BASE
from stream.stats import Stats
from stream.studio import pictures
from stream.studio.h264 import H264Decoder
from stream.studio.protocol import AT_REST, CODECS, KEY, Kind, Packet, ProtocolError, write_packet
from stream.studio.seat_sound import SeatSound
from stream.studio.thumbnails import Thumbnails
from stream.studio.viewer import BrowserSink, Viewer
from stream.video_info import VideoInfo
from stream.workers import Failures, Worker, meanwhile

if TYPE_CHECKING:
    from models import Engine

logger = logging.getLogger(__name__)

JOIN_S = 5.0

MOST_WAITING = 8
"""Pictures that may wait to be decoded; of JPEG the newest alone is."""

PAINTING_S = 3.0
"""Somebody is live who sent a picture within this time."""

Tell = Callable[[dict[str, Any]], None]
"""Takes a control message for the page; from any thread."""


@dataclass(frozen=True, slots=True)
class SeatOptions:
    """What a seat is made with.

    Attributes:
        size: (width, height) of its pictures, in px.
        rate: Frames a second that the page sends at most.
        prompts: Of the styles that thumbnails are made of.
        short_side_px: That the model works at; ``None`` takes its own.
    """

    size: Size
    rate: float
    prompts: tuple[str, ...] = ()
    short_side_px: int | None = None


class Seat:
    """A person's camera and its painting. `take`, `watch` and `close` belong to the web thread."""

    kind = "live"

    def __init__(
        self,
        id_: str,
        options: SeatOptions,
        controls: Controls,
        engine_thread: LiveHost,
        *,
        clock: Clock,
    ) -> None:
        self.id = id_
        self.options = options
        self.controls = controls
        self.clock = clock
        self.stats = Stats(fps_target=options.rate, clock=clock)
        self.fan_out = FanOut(())
        self.failures = Failures()
        self.tell: Tell = lambda message: None
        self.post: Callable[[bytes], None] = lambda message: None
        self.is_closed = False
        self.refuse: Callable[[ProtocolError], None] = lambda err: None
        self._engine_thread = engine_thread
        self._presenter = Presenter(self.fan_out, clock=clock, stats=self.stats)
        self._packets: Channel[Packet] = self._make_channel()
        self._h264, self._lost = H264Decoder(), 0
        self._waiting: Channel[Frame] = Channel(1, leaky=True)
        self._stylizer: LiveStylizer | None = None
        self._is_preparing = False
        self._carrier, self._moving = Carrier(), threading.Event()
        self._thumbnails = Thumbnails(options.prompts, rounds=None)
        self._newest: Frame | None = None
        self._shown: Frame | None = None
        self._rest_pts: int | None = None
        self._times_s = (0.0, 0.0)
        self._first_s: float | None = None
        self._sound = SeatSound(self.fan_out)
        self._viewers: list[tuple[Viewer, Worker]] = []
        self._decoder = Worker("seat decoder", [self._decode_all], self.failures, JOIN_S)

    # The web thread

    def start(self) -> None:
        """Begin to decode and to have turns."""
        self._decoder.start()
        self._engine_thread.add(self)

    def close(self) -> None:
        """No more turns; threads end by themselves."""
        self.is_closed = True
        self._engine_thread.remove(self)
        self._packets.close(discard=True)
        for viewer, _ in self._viewers:
            viewer.close()
        self.fan_out.close()
        # pages, seats and viewers know each other: what is large does not wait for a collection
        self._stylizer = self._newest = self._shown = None
        self._carrier = Carrier()

    def take(self, packet: Packet) -> None:
        """A picture or a piece of sound from the page; `ProtocolError` where it is neither."""
        if packet.kind is Kind.SOUND:
            if self._first_s is not None:
                self._sound.hear(packet, self.clock.now_s() - self._first_s)
            return
        if packet.kind not in (Kind.JPEG, Kind.H264):
            raise ProtocolError(f"got a message of kind {packet.kind:d} from a camera's page")
        self.tell({"ack": packet.id})
        with suppress(Closed):
            self._packets.put(packet)

    def watch(self, post: Callable[[bytes], None], codecs: tuple[str, ...] = CODECS[:1]) -> Viewer:
        """Show the paintings to one more page, which can show these codecs, until `unwatch`."""
        sink = BrowserSink(
            post,
            clock=self.clock,
            flags_of=self._flags_of,
            times_of=lambda _: self._times_s,
            codecs=codecs,
            rate=self.options.rate,
        )
        viewer = Viewer("browser", sink, clock=self.clock, stats=self.stats)
        worker = Worker("seat viewer", [viewer.run], self.failures, JOIN_S)
        self._viewers.append((viewer, worker))
        self.fan_out.add(viewer.outlet)
        worker.start()
        if self._shown is not None:
            with suppress(Closed):
                viewer.outlet.channel.put(self._shown)
        return viewer

    def unwatch(self, viewer: Viewer) -> None:
        """A page has gone."""
        self.fan_out.remove(viewer.outlet)
        viewer.close()
        self._viewers = [one for one in self._viewers if one[0] is not viewer]

    def photograph(self) -> None:
        """Send the page the newest painting, every pixel as it is."""
        frame = self._shown
        if frame is not None:
            meanwhile("photo", partial(self._send_photo, frame))

    def look_as_dict(self) -> dict[str, object]:
        """What holds now, in the words that `change` takes."""
        return self.controls.as_dict()

    def change(self, asked: dict[str, Any]) -> None:
        """Change the look.

        Raises:
            ValueError: A word or its value cannot be used.
        """
        self.controls.change(asked)

    def try_change(self, asked: dict[str, Any]) -> None:
        """Likewise, where that can be."""
        with suppress(ValueError):
            self.change(asked)

    @property
    def is_painting(self) -> bool:
        """Whether pictures have been coming of late."""
        newest = self._newest
        return newest is not None and self.clock.now_s() - newest.captured_at_s < PAINTING_S

    @property
    def video_info(self) -> VideoInfo:
        """Of what its outputs are given."""
        return VideoInfo(
            size=self.options.size,
            time_base=TIME_BASE,
            rate=Fraction(self.options.rate).limit_denominator(1001),
        )

    def figures(self) -> dict[str, object]:
        """What the page shows of the machine."""
        stylizer = self._stylizer
        effort = None if stylizer is None else stylizer.effort
        if effort is None:
            return {"fps": 0.0}
        told = {"steps": effort.steps, "px": effort.short_side_px, "every": effort.every}
        level = self.stats.effort_level
        return {"fps": round(self.stats.recent_fps(), 1), "effort": {**told, "level": level}}

    # The decoder's thread

    def _make_channel(self) -> Channel[Packet]:
        return Channel(MOST_WAITING, leaky=True)

    def _decode_all(self) -> None:
        for packet in self._packets:
            try:
                self._decode(packet)
            except ProtocolError as err:
                self.refuse(err)

    def _decode(self, packet: Packet) -> None:
        arrived_at_s = self.clock.now_s()
        data = self._decode_h264(packet) if packet.kind is Kind.H264 else None
        if len(self._packets):  # a newer one waits
            return
        if packet.kind is Kind.JPEG:
            data = pictures.decode(packet)
        if data is not None:
            data = geometry.fit(data, self.options.size)
            self._take_in(self._stamped(data, packet.id, arrived_at_s))

    def _decode_h264(self, packet: Packet) -> pictures.Data | None:
        """The next picture of H.264, of which none may be left out."""
        if self._packets.dropped != self._lost:
            self._lost = self._packets.dropped
            self._h264.forget()
        data = self._h264.decode(packet.payload, key=bool(packet.flags & KEY))
        if self._h264.needs_key:
            self.tell({"key": True})
        return data

    def _stamped(self, data: pictures.Data, mark: int, captured_at_s: float) -> Frame:
        """A frame of now, with what was there since `captured_at_s`."""
        now_s = self.clock.now_s()
        if self._first_s is None:
            self._first_s = now_s
        pts = round((now_s - self._first_s) * TIME_BASE.denominator)
        return Frame(
            np.ascontiguousarray(data), pts, TIME_BASE, captured_at_s=captured_at_s, mark=mark
        )

    def _take_in(self, frame: Frame) -> None:
        self.stats.count_in(frame.captured_at_s)
        self._newest = frame
        self._waiting.put(frame)
        self._engine_thread.wake()
        if self._moving.is_set():
            self._move(frame)

    def _move(self, frame: Frame) -> None:
        """Show the newest painting carried along, while not every frame is painted."""
        stylizer = self._stylizer
        reference = None if stylizer is None else stylizer.reference
        if reference is None:
            return
        moved = self._carrier.carry(reference, frame)
        if moved is None:  # after a cut the old painting stands until there is a new one
            moved = reference.frame
        self._show(frame, moved, moved.size)

    # The engine's thread

    @property
    def has_frame(self) -> bool:
        """Whether a picture waits to be painted, and for nothing else."""
        return len(self._waiting) > 0 and not self._is_preparing

    @property
    def due_at_s(self) -> float | None:
        """When something besides is to be painted."""
        return self._thumbnails.due_at_s

    def paint_frame(self, engine: "Engine") -> None:
        """Paint the picture that waits, and show it."""
        try:
            if not self._can_begin(engine):
                return
            frame = self._waiting.poll()
            if frame is not None:
                self._paint(engine, frame)
            due_at_s = self._thumbnails.due_at_s
            if due_at_s is not None and due_at_s <= self.clock.now_s():
                self.paint_due(engine)
        except ModelError as err:
            self._fail(err)

    def paint_due(self, engine: "Engine") -> None:
        """Paint a thumbnail."""
        frame = self._newest
        if frame is None:
            self._thumbnails.rest()
            return
        try:
            style = self.controls.look.style
            message = self._thumbnails.paint(engine, frame, style, self.clock.now_s())
            if message is not None:
                self.post(message)
        except ModelError as err:
            self._fail(err)

    def _can_begin(self, engine: "Engine") -> bool:
        """Whether the engine is ready for this seat; others have their turns until it is."""
        stylizer = self._stylizer_of(engine)
        self._is_preparing = True
        if stylizer.can_begin(self.options.size):
            self._is_preparing = False
            return True
        return False

    def _end_preparing(self) -> None:
        """A size is ready; in another thread."""
        self._is_preparing = False
        self._engine_thread.wake()

    def _paint(self, engine: "Engine", frame: Frame) -> None:
        stylizer, look = self._stylizer_of(engine), self.controls.look
        size = stylizer.output_size(frame.size)
        if look.bypass or look.freeze:
            self._moving.clear()
            self._show(frame, None, size)
        elif stylizer.is_due(frame):
            start_s = self.clock.now_s()
            painted = stylizer.paint(frame, look)
            self._times_s = start_s - frame.captured_at_s, self.clock.now_s() - start_s
            if stylizer.effort.every > 1:
                self._moving.set()
            else:
                self._moving.clear()
                self._show(frame, painted, size)
            if self._thumbnails.due_at_s is None:
                self._thumbnails.begin(self.clock.now_s())

    def _show(self, frame: Frame, painted: Frame | None, size: Size) -> None:
        look = self.controls.look
        if painted is None:
            self._presenter.show(frame, None, look, size)
            return
        self._presenter.show(frame, painted.data, look, size, painted.mask)
        self._shown = frame.replace(painted.data)

    def _flags_of(self, frame: Frame) -> int:
        return AT_REST if frame.pts == self._rest_pts else 0

    def _stylizer_of(self, engine: "Engine") -> LiveStylizer:
        if self._stylizer is None:
            self.controls.start_with(engine.default_style)
            self._stylizer = LiveStylizer(
                engine,
                self.controls.look,
                self._stylizer_options(engine),
                clock=self.clock,
                stats=self.stats,
            )
            self._stylizer.crowd = partial(self._engine_thread.crowd, self)
            self._stylizer.preparation.then = self._end_preparing
            self.tell({"look": self.look_as_dict()})
        return self._stylizer

    def _stylizer_options(self, engine: "Engine") -> LiveStylizerOptions:
        return LiveStylizerOptions(
            short_side_px=self.options.short_side_px, fps_target=self.options.rate
        )

    def _fail(self, err: ModelError) -> None:
        logger.warning("%s", err)
        self._stylizer = None
        self.tell({"failed": str(err)})

    def _send_photo(self, frame: Frame) -> None:
        coded = pictures.encode_png(frame.data)
        self.post(write_packet(Packet(Kind.PHOTO, frame.mark & 0xFFFFFFFF, coded)))
