"""Tape: records a performance: the source as it was captured, and every change of the look.

    capture ──frames, sound──► SourceRecording ──► take-source.mkv
    paint   ──frame, look────► AutomationWriter ─► take.jsonl

Called by `stream.live.session`. The recording has a thread of its own, as a service; it is given
every frame, those that are never painted too.
"""

import logging
import math
from contextlib import suppress

from stream.clock import Clock
from stream.errors import Closed, StreamError
from stream.frame import Frame
from stream.live.automation import AutomationWriter
from stream.live.controls import Look
from stream.live.fan_out import Outlet
from stream.media.sound import Sound
from stream.sinks.base import Sink
from stream.stats import Stats

logger = logging.getLogger(__name__)


class SourceRecording:
    """A service that writes what the source gave. `run` in its thread; the rest from any."""

    def __init__(self, name: str, sink: Sink, *, clock: Clock, stats: Stats) -> None:
        self.name = f"write {name}"
        self.output = name
        self.failed = False
        self._stats = stats
        self._outlet = Outlet(name, sink, clock=clock, stats=stats, max_age_s=math.inf)

    def take(self, frame: Frame) -> None:
        """A frame, stamped with its time in the session."""
        with suppress(Closed):
            self._outlet.channel.put(frame)

    def hear(self, sound: Sound) -> None:
        if self._outlet.sink.hears:
            self._outlet.sounds.append(sound)

    def run(self) -> None:
        """Write until `stop`, and finish the file; a failure is noted and stops nothing else."""
        try:
            for frame in self._outlet.channel:
                self._outlet.write(frame)
            self._outlet.finish(aborted=False)
        except (StreamError, ValueError, OSError) as err:
            self.failed = True
            self._outlet.channel.close(discard=True)
            self._outlet.sink.abort()
            self._stats.note(f"The output {self.output} failed: {err}")
            logger.error("The output %s failed: %s", self.output, err)

    def stop(self) -> None:
        """End `run` when what waits has been written."""
        self._outlet.channel.close()

    def abandon(self) -> None:
        """Let go of everything where `run` will never be called."""
        self._outlet.sink.abort()


class Tape:
    """Records nothing, or the source, or the changes, or both."""

    def __init__(
        self,
        source: SourceRecording | None = None,
        automation: AutomationWriter | None = None,
    ) -> None:
        self.source = source
        self.automation = automation

    def take(self, frame: Frame) -> None:
        """A captured frame; in the thread that captures."""
        if self.source is not None:
            self.source.take(frame)

    def hear(self, sound: Sound) -> None:
        """A piece of sound, placed in the session's time."""
        if self.source is not None:
            self.source.hear(sound)

    def change(self, frame: Frame, look: Look) -> None:
        """The look that a frame is shown with; in the thread that paints."""
        if self.automation is not None:
            self.automation.take(frame, look)

    def failed_outputs(self) -> list[str]:
        """The recording of the source, if it failed."""
        return [self.source.output] if self.source is not None and self.source.failed else []

    def end(self) -> None:
        """No more looks will come; in the thread that paints."""
        if self.automation is not None:
            self.automation.close()
