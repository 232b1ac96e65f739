"""SeatOutputs: where a seat's paintings go besides its page, coming and going while it runs.

    {"output": "virtualcam", "on": true}     a camera for meetings
    {"output": "pipewire" | "stream", …}     a camera of the desktop; an address such as rtmp://…
    {"record": true}                         a video file, to be downloaded when it ends

Each has a thread of its own. One that fails is closed and named; the others go on.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from stream.errors import StreamError
from stream.frame import Frame
from stream.live.fan_out import Outlet
from stream.live.outputs import PIPEWIRE, VIRTUAL_CAMERA, LiveOutputs, open_live_sink
from stream.media.sound import SOUND_RATE, Sound
from stream.sinks.base import Sink
from stream.sinks.profiles import RECORDING
from stream.sinks.video import VideoSink
from stream.studio.seat import Seat
from stream.workers import Worker, feed

logger = logging.getLogger(__name__)

STREAM = "stream"
STREAM_SCHEMES = ("rtmp", "rtmps", "rtsp", "rtsps", "udp", "tcp")
DEVICES = (VIRTUAL_CAMERA, PIPEWIRE)
MAX_AGE_S = 0.15
FINISH_S = 60.0
"""How long a recording may take to be finished."""

Ended = Callable[[str, Path | None, str], None]
"""Told of an output that ended: its name, the file that it made, and what went wrong or ""."""


@dataclass(slots=True)
class Output:
    """An output that runs."""

    outlet: Outlet
    path: Path | None = None
    problem: str = ""
    worker: Worker | None = None


class Take(Sink):
    """A recording that begins in the middle: its first frame is at zero, and its sound with it."""

    def __init__(self, sink: VideoSink) -> None:
        self.backlog = sink.backlog
        self._sink = sink
        self.notes = sink.notes
        self.hears = sink.hears
        self._first: Frame | None = None

    def write(self, frame: Frame) -> None:
        if self._first is None:
            self._first = frame
        self._sink.write(replace(frame, pts=frame.pts - self._first.pts))

    def hear(self, sound: Sound) -> None:
        if self._first is None:
            return
        start = round(self._first.time_s * SOUND_RATE)
        later = sound.after(start)
        if later is not None:
            self._sink.hear(Sound(later.samples, later.position - start))

    def end_early(self) -> None:
        self._sink.end_early()

    def close(self) -> None:
        self._sink.close()

    def abort(self) -> None:
        self._sink.abort()


def outputs_here() -> tuple[str, ...]:
    """Outputs that this kind of machine can have; what one lacks, it says when it is started."""
    return tuple(name for name in (*DEVICES, STREAM) if name != PIPEWIRE or sys.platform == "linux")


class SeatOutputs:
    """The outputs of one seat. Belongs to the web thread; `ended` is called from others."""

    def __init__(self, seat: Seat, ended: Ended) -> None:
        self._seat = seat
        self._ended = ended
        self._running: dict[str, Output] = {}

    @property
    def names(self) -> list[str]:
        """Those that run."""
        return list(self._running)

    @property
    def waits(self) -> dict[str, str]:
        """Those that reach nobody just now, and why."""
        said = {
            name: str(getattr(output.outlet.sink, "waits_for", ""))
            for name, output in self._running.items()
        }
        return {name: sentence for name, sentence in said.items() if sentence}

    def start(self, name: str, address: str = "") -> None:
        """Open an output; one that runs stays as it is.

        Raises:
            StreamError: It cannot be opened.
            ValueError: There is no such output, or its address cannot be used.
        """
        if name not in (*DEVICES, STREAM):
            raise ValueError(f"got output={name!r}, expected {', '.join((*DEVICES, STREAM))}")
        spec = name
        if name == STREAM:
            spec = address
            if urlsplit(address).scheme not in STREAM_SCHEMES:
                schemes = ", ".join(STREAM_SCHEMES)
                raise ValueError(f"got {address!r}, expected an address that begins with {schemes}")
        if name not in self._running:
            seat = self._seat
            shared = LiveOutputs(seat.video_info, seat.controls, seat.stats, seat.clock)
            self._run(name, open_live_sink(spec, shared), None)

    def record(self, path: Path, *, sound: bool) -> None:
        """Begin a recording.

        Raises:
            SinkError: The file cannot be made.
        """
        if "recording" in self._running:
            return
        info = replace(self._seat.video_info, sound=sound)
        sink = VideoSink(path, info=info, encoding=RECORDING["libx264"], is_take=True)
        self._run("recording", Take(sink), path)

    def stop(self, name: str) -> None:
        """Finish an output; `ended` is told when it is done."""
        output = self._running.pop(name, None)
        if output is not None:
            self._seat.fan_out.remove(output.outlet)

    def close(self, *, wait: bool = False) -> None:
        """Finish them all.

        Args:
            wait: Until they are finished.
        """
        running = list(self._running.values())
        for name in list(self._running):
            self.stop(name)
        if wait:
            for worker in (output.worker for output in running):
                if worker is not None:
                    worker.join()

    def _run(self, name: str, sink: Sink, path: Path | None) -> None:
        seat = self._seat
        outlet = Outlet(name, sink, clock=seat.clock, stats=seat.stats, max_age_s=MAX_AGE_S)
        output = Output(outlet, path)
        write = partial(self._guarded, name, output, partial(feed, outlet.channel, outlet.write))
        finish = partial(self._guarded, name, output, partial(self._finish, output))
        done = partial(self._say_ended, name, output)
        worker = Worker(f"write {name}", [write, finish, done], seat.failures, FINISH_S)
        output.worker = worker
        self._running[name] = output
        seat.fan_out.add(outlet)
        worker.start()

    def _guarded(self, name: str, output: Output, step: Callable[[], object]) -> None:
        try:
            step()
        except (StreamError, ValueError) as err:
            logger.warning("The output %s failed: %s", name, err)
            output.problem = output.problem or str(err)
            output.outlet.failed = True
            output.outlet.channel.close(discard=True)
            self._seat.fan_out.remove(output.outlet)

    def _finish(self, output: Output) -> None:
        output.outlet.finish(aborted=output.outlet.failed)

    def _say_ended(self, name: str, output: Output) -> None:
        there = output.path is not None and output.path.exists()
        self._ended(name, output.path if there else None, output.problem)
