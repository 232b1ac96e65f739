"""PipeWireSink: a camera for Linux desktops without a kernel module, by PipeWire and GStreamer.

    write ──pipe──► gst-launch-1.0: fdsrc ─ newest only ─ I420 ─ pipewiresink ──► whoever picks it

Programs that ask the camera portal (browsers, OBS, GNOME) or PipeWire itself see "Alla Prima". The
child is killed and started again, with growing pauses, when it ends or takes nothing for a while.
Whether anybody looks makes no difference: without one, GStreamer drops the frames. Starts no
thread; `write` waits for the pipe, so it belongs into a thread of its own.
"""

import logging
import os
import select
import shutil
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO

from stream.clock import Clock
from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.geometry import fit
from stream.sinks.base import Sink
from stream.stats import Stats

logger = logging.getLogger(__name__)

NAME = "pipewire"
NODE = "allaprima"
TITLE = "Alla Prima"
LAUNCH = "gst-launch-1.0"
INSPECT = "gst-inspect-1.0"
PACKAGES = "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-pipewire"

STALL_S = 4.0
"""A child that takes nothing for so long is killed; a new one loads its plugins meanwhile."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
INSPECT_LIMIT_S = 20.0
END_S = 2.0


class PipeWireSink(Sink):
    """Shows frames as a PipeWire camera, of the first one's size. Not thread-safe.

    Args:
        rate: Frames a second that the camera announces.
        stats: Where restarts and missed frames are counted.
        launch: The program that runs the pipeline; the tests have another.

    Raises:
        SinkError: PipeWire or GStreamer is not here.
    """

    def __init__(
        self, *, rate: Fraction, clock: Clock, stats: Stats, launch: str | None = None
    ) -> None:
        if launch is None:
            refuse_without_pipewire()
        self.notes: list[str] = []
        self._rate = rate
        self._clock = clock
        self._stats = stats
        self._launch = launch or LAUNCH
        self._size: Size | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pause_s = FIRST_PAUSE_S
        self._next_start_s = 0.0
        self._reason = ""
        self._taken = 0

    def write(self, frame: Frame) -> None:
        if self._size is None:
            self._size = frame.size
            self.notes.append(f'The PipeWire camera is "{TITLE}" ({NODE}).')
        child = self._child or self._start(self._size)
        if child is None:
            self._stats.count_missed(NAME, "no connection")
            return
        data = fit(frame.data, self._size).tobytes()
        if self._send(child, data):
            self._taken += 1
            self._pause_s = FIRST_PAUSE_S
        else:
            self._stats.count_missed(NAME, "no connection")

    def close(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            with suppress(OSError):
                child.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        self._end(child)
        if not self._taken:
            self.notes.append(f"PipeWire took nothing: {self._reason or 'it did not answer'}.")

    def _start(self, size: Size) -> "subprocess.Popen[bytes] | None":
        if self._clock.now_s() < self._next_start_s:
            return None
        try:
            child = subprocess.Popen(
                [self._launch, *pipeline(size, self._rate)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for us, who end it
            )
        except OSError as err:
            raise SinkError(f"{self._launch} cannot be started ({err.strerror}).") from err
        for pipe in (child.stdin, child.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._child = child
        return child

    def _send(self, child: "subprocess.Popen[bytes]", data: bytes) -> bool:
        """All of one frame into the pipe; False where the child had to be given up."""
        assert child.stdin is not None
        left = memoryview(data)
        while left:
            if not select.select([], [child.stdin], [], STALL_S)[1]:
                self._give_up(child, f"it took nothing for {STALL_S:g} s")
                return False
            try:
                left = left[os.write(child.stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                self._give_up(child, _last_words(child.stderr) or "it ended")
                return False
        return True

    def _give_up(self, child: "subprocess.Popen[bytes]", reason: str) -> None:
        self._end(child)
        self._child = None
        self._reason = reason
        self._next_start_s = self._clock.now_s() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._stats.count_event(f"restart of {NAME}")
        logger.warning("pipewire: %s; starting it again", reason)

    @staticmethod
    def _end(child: "subprocess.Popen[bytes]") -> None:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def pipeline(size: Size, rate: Fraction) -> list[str]:
    """The words of GStreamer's pipeline for RGB frames of this size on standard input."""
    width, height = size
    properties = (
        f"media.class=Video/Source,media.role=Camera,node.name={NODE},"
        f'node.description="{TITLE.replace(" ", chr(92) + " ")}"'
    )
    return [
        *("-q", "fdsrc", "fd=0", f"blocksize={width * height * 3}", "do-timestamp=true"),
        *("!", "rawvideoparse", "format=rgb", f"width={width}", f"height={height}"),
        f"framerate={rate.numerator}/{rate.denominator}",
        *("!", "queue", "leaky=downstream", "max-size-buffers=1", "max-size-bytes=0"),
        "max-size-time=0",
        *("!", "videoconvert", "!", "video/x-raw,format=I420"),
        # without it PipeWire 0.3.65 crashes in buffers that are not its own
        *("!", "identity", "drop-allocation=true"),
        *("!", "pipewiresink", "mode=provide", "sync=false", f"stream-properties=p,{properties}"),
    ]


def refuse_without_pipewire() -> None:
    """
    Raises:
        SinkError: This is no Linux, GStreamer's part is missing, or PipeWire does not run.
    """
    if sys.platform != "linux":
        raise SinkError("PipeWire is for Linux; use the output virtualcam here.")
    if not has_gstreamer():
        raise SinkError(f"The PipeWire camera needs GStreamer's tools: {PACKAGES}.")
    if not pipewire_runs():
        raise SinkError(
            "PipeWire does not run for this user: start it (systemctl --user start pipewire "
            "wireplumber), or use the output virtualcam."
        )


def has_gstreamer() -> bool:
    """Whether GStreamer and its elements for PipeWire are installed."""
    if not shutil.which(LAUNCH) or not shutil.which(INSPECT):
        return False
    asked = [INSPECT, "pipewiresink"]  # not --exists, which finds nothing older than 1.0
    try:
        return subprocess.run(asked, capture_output=True, timeout=INSPECT_LIMIT_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def pipewire_runs() -> bool:
    """Whether PipeWire's socket is where its clients look for it (pipewire(1))."""
    folder = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    remote = os.environ.get("PIPEWIRE_REMOTE") or "pipewire-0"
    return folder is not None and (Path(folder) / remote).is_socket()


def _last_words(errors: IO[bytes] | None) -> str:
    """The first sentence of what GStreamer complained of."""
    if errors is None:
        return ""
    with suppress(OSError):
        lines = (errors.read() or b"").decode("utf-8", "replace").splitlines()
        told = [line for line in lines if line.startswith(("ERROR: ", "WARNING: "))]
        return told[0].partition(": ")[2].strip() if told else ""
    return ""
