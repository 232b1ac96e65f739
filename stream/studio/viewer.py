"""Viewer: a page that is shown a seat's paintings, as many as it can take and always the newest.

    fan-out ─[newest]─► wait for credit ─► encode ─► post to the web thread ─► socket
                              ▲ the page acknowledged what it has drawn

What cannot be sent is dropped before it is encoded. A link that keeps the viewer short of credit
is sent smaller files, until it has room again.
"""

import threading
from collections.abc import Callable
from typing import ClassVar

from stream.clock import Clock
from stream.errors import Closed
from stream.frame import Frame
from stream.live.fan_out import Outlet
from stream.sinks.base import Sink
from stream.stats import Stats
from stream.studio import pictures
from stream.studio.protocol import AT_REST, MOST_IN_FLIGHT, TIMES, Kind, Packet, write_packet

QUALITIES = (90, 75, 60, 45)
"""Of JPEG, best first."""

STILL_QUALITY = 95
"""Of a painting that stands."""

SHORT_S, SHORT_SHARE = 3.0, 0.5
"""After so long with this share of it spent waiting for credit, smaller files are sent."""

ROOM_S, ROOM_SHARE = 10.0, 0.1
"""After so long with less waiting than this, larger ones."""

NEVER_TOO_OLD_S = 1e9


class Credit:
    """How many more pictures may be on their way. Thread-safe."""

    def __init__(self, most: int = MOST_IN_FLIGHT) -> None:
        self._most = most
        self._in_flight = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self) -> bool:
        """Wait until one more may be sent, and count it; False once closed."""
        with self._changed:
            while self._in_flight >= self._most and not self._closed:
                self._changed.wait()
            self._in_flight += 1
            return not self._closed

    def give(self) -> None:
        """One has arrived, or was not sent."""
        with self._changed:
            self._in_flight = max(0, self._in_flight - 1)
            self._changed.notify_all()

    def close(self) -> None:
        """Wake whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class QualityLadder:
    """Which quality a link can take. Not thread-safe; reads no clock."""

    def __init__(self) -> None:
        self._index = 0
        self._since_s: float | None = None
        self._waited_s = 0.0

    @property
    def quality(self) -> int:
        """Of the next picture."""
        return QUALITIES[self._index]

    def observe(self, waited_s: float, now_s: float) -> None:
        """One picture waited so long for credit, until `now_s`."""
        if self._since_s is None:
            self._since_s = now_s - waited_s
        self._waited_s += waited_s
        span_s = now_s - self._since_s
        if span_s >= SHORT_S and self._waited_s >= SHORT_SHARE * span_s:
            self._move(min(self._index + 1, len(QUALITIES) - 1))
        elif span_s >= ROOM_S:
            has_room = self._waited_s <= ROOM_SHARE * span_s
            self._move(max(0, self._index - 1) if has_room else self._index)

    def _move(self, index: int) -> None:
        self._index, self._since_s, self._waited_s = index, None, 0.0


class BrowserSink(Sink):
    """Encodes paintings for one page. One thread writes.

    Args:
        post: Takes a message for the page; from any thread.
        flags_of: What is to be said of a painting.
        times_of: How long it waited and how long it was painted, in seconds.
    """

    takes_preview: ClassVar[bool] = False

    def __init__(
        self,
        post: Callable[[bytes], None],
        *,
        clock: Clock,
        flags_of: Callable[[Frame], int],
        times_of: Callable[[Frame], tuple[float, float]],
    ) -> None:
        self.notes: list[str] = []
        self.ladder = QualityLadder()
        self._post = post
        self._clock = clock
        self._flags_of = flags_of
        self._times_of = times_of
        self._shown: object = None

    def write(self, frame: Frame) -> None:
        self.took_last = frame.data is not self._shown  # a frozen picture is sent once
        if not self.took_last:
            return
        self._shown = frame.data
        flags = self._flags_of(frame)
        quality = STILL_QUALITY if flags & AT_REST else self.ladder.quality
        coded = pictures.encode_jpeg(frame.data, quality)
        age_s = self._clock.now_s() - frame.captured_at_s
        times = [min(0xFFFF, round(s * 1e3)) for s in (*self._times_of(frame), age_s)]
        packet = Packet(Kind.JPEG, frame.mark & 0xFFFFFFFF, coded, flags)
        self._post(write_packet(packet, TIMES.pack(*times)))

    def close(self) -> None:
        return


class Viewer:
    """One page's place at a fan-out. `run` in a thread of its own; the rest from any.

    Args:
        name: In the statistics.
        sink: Encodes for the page.
    """

    def __init__(self, name: str, sink: BrowserSink, *, clock: Clock, stats: Stats) -> None:
        self.outlet = Outlet(name, sink, clock=clock, stats=stats, max_age_s=NEVER_TOO_OLD_S)
        self._sink = sink
        self._clock = clock
        self._credit = Credit()

    def acknowledge(self) -> None:
        """The page has drawn a painting."""
        self._credit.give()

    def run(self) -> None:
        """Send until `close`."""
        while True:
            start_s = self._clock.now_s()
            if not self._credit.take():
                return
            now_s = self._clock.now_s()
            self._sink.ladder.observe(now_s - start_s, now_s)
            try:
                frame = self.outlet.channel.get()
            except Closed:
                return
            self.outlet.write(frame)
            if not self._sink.took_last:
                self._credit.give()

    def close(self) -> None:
        """End `run`."""
        self.outlet.channel.close(discard=True)
        self._credit.close()
