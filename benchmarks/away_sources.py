"""Sources that can be pulled away and put back: network servers and a camera, for `away.py`."""

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import imageio_ffmpeg
import numpy as np

from stream.sources import camera as camera_source

SIZE = (320, 180)
STARTING_S = 20.0
PACKET_BYTES = 1316
RTSP_SERVER = Path(__file__).parent.parent / "tests" / "devices" / "rtsp_server.py"
SYSTEM_PYTHON = "/usr/bin/python3"


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


def is_listening(port: int) -> bool:
    """Whether somebody on this machine listens there; connects to nobody. Linux."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


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


class Tcp(Sender):
    """A server of an endless stream, which answers nobody while it is away."""

    spec_of = "tcp://127.0.0.1:{}"
    greeting = b""

    def __init__(self, folder: Path, fps: float) -> None:
        super().__init__(folder, fps)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.spec = self.spec_of.format(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.greeting:
                client.recv(4096)
            while self.is_away:
                time.sleep(0.05)
            with suppress(OSError):  # it may have left meanwhile
                client.sendall(self.greeting)
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


class Http(Tcp):
    """The same over HTTP."""

    spec_of = "http://127.0.0.1:{}/live.ts"
    greeting = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"


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


class Rtmp:
    """FFmpeg as a server of one client, killed and started again."""

    def __init__(self, folder: Path, fps: float) -> None:
        self._port = free_port(socket.SOCK_STREAM)
        self._pattern = pattern(folder / "pattern.ts", fps)
        self.spec = f"rtmp://127.0.0.1:{self._port}/live/key"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        endless = ["-re", "-stream_loop", "-1", "-i", str(self._pattern), "-c", "copy"]
        served = ["-f", "flv", "-listen", "1", self.spec]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *endless, *served]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until_s = time.monotonic() + STARTING_S
        while not is_listening(self._port):
            if time.monotonic() > until_s:
                raise OSError("the RTMP server does not start")
            time.sleep(0.05)

    def leave(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def come_back(self) -> None:
        self.start()

    def close(self) -> None:
        self.leave()


class SilentRtmp(Rtmp):
    """The same, but it is only stopped: its connection stays, and nothing comes."""

    def leave(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def come_back(self) -> None:
        super().leave()  # it serves one client, who has gone
        super().come_back()

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
    "tcp": Tcp,
    "rtsp": Rtsp,
    "silent-rtsp": SilentRtsp,
    "rtmp": Rtmp,
    "silent-rtmp": SilentRtmp,
    "camera": Camera,
}
