"""NetworkSink: a real child process against local peers: good, silent, absent, restarted."""

import io
import multiprocessing
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction

import av
import pytest
from clips import made_frames
from command import allaprima, assert_refused
from ports import free_port

from stream.clock import Clock, ManualClock
from stream.errors import SinkError
from stream.exitcode import ExitCode
from stream.sinks.network import START_S, NetworkSink, even, format_of
from stream.stats import Stats

LIMIT_S = 30
COUNT = 25


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


class Peer:
    """A server that takes everything, or says nothing."""

    def __init__(self, port: int = 0, *, silent: bool = False) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(LIMIT_S)
        self.port = self.listener.getsockname()[1]
        self.silent = silent
        self.received = bytearray()
        self.accepted = threading.Event()
        self.connection: socket.socket | None = None
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            self.connection, _ = self.listener.accept()
            self.accepted.set()
            while not self.silent and (data := self.connection.recv(65536)):
                self.received += data

    def end(self) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.connection is not None:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(LIMIT_S)
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(*args: object, **options: object) -> Peer:
        made.append(Peer(*args, **options))
        return made[-1]

    yield make
    for peer in made:
        peer.end()


def write_until(sink: NetworkSink, done: Callable[[], bool], *, start: int = 0) -> int:
    """Frames at a camera's pace until something is the case; how many."""
    frames = made_frames(8)
    for count in range(1, LIMIT_S * 50):
        frame = frames[count % 8]
        sink.write(frame.replace(frame.data, pts=(start + count) * 3600))
        if done():
            return count
        threading.Event().wait(0.02)
    raise AssertionError("it did not come to that")


def frames_in(data: bytes) -> int:
    with av.open(io.BytesIO(data), format="mpegts") as container:
        return sum(1 for _ in container.decode(video=0))


def make(url: str, clock: Clock | None = None) -> tuple[NetworkSink, Stats]:
    stats = Stats()
    return NetworkSink(url, rate=Fraction(25), clock=clock or Clock(), stats=stats), stats


def test_pictures_arrive(peers: Callable[..., Peer]) -> None:
    peer = peers()
    sink, stats = make(f"tcp://127.0.0.1:{peer.port}")
    write_until(sink, lambda: len(peer.received) > 8000)
    sink.close()
    sink.close()
    peer.thread.join(LIMIT_S)
    assert frames_in(bytes(peer.received)) >= 5
    assert stats.events == {}
    assert sink.notes == []


def test_a_silent_far_side_blocks_nobody_and_is_tried_again(peers: Callable[..., Peer]) -> None:
    """The child hangs in RTMP's handshake, with its interpreter's lock held."""
    peer = peers(silent=True)
    clock = ManualClock()
    sink, stats = make(f"rtmp://127.0.0.1:{peer.port}/live/key", clock)
    write_until(sink, peer.accepted.is_set)
    for frame in made_frames(5):
        sink.write(frame)
    (name,) = stats.sinks
    assert stats.sinks[name]["dropped"]["far side is slow"] >= 5
    clock.advance(START_S + 1)
    sink.write(made_frames(1)[0])
    assert stats.events == {f"restart of {name}": 1}
    clock.advance(1)
    sink.write(made_frames(1)[0])
    assert len(multiprocessing.active_children()) == 1
    sink.abort()


def test_a_server_that_restarts_is_reached_again(peers: Callable[..., Peer]) -> None:
    first = peers()
    sink, stats = make(f"tcp://127.0.0.1:{first.port}")
    count = write_until(sink, lambda: len(first.received) > 4000)
    first.end()
    second = peers(first.port)
    write_until(sink, lambda: len(second.received) > 8000, start=count)
    sink.close()
    second.thread.join(LIMIT_S)
    assert frames_in(bytes(second.received)) >= 3
    assert sum(stats.events.values()) >= 1


def test_nobody_there_is_noted_at_the_end() -> None:
    sink, stats = make(f"tcp://127.0.0.1:{free_port()}")
    write_until(sink, lambda: bool(stats.events))
    sink.close()
    assert next(iter(stats.events)).startswith("restart of tcp://127.0.0.1")


def test_a_sink_that_was_never_written_starts_nothing() -> None:
    sink, _ = make("tcp://127.0.0.1:9")
    sink.close()
    assert sink.notes == []


@pytest.mark.parametrize(
    ("url", "container"),
    [
        ("rtmp://host/app/key", "flv"),
        ("rtsp://host/live", "rtsp"),
        ("udp://239.0.0.1:1234", "mpegts"),
        ("live/index.m3u8", "hls"),
    ],
)
def test_the_address_tells_the_container(url: str, container: str) -> None:
    assert format_of(url) == container


def test_an_unknown_address_is_refused() -> None:
    with pytest.raises(SinkError, match="Nothing can be published to gopher://"):
        format_of("gopher://host")
    result = allaprima("live", "--from", "testsrc", "--to", "gopher://host/x")
    assert_refused(result, ExitCode.OUTPUT, "gopher://", "rtmp://")


def test_odd_sizes_lose_a_pixel() -> None:
    assert even((321, 181)) == (320, 180)
