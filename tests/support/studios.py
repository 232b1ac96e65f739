"""A studio with a fake engine on a free port, and pages without a browser: raw sockets."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fakes import LIMIT_S, FakeEngine, make_frames
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from stream.frame import Frame
from stream.sinks.video import VideoSink
from stream.studio.options import StudioOptions
from stream.studio.protocol import HEADER, RECTANGLE, Kind, Packet, write_packet
from stream.studio.runner import StudioRunner
from stream.video_info import VideoInfo

KEY = "a-key-for-tests-0123456789"
SIZE = (128, 64)
UNKNOWN = 0
MOST_HEARD = 100
READY_S = 600.0


def make_options(folder: Path, **changes: Any) -> StudioOptions:
    """Options as the command gives them, on a free port."""
    plain = StudioOptions(
        model="bundled",
        loras=(),
        vae=None,
        offline=True,
        device="cpu",
        compile="off",
        size=None,
        stability=0.0,
        host="127.0.0.1",
        port=0,
        host_names=(),
        opens=False,
        seats=2,
        key=KEY,
        require_key=False,
        tls=None,
        tls_cert=None,
        tls_key=None,
        folder=str(folder / "studio"),
        quiet=True,
    )
    return replace(plain, **changes)


class RunningStudio:
    """A studio that runs in a thread."""

    def __init__(self, folder: Path, engine: Callable[[], Any], **changes: Any) -> None:
        self._opened, self.ready = threading.Event(), threading.Event()
        self.addresses: dict[Any, str] = {}
        self.errors: list[BaseException] = []
        self.runner = StudioRunner(
            make_options(folder, **changes),
            load=engine,
            on_open=self._note,
            on_ready=self.ready.set,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _note(self, addresses: dict[Any, str]) -> None:
        self.addresses = addresses
        self._opened.set()

    def _run(self) -> None:
        try:
            self.runner.run()
        except BaseException as err:  # the test looks
            self.errors.append(err)
        self._opened.set()

    def start(self) -> None:
        self._thread.start()
        assert self._opened.wait(LIMIT_S)
        if not self.errors:
            assert self.ready.wait(READY_S)

    def stop(self) -> None:
        self.runner.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    @property
    def port(self) -> int:
        address = next(iter(self.addresses.values()))
        return int(address.split("//")[1].split("/")[0].rsplit(":", 1)[1])


@contextmanager
def running_studio(
    folder: Path, engine: Callable[[], Any] = FakeEngine, **changes: Any
) -> Iterator[RunningStudio]:
    """A studio that serves until the end of the block."""
    studio = RunningStudio(folder, engine, **changes)
    studio.start()
    if studio.errors:
        raise studio.errors[0]
    try:
        yield studio
    finally:
        studio.stop()
    if studio.errors:
        raise studio.errors[0]


class FakePage:
    """A page's side of the socket."""

    def __init__(self, port: int, *, origin: str | None = None, **socket: Any) -> None:
        origin = f"http://127.0.0.1:{port}" if origin is None else origin
        opening = connect(
            f"ws://127.0.0.1:{port}/ws",
            origin=origin,
            open_timeout=LIMIT_S,
            ping_interval=None,  # one that is not read meanwhile would take itself for lost
            **socket,
        )
        self.socket: ClientConnection = opening.__enter__()
        self.heard: list[dict[str, Any]] = []
        self.paintings: list[tuple[int, int, NDArray[np.uint8]]] = []

    def hello(self, kind: str = "live", **changes: Any) -> "FakePage":
        said = {"hello": 1, "key": KEY, "kind": kind, "size": list(SIZE), "rate": 24}
        self.socket.send(json.dumps({**said, **changes}))
        return self

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def send_picture(self, id_: int, data: NDArray[np.uint8]) -> None:
        self.socket.send(write_packet(Packet(Kind.JPEG, id_, jpeg(data))))

    def send_patch(self, id_: int, data: NDArray[np.uint8], place: tuple[int, int]) -> None:
        height, width = data.shape[:2]
        extension = RECTANGLE.pack(*place, width, height)
        self.socket.send(write_packet(Packet(Kind.PATCH, id_, png(data)), extension))

    def next(self) -> dict[str, Any] | None:
        """Hear one message; a painting gives ``None`` and is kept and acknowledged."""
        message = self.socket.recv(timeout=LIMIT_S)
        if isinstance(message, str):
            self.heard.append(json.loads(message))
            return self.heard[-1]
        kind, flags, extra, id_, _ = HEADER.unpack_from(message)
        if kind == Kind.JPEG:
            coded = np.frombuffer(message[HEADER.size + extra :], np.uint8)
            data = cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB)
            self.paintings.append((id_, flags, np.asarray(data)))
            self.say(ack=1)
        return None

    def until(self, word: str) -> Any:
        """Hear until a message has this word; what it says."""
        while True:
            message = self.next()
            if message is not None and word in message:
                return message[word]

    def painting(self, wanted: Callable[[int, int], bool] = lambda id_, flags: True) -> Any:
        """Hear until a painting is as wanted; its picture."""
        while True:
            for id_, flags, data in self.paintings:
                if wanted(id_, flags):
                    return data
            self.next()

    def close_code(self) -> int:
        """Hear until the server closes; why."""
        from websockets.exceptions import ConnectionClosed

        for _ in range(MOST_HEARD):
            try:
                self.next()
            except ConnectionClosed as err:
                return err.rcvd.code if err.rcvd else UNKNOWN
        raise AssertionError(f"still open after {MOST_HEARD} messages: {self.heard[-3:]}")

    def close(self) -> None:
        self.socket.close()


def write_clip(path: Path, frames: int) -> None:
    """A small video, each of whose pictures differs from the next."""
    base = Fraction(1, 24)
    info = VideoInfo(size=SIZE, time_base=base, rate=Fraction(24))
    with VideoSink(path, info=info) as sink:
        for frame in make_frames(frames, SIZE):
            sink.write(Frame(frame.data, frame.pts, base, 1))


def jpeg(data: NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(data, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def png(data: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(data, cv2.COLOR_RGB2BGR))[1])


def plain(colour: tuple[int, int, int], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A picture of one colour."""
    return np.full((size[1], size[0], 3), colour, np.uint8)
