"""FanOut: hands one stream of frames to several sinks, none of which can slow another.

                 ┌──[ · ]──► outlet: window
    put ──frame──┼──[ · ]──► outlet: virtual camera
                 └──[···]──► outlet: recording

Each outlet has its own leaky channel: a slow sink misses frames, and the others do not. Sound is
handed over together with the pictures of the same time, however long those took. A sink that fails
is closed and reported; the others go on. Starts no thread. Called by `stream.live.session`.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from stream.channel import Channel
from stream.clock import Clock
from stream.errors import Closed
from stream.frame import Frame
from stream.media.sound import SOUND_RATE, Sound
from stream.sinks.base import Sink
from stream.stats import Stats

logger = logging.getLogger(__name__)

SOUND_BACKLOG = 500
"""Pieces of sound that wait for their pictures, some 20 ms each; beyond, the oldest is dropped."""


class Outlet:
    """One sink, its channel, and what became of it. `put` from any thread, the rest from one.

    Args:
        name: What the user calls it, the same in statistics and messages.
        sink: Written and closed by the thread that calls `write` and `finish`.
        max_age_s: A frame older than this is not written where a newer one waits.
    """

    def __init__(
        self, name: str, sink: Sink, *, clock: Clock, stats: Stats, max_age_s: float
    ) -> None:
        self.name = name
        self.sink = sink
        self.channel: Channel[Frame] = Channel(sink.backlog, leaky=True)
        self.sounds: deque[Sound] = deque(maxlen=SOUND_BACKLOG)
        self.failed = False
        self._taken = 0
        self._clock = clock
        self._stats = stats
        self._max_age_s = max_age_s

    def write(self, frame: Frame) -> None:
        """Hand one frame to the sink, unless it is too old and a newer one waits.

        Raises:
            SinkError, ValueError: What the sink says.
        """
        start_s = self._clock.now_s()
        self._hear(frame.time_s)
        stale = start_s - frame.captured_at_s > self._max_age_s
        if stale and self.sink.backlog == 1 and len(self.channel):
            self._stats.count_missed(self.name, "too old")
            return
        self.sink.write(frame)
        self._taken += 1
        self._stats.record(f"write {self.name}", self._clock.now_s() - start_s)
        if self.sink.took_last and not self.sink.counts_itself:
            self._stats.count_shown(self.name, frame.captured_at_s, start_s)

    def _hear(self, until_s: float) -> None:
        """Hand over the sound that is due by this time: it waited for its picture to be painted."""
        until = round(until_s * SOUND_RATE)
        while self.sounds and self.sounds[0].position <= until:
            self.sink.hear(self.sounds.popleft())

    def finish(self, *, aborted: bool) -> None:
        """Close the sink, or abort it, and count what it missed; of a recording it is noted too."""
        self.channel.close(discard=True)
        self._stats.count_missed(self.name, "newer frame", self.channel.dropped)
        if aborted:
            self.sink.abort()
        else:
            self.sink.end_early()
            self.sink.close()
            if self.sink.backlog > 1 and self.channel.dropped:
                missed, of = self.channel.dropped, self._taken + self.channel.dropped
                self._stats.note(
                    f"{self.name} lacks {missed} of {of} frames: it was not written fast enough."
                )
        self._stats.note(*self.sink.notes)


class FanOut:
    """Gives each frame to every outlet. Thread-safe; never waits."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self.outlets = tuple(outlets)
        self._lock = threading.Lock()

    def add(self, outlet: Outlet) -> None:
        """One more takes what comes from now on."""
        with self._lock:
            self.outlets = (*self.outlets, outlet)

    def remove(self, outlet: Outlet) -> None:
        """One takes nothing more; what waits for it is still written."""
        with self._lock:
            self.outlets = tuple(one for one in self.outlets if one is not outlet)
        outlet.channel.close()

    def put(self, frame: Frame) -> None:
        """A painted frame, to all."""
        self._put(frame, lambda sink: True)

    def preview(self, frame: Frame) -> bool:
        """A frame that is not painted yet, to those who take such; whether there are any."""
        self._put(frame, lambda sink: sink.takes_preview)
        return any(outlet.sink.takes_preview for outlet in self.outlets)

    def hear(self, sound: Sound) -> None:
        """A piece of sound, to all who take such."""
        for outlet in self.outlets:
            if outlet.sink.hears:
                outlet.sounds.append(sound)

    def close(self) -> None:
        """No more will come; what waits is still written."""
        for outlet in self.outlets:
            outlet.channel.close()

    def _put(self, frame: Frame, wanted: Callable[[Sink], bool]) -> None:
        for outlet in self.outlets:
            if wanted(outlet.sink):
                with suppress(Closed):
                    outlet.channel.put(frame)
