"""The far sides of live outputs, for `latency.py`: each decodes what it gets and hands it on."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

END_S = 10.0
AGAIN_S = 0.5


class Looks(Protocol):
    """Whoever wants to see the pictures."""

    def look_at(self, data: NDArray[np.uint8]) -> None:
        """One picture, uint8 RGB (H, W, 3)."""


class Reader(Protocol):
    """A far side, in a thread of its own from when it is made."""

    def end(self) -> None:
        """Wait for the rest, not for long."""


class StreamReader:
    """Takes MPEG-TS at a TCP port, with FFmpeg's flags for the demuxer."""

    def __init__(self, looks: Looks, flags: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._looks, self._flags = looks, flags
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        import av

        options = {"fflags": self._flags, "probesize": "20000", "analyzeduration": "0"}
        # closed at the end without a visitor, or a stream that was cut
        with (
            suppress(OSError, av.FFmpegError),
            self._listener.accept()[0] as connection,
            connection.makefile("rb", buffering=0) as data,
            av.open(data, format="mpegts", options=options, buffer_size=1504) as container,
        ):
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"
            for picture in container.decode(stream):
                self._looks.look_at(picture.to_ndarray(format="rgb24"))

    def end(self) -> None:
        self._thread.join(END_S)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class NdiReader:
    """Our own source of an NDI name, opened when that has appeared."""

    def __init__(self, name: str, looks: Looks) -> None:
        self._name, self._looks = name, looks
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        from stream.errors import SourceError
        from stream.sources.ndi import NdiSource

        while not self._over.is_set():
            with suppress(SourceError), NdiSource(self._name) as source:
                while not self._over.is_set() and (frame := source.read()) is not None:
                    self._looks.look_at(frame.data)

    def end(self) -> None:
        self._over.set()
        self._thread.join(END_S)


class ProgramReader:
    """A program that writes raw RGB pictures to its standard output; started again if it ends.

    Args:
        size: (width, height) of the pictures.
        after_s: Seconds until it is started.
    """

    def __init__(
        self, command: list[str], size: tuple[int, int], looks: Looks, *, after_s: float = 0.0
    ) -> None:
        self._command, self._size, self._looks, self._after_s = command, size, looks, after_s
        self._over = threading.Event()
        self._program: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        pause_s = self._after_s
        while not self._over.wait(pause_s):
            self._read_one()
            pause_s = AGAIN_S

    def _read_one(self) -> None:
        width, height = self._size
        self._program = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._program.stdout is not None
        count = width * height * 3
        while len(raw := self._program.stdout.read(count)) == count:
            self._looks.look_at(np.frombuffer(raw, np.uint8).reshape(height, width, 3))
        self._program.wait()

    def end(self) -> None:
        self._over.set()
        if self._program is not None:
            self._program.kill()
            self._program.wait()
        self._thread.join(END_S)


def rtmp_server() -> tuple[str, list[str]]:
    """An address to publish to, and the program that serves it: this file, by FFmpeg's library.

    (The program ffmpeg 5.1 holds one picture back on its way to a pipe.)
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"rtmp://127.0.0.1:{free.getsockname()[1]}/live/key"
    return url, [sys.executable, __file__, url]


def serve_rtmp(url: str) -> None:
    """Wait for one publisher and write its pictures to standard output, raw RGB."""
    import av

    options = {"listen": "1", "fflags": "nobuffer", "probesize": "20000"}
    with suppress(av.FFmpegError), av.open(url, options=options) as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        for picture in container.decode(stream):
            sys.stdout.buffer.write(picture.to_ndarray(format="rgb24").tobytes())
            sys.stdout.buffer.flush()


@contextmanager
def display() -> Iterator[None]:
    """A display for a window: the one that is here, or Xvfb's; none where that is missing."""
    if os.environ.get("DISPLAY") or shutil.which("Xvfb") is None:
        yield
        return
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    os.environ["DISPLAY"] = f":{server.stdout.readline().strip()}"
    try:
        yield
    finally:
        del os.environ["DISPLAY"]
        server.terminate()
        server.wait()


if __name__ == "__main__":
    serve_rtmp(sys.argv[1])
