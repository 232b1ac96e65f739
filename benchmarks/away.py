"""The rate of a live session's output while its source is away, and when that is noticed.

    python benchmarks/away.py [--seconds 9] [--fps 24] [udp http rtsp silent-rtsp camera]

Each source sends for a while, is away for `--seconds`, and comes back: UDP and HTTP fall silent
(the peer's cable is pulled), RTSP's server is killed and started again, or stopped, the camera is
one of OpenCV's that hangs for a second a read and then cannot be opened. Written frames are counted
at a sink; the row says their rate before, while and after, the longest gap between two, how long
the silence took to be noticed, and how long after the return the first new frame came. RTSP needs
GStreamer's server (see tests/devices/rtsp_server.py). Last line: one JSON object.
"""

import argparse
import json
import logging
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
from machine import commit, machine, versions
from timed_painter import TimedPainter

from models import Style
from stream import Frame, Sink
from stream.clock import Clock
from stream.live.controls import Controls, Look
from stream.live.inputs import LiveInput, open_live_source
from stream.live.session import LiveSession
from stream.sources import camera as camera_source
from stream.stats import Stats

SIZE = (320, 180)
BEFORE_S, AFTER_S = 4.0, 4.0
STARTING_S = 20.0
PACKET_BYTES = 1316
RTSP_SERVER = Path(__file__).parent.parent / "tests" / "devices" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"


class Sender:
    """Sends MPEG-TS at its own speed, again and again; silent while `is_away`."""

    def __init__(self, folder: Path, fps: float) -> None:
        self.is_away = False
        self._stopped = threading.Event()
        self._data = pattern(folder / "pattern.ts", fps).read_bytes()
        self._pause_s = PACKET_BYTES / (len(self._data) / 10)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopped.is_set():
            for at in range(0, len(self._data), PACKET_BYTES):
                due_s += self._pause_s
                self._stopped.wait(max(0.0, due_s - time.monotonic()))
                if not self.is_away:
                    self.send(self._data[at : at + PACKET_BYTES])

    def send(self, packet: bytes) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        self.is_away = True

    def come_back(self) -> None:
        self.is_away = False

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(5)


class Udp(Sender):
    def __init__(self, folder: Path, fps: float) -> None:
        super().__init__(folder, fps)
        self._to = ("127.0.0.1", free_port(socket.SOCK_DGRAM))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.spec = f"udp://127.0.0.1:{self._to[1]}"

    def send(self, packet: bytes) -> None:
        self._socket.sendto(packet, self._to)


class Http(Sender):
    """A server of an endless stream, which answers nobody while it is away."""

    def __init__(self, folder: Path, fps: float) -> None:
        super().__init__(folder, fps)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.spec = f"http://127.0.0.1:{self._listener.getsockname()[1]}/live.ts"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.recv(4096)
            while self.is_away:
                time.sleep(0.05)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
            client.setblocking(False)
            self._clients.append(client)

    def send(self, packet: bytes) -> None:
        for client in list(self._clients):
            try:
                client.sendall(packet)
            except OSError:
                self._clients.remove(client)

    def close(self) -> None:
        super().close()
        self._listener.close()


class Rtsp:
    """GStreamer's server, killed and started again."""

    def __init__(self, folder: Path, fps: float) -> None:
        self._folder, self._port = folder, free_port(socket.SOCK_STREAM)
        self.spec = f"rtsp://127.0.0.1:{self._port}/live"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [SYSTEM_PYTHON, str(RTSP_SERVER), str(self._port), str(self._folder)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        until_s = time.monotonic() + STARTING_S
        while time.monotonic() < until_s:
            if self._process.poll() is not None:
                reason = self._process.communicate()[1].decode().strip().splitlines()[-1]
                raise OSError(f"no RTSP server here ({reason})")
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise OSError("the RTSP server does not start")

    def leave(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def come_back(self) -> None:
        self.start()

    def close(self) -> None:
        self.leave()


class SilentRtsp(Rtsp):
    """The same, but it is only stopped: its connections stay, and nothing comes."""

    def leave(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def come_back(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        super().leave()


class Camera:
    """OpenCV's capture of a camera that can be pulled out."""

    is_away: ClassVar[bool] = False
    fps: ClassVar[float] = 24.0

    def __init__(self, folder: Path, fps: float) -> None:
        self.spec = "0"
        Camera.fps, Camera.is_away = fps, False

    def start(self) -> None:
        camera_source.refuse_unusable = lambda device: None  # type: ignore[assignment]
        camera_source._open_capture = lambda device: Capture()

    def leave(self) -> None:
        Camera.is_away = True

    def come_back(self) -> None:
        Camera.is_away = False

    def close(self) -> None:
        return


class Capture:
    """What `cv2.VideoCapture` is; a read of what is away hangs as V4L2's select does."""

    def __init__(self) -> None:
        self._due_s = time.monotonic()

    def isOpened(self) -> bool:
        return not Camera.is_away

    def read(self) -> tuple[bool, Any]:
        if Camera.is_away:
            time.sleep(camera_source.SELECT_TIMEOUT_S)
            return False, None
        self._due_s = max(self._due_s + 1 / Camera.fps, time.monotonic() - 1)
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        return True, np.full((SIZE[1], SIZE[0], 3), int(time.monotonic() * 50) % 256, np.uint8)

    def get(self, propId: int, /) -> float:
        return Camera.fps

    def set(self, propId: int, value: float, /) -> bool:
        return True

    def release(self) -> None:
        return


SOURCES: dict[str, Callable[[Path, float], Any]] = {
    "udp": Udp,
    "http": Http,
    "rtsp": Rtsp,
    "silent-rtsp": SilentRtsp,
    "camera": Camera,
}


class CountingSink(Sink):
    """Remembers when it was given which frame."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frames: list[tuple[float, bool]] = []

    def write(self, frame: Frame) -> None:
        self.frames.append((time.monotonic(), frame.is_repeat))

    def close(self) -> None:
        return


class Noticed(logging.Handler):
    """When the session says that its source is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lost_at_s: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if "Trying again" in record.getMessage() and self.lost_at_s is None:
            self.lost_at_s = time.monotonic()


def pattern(path: Path, fps: float) -> Path:
    """Ten seconds of MPEG-TS, in which a picture fills more than one packet."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "12"}
        video = output.add_stream("libx264", rate=round(fps), options=options)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        for index in range(round(10 * fps)):
            data = np.full((SIZE[1], SIZE[0], 3), index % 256, np.uint8)
            data[:64, :64] = noise.integers(0, 256, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(data)
            frame.pts, frame.time_base = index, Fraction(1, round(fps))
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def measure(name: str, seconds: float, fps: float) -> dict[str, Any]:
    """One source: there, away, there again."""
    with tempfile.TemporaryDirectory() as folder:
        far = SOURCES[name](Path(folder), fps)
        far.start()
        try:
            return run(far, seconds, fps)
        finally:
            far.close()


def run(far: Any, seconds: float, fps: float) -> dict[str, Any]:
    clock, sink, noticed = Clock(), CountingSink(), Noticed()
    logging.getLogger("stream").addHandler(noticed)
    stats = Stats(clock=clock)
    source = open_live_source(LiveInput(far.spec), clock=clock, stats=stats)
    controls = Controls(Look(Style(), transition_s=0.0))
    session = LiveSession(
        source,
        lambda: TimedPainter(0.02, SIZE[1]),
        [("sink", sink)],
        controls=controls,
        clock=clock,
        stats=stats,
    )
    times: list[float] = []

    def play() -> None:
        while not sink.frames:
            time.sleep(0.01)
        for step, pause_s in ((None, BEFORE_S), (far.leave, seconds), (far.come_back, AFTER_S)):
            if step is not None:
                step()
            times.append(time.monotonic())
            time.sleep(pause_s)
        times.append(time.monotonic())
        session.stop()

    director = threading.Thread(target=play, daemon=True)
    director.start()
    session.run()
    director.join(10)
    logging.getLogger("stream").removeHandler(noticed)
    return figures(sink.frames, times, noticed.lost_at_s)


def figures(
    frames: list[tuple[float, bool]], times: list[float], lost_at_s: float | None
) -> dict[str, Any]:
    """Rates by phase; the longest gap; when the loss was noticed, and the return seen."""
    begin_s, left_s, back_s, end_s = times

    def rate(from_s: float, to_s: float) -> float:
        return round(sum(from_s <= at < to_s for at, _ in frames) / (to_s - from_s), 1)

    away = [at for at, _ in frames if left_s <= at < back_s]
    fresh = [at for at, repeated in frames if at >= back_s and not repeated]
    return {
        "before_fps": rate(begin_s, left_s),
        "away_fps": rate(left_s, back_s),
        "after_fps": rate(back_s, end_s),
        "longest_gap_s": round(float(max(np.diff([left_s, *away, back_s]))), 3),
        "noticed_after_s": None if lost_at_s is None else round(lost_at_s - left_s, 2),
        "seen_again_after_s": round(fresh[0] - back_s, 2) if fresh else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", choices=[*SOURCES, []], default=[])
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--fps", type=float, default=24.0)
    asked = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in asked.sources or SOURCES:
        try:
            rows[name] = measure(name, asked.seconds, asked.fps)
        except OSError as err:
            rows[name] = {"missing": str(err)}
        print(f"{name:11} {rows[name]}")
        sys.stdout.flush()
    told = {"machine": machine(), "versions": versions(), "commit": commit(), "away": rows}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
