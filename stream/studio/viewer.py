"""Viewer: a page that is shown a seat's paintings, as many as it can take and always the newest.

    fan-out ─[newest]─► wait for credit ─► encode ─► post to the web thread ─► socket
                              ▲ the page acknowledged what it has drawn

What cannot be sent is dropped before it is encoded. A link that keeps the viewer short of credit
is sent smaller files, then H.264 where the page can show it, until it has room again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from stream.clock import Clock
from stream.errors import Closed
from stream.frame import Frame
from stream.live.fan_out import Outlet
from stream.sinks.base import Sink
from stream.stats import Stats
from stream.studio import pictures
from stream.studio.h264 import H264Encoder
from stream.studio.protocol import AT_REST, KEY, MOST_IN_FLIGHT, TIMES, Kind, Packet, write_packet

QUALITIES = (90, 75, 60, 45)
"""Of JPEG, best first."""

BITS_PER_S = (1_200_000, 600_000, 300_000)
"""Of H.264, which follows the better half of `QUALITIES` where a page can show it."""

STILL_QUALITY = 95
"""Of a painting that stands."""

SHORT_S, SHORT_SHARE = 3.0, 0.5
"""After so long with this share of it spent waiting for credit, smaller files are sent."""

ROOM_S, ROOM_SHARE = 10.0, 0.1
"""After so long with less waiting than this, larger ones."""

MOST_ROOM_S = 160.0
"""A step up that had to be taken back is tried again after twice as long, up to this."""

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


@dataclass(frozen=True, slots=True)
class Step:
    """How pictures are encoded: H.264 of so many bits a second, or, where that is 0, JPEG."""

    quality: int = 0
    bits_per_s: int = 0


def steps_for(codecs: tuple[str, ...]) -> tuple[Step, ...]:
    """How a page that can show these codecs is sent pictures, best first."""
    stills = [Step(quality=quality) for quality in QUALITIES]
    films = [Step(bits_per_s=bits) for bits in BITS_PER_S]
    return tuple(stills[: len(stills) // 2] + films if "h264" in codecs else stills)


class QualityLadder:
    """Which step a link can take. Not thread-safe; reads no clock.

    Args:
        steps: Best first.
    """

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = steps
        self._index = 0
        self._since_s: float | None = None
        self._waited_s = 0.0
        self._room_s = ROOM_S
        self._up_at_s = float("-inf")

    @property
    def step(self) -> Step:
        """Of the next picture."""
        return self._steps[self._index]

    def observe(self, waited_s: float, now_s: float) -> None:
        """One picture waited so long for credit, until `now_s`."""
        if self._since_s is None:
            self._since_s = now_s - waited_s
        self._waited_s += waited_s
        span_s = now_s - self._since_s
        if span_s >= SHORT_S and self._waited_s >= SHORT_SHARE * span_s:
            if now_s - self._up_at_s < 2 * SHORT_S:
                self._room_s = min(MOST_ROOM_S, 2 * self._room_s)
            self._move(min(self._index + 1, len(self._steps) - 1))
        elif span_s >= self._room_s:
            has_room = self._waited_s <= ROOM_SHARE * span_s
            if has_room and self._index:
                self._up_at_s = now_s
            self._move(max(0, self._index - 1) if has_room else self._index)

    def _move(self, index: int) -> None:
        self._index, self._since_s, self._waited_s = index, None, 0.0


class BrowserSink(Sink):
    """Encodes paintings for one page. One thread writes.

    Args:
        post: Takes a message for the page; from any thread.
        flags_of: What is to be said of a painting.
        times_of: How long it waited and how long it was painted, in seconds.
        codecs: That the page can show.
        rate: Pictures a second that come at most.
    """

    takes_preview: ClassVar[bool] = False

    def __init__(
        self,
        post: Callable[[bytes], None],
        *,
        clock: Clock,
        flags_of: Callable[[Frame], int],
        times_of: Callable[[Frame], tuple[float, float]],
        codecs: tuple[str, ...] = (),
        rate: float = 24.0,
    ) -> None:
        self.notes: list[str] = []
        self.ladder = QualityLadder(steps_for(codecs))
        self.wants_key = False
        self._rate = rate
        self._encoder: H264Encoder | None = None
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
        flags, step = self._flags_of(frame), self.ladder.step
        if step.bits_per_s and not flags & AT_REST:
            kind = Kind.H264
            coded, is_key = self._encode_film(frame, step.bits_per_s)
            flags |= KEY if is_key else 0
        else:
            kind, self._encoder = Kind.JPEG, None
            coded = pictures.encode_jpeg(
                frame.data, STILL_QUALITY if flags & AT_REST else step.quality
            )
        age_s = self._clock.now_s() - frame.captured_at_s
        times = [min(0xFFFF, round(s * 1e3)) for s in (*self._times_of(frame), age_s)]
        packet = Packet(kind, frame.mark & 0xFFFFFFFF, coded, flags)
        self._post(write_packet(packet, TIMES.pack(*times)))

    def _encode_film(self, frame: Frame, bits_per_s: int) -> tuple[bytes, bool]:
        encoder = self._encoder
        if encoder is None or (encoder.size, encoder.bits_per_s) != (frame.size, bits_per_s):
            encoder = self._encoder = H264Encoder(frame.size, self._rate, bits_per_s)
        key, self.wants_key = self.wants_key, False
        return encoder.encode(frame.data, frame.time_s, key=key)

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

    def want_key(self) -> None:
        """The page cannot go on with H.264 until there is a picture that it can begin with."""
        self._sink.wants_key = True

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
