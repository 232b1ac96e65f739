"""NetworkSink: a real child process against local peers: good, silent, absent, restarted."""

import io
import logging
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import pytest
from beeps import RATE, offsets_s, write_beeps
from clips import made_frames
from command import allaprima, assert_refused
from ports import free_port

from stream.clock import Clock, ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import SinkError
from stream.frame import Frame
from stream.media.sound import Sound
from stream.sinks import network
from stream.sinks.network import CONNECT_S, IMPORT_S, NetworkSink, even, format_of
from stream.sinks.profiles import STREAM, codec_options
from stream.sinks.stream_process import LOST_S, MUXER_OPTIONS, notice_loss, prompt_address
from stream.sources import open_source
from stream.sources.paced import PacedSource
from stream.stats import Stats

LIMIT_S = 600
COUNT = 25


@pytest.fixture(autouse=True)
def _no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(network, "END_S", LIMIT_S)  # on a busy machine a child takes long to end
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


def write_until(
    sink: NetworkSink,
    done: Callable[[], bool],
    *,
    start: int = 0,
    frames: Iterator[tuple[Frame, list[Sound]]] | None = None,
) -> int:
    """Frames at a camera's pace until something is the case; how many.

    Those that are given are written until they are taken: where a machine under load drops the
    first picture of a flash, the flash comes later than its beep.
    """
    made = made_frames(8)
    for count in range(1, LIMIT_S * 50):
        if frames is None:
            one = made[count % 8]
            frame, sounds = one.replace(one.data, pts=(start + count) * 3600), []
        else:
            frame, sounds = next(frames)
        for sound in sounds:
            sink.hear(sound)
        sink.write(frame)
        while frames is not None and not sink.took_last and not done():
            threading.Event().wait(0.02)
            sink.write(frame)
        if done():
            return count
        threading.Event().wait(0.02)
    raise AssertionError("it did not come to that")


def frames_in(data: bytes) -> int:
    with av.open(io.BytesIO(data), format="mpegts") as container:
        return sum(1 for _ in container.decode(video=0))


def make(url: str, clock: Clock | None = None, *, sound: bool = False) -> tuple[NetworkSink, Stats]:
    stats = Stats()
    sink = NetworkSink(url, rate=Fraction(25), clock=clock or Clock(), stats=stats, sound=sound)
    return sink, stats


def beeping(folder: Path) -> Iterator[tuple[Frame, list[Sound]]]:
    """Pictures that flash and the sound that beeps with them, for as long as anybody likes."""
    clip = write_beeps(folder / "clip.mp4", 2)
    source = PacedSource(lambda: open_source(clip), clock=ManualClock(), loop=True, sound=True)
    with source:
        for frame in source:
            yield frame, source.sounds()


def test_pictures_arrive(peers: Callable[..., Peer]) -> None:
    peer = peers()
    sink, stats = make(f"tcp://127.0.0.1:{peer.port}", ManualClock())
    write_until(sink, lambda: len(peer.received) > 8000)
    sink.close()
    sink.close()
    peer.thread.join(LIMIT_S)
    assert frames_in(bytes(peer.received)) >= 5
    (counted,) = stats.sinks.values()
    assert counted["frames"] == frames_in(bytes(peer.received))
    assert stats.events == {}
    assert sink.notes == []


@pytest.mark.parametrize("count", [1, 3])
def test_each_picture_leaves_whole_before_the_next_comes(
    peers: Callable[..., Peer], count: int
) -> None:
    peer = peers()
    options = dict(MUXER_OPTIONS["mpegts"])
    address = prompt_address(f"tcp://127.0.0.1:{peer.port}")
    with av.open(address, "w", format="mpegts", options=options) as output:
        stream = output.add_stream("libx264", rate=25, options=codec_options(STREAM["libx264"]))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts = number
            output.mux(stream.encode(picture))
        for _ in range(LIMIT_S * 50):
            if whole_pictures(bytes(peer.received)) == count:
                break
            threading.Event().wait(0.02)
        assert whole_pictures(bytes(peer.received)) == count


def whole_pictures(data: bytes) -> int:
    """Pictures whose end is told: PES packets of the video that say their length and have it."""
    count = 0
    for at in range(0, len(data) - 187, 188):
        packet = data[at : at + 188]
        if packet[1] & 0x40 and (start := packet.find(b"\0\0\1\xe0")) >= 0:
            count += int.from_bytes(packet[start + 4 : start + 6]) > 0
    return count


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://far:1", "tcp://far:1?tcp_nodelay=1"),
        ("tcp://far:1?listen=1", "tcp://far:1?listen=1&tcp_nodelay=1"),
        ("rtmp://far/app/key", "rtmp://far/app/key"),
    ],
)
def test_sockets_are_asked_to_send_at_once(url: str, address: str) -> None:
    assert prompt_address(url) == address


def test_a_silent_far_side_blocks_nobody_and_is_tried_again(peers: Callable[..., Peer]) -> None:
    """The child hangs in RTMP's handshake, with its interpreter's lock held."""
    peer = peers(silent=True)
    clock = ManualClock()
    sink, stats = make(f"rtmp://127.0.0.1:{peer.port}/live/key", clock)
    write_until(sink, peer.accepted.is_set)
    for frame in made_frames(5):
        sink.write(frame)
    (name,) = stats.sinks
    assert stats.sinks[name]["dropped"]["connecting"] >= 5
    assert stats.sinks[name]["frames"] == 0
    assert not sink.took_last
    clock.advance(CONNECT_S + 1)
    sink.write(made_frames(1)[0])
    assert stats.events == {f"restart of {name}": 1}
    clock.advance(1)
    sink.write(made_frames(1)[0])
    assert len(multiprocessing.active_children()) == 1
    sink.abort()


def test_a_child_that_is_slow_to_import_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not come to connecting says nothing of the far side."""
    monkeypatch.setattr(network, "publish", sleeps)
    clock = ManualClock()
    sink, stats = make(f"tcp://127.0.0.1:{free_port()}", clock)
    frame = made_frames(1)[0]
    sink.write(frame)
    clock.advance(IMPORT_S - 1)
    sink.write(frame)
    assert stats.events == {}
    clock.advance(2)
    sink.write(frame)
    assert sum(stats.events.values()) == 1
    sink.abort()


def sleeps(*_: object) -> None:
    """In the publishing process' place: one that never gets anywhere."""
    time.sleep(LIMIT_S)


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


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tcp://127.0.0.1:{port}", "refuses the connection"),
        ("rtmp://no.such.host.invalid/app/key", "there is no host no.such.host.invalid"),
    ],
)
def test_nobody_there_is_said_once_and_is_a_failure_in_the_end(
    url: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    sink, stats = make(url.format(port=free_port()))
    write_until(sink, lambda: sum(stats.events.values()) >= 2)
    with pytest.raises(SinkError, match=f"Nothing was sent: .*{words}"):
        sink.close()
    sink.close()
    sink.abort()
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(told) == 1
    assert words in told[0]


def test_a_server_that_is_gone_at_the_end_is_noted(peers: Callable[..., Peer]) -> None:
    peer = peers()
    sink, stats = make(f"tcp://127.0.0.1:{peer.port}")
    write_until(sink, lambda: len(peer.received) > 4000)
    peer.end()
    write_until(sink, lambda: bool(stats.events))
    sink.close()
    assert len(sink.notes) == 1
    assert sink.notes[0].startswith("The connection was lost before the end: ")


# Each kind of address with a real far side


RECEIVER = """
import sys, av
url, target, options = sys.argv[1], sys.argv[2], dict(one.split("=") for one in sys.argv[3:])
with av.open(url, options=options) as stream, av.open(target, "w", format="mpegts") as file:
    copies = {one.index: file.add_stream_from_template(one) for one in stream.streams}
    for packet in stream.demux():
        if packet.dts is not None:
            packet.stream = copies[packet.stream.index]
            file.mux(packet)
"""


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("rtmp://127.0.0.1:{port}/app/key", ["listen=1"]),
        ("udp://127.0.0.1:{port}", ["timeout=120000000"]),
    ],
)
def test_sound_and_pictures_arrive_at_a_real_receiver(
    url: str, options: list[str], tmp_path: Path
) -> None:
    url, target = url.format(port=free_port()), tmp_path / "received.ts"
    command = [sys.executable, "-c", RECEIVER, url, str(target), *options]
    receiver = subprocess.Popen(command, stderr=subprocess.PIPE)
    sink, _ = make(url, sound=True)
    beeps = beeping(tmp_path)

    def enough() -> bool:
        return target.exists() and target.stat().st_size > 60_000

    try:
        write_until(sink, enough, frames=beeps)
    finally:
        sink.abort()
        receiver.terminate()
        receiver.communicate(timeout=LIMIT_S)
    offsets = sorted(abs(one) for one in offsets_s(target))
    assert offsets[len(offsets) // 2] < 1 / RATE


def test_a_playlist_with_its_segments_is_written(tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    sink, _ = make(str(playlist), ManualClock(), sound=True)
    write_until(sink, lambda: (tmp_path / "live1.ts").exists(), frames=beeping(tmp_path))
    sink.close()
    assert "#EXT-X-ENDLIST" in playlist.read_text()
    assert max(abs(one) for one in offsets_s(playlist)[:-1]) < 1 / RATE


def test_a_playlist_without_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="create it first"):
        make(str(tmp_path / "missing" / "live.m3u8"))


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


@pytest.mark.parametrize("url", ["rtmp://", "rtsp:///live"])
def test_an_address_without_a_server_is_refused(url: str) -> None:
    with pytest.raises(SinkError, match=f"{url} is no address"):
        format_of(url)


def test_odd_sizes_lose_a_pixel() -> None:
    assert even((321, 181)) == (320, 180)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has a time limit for it")
def test_connections_are_given_up_when_nothing_is_acknowledged(peers: Callable[..., Peer]) -> None:
    with (
        socket.create_connection(("127.0.0.1", peers().port)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        notice_loss()
        limit_ms = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert limit_ms == LOST_S * 1e3
        tcp.sendall(b"both are still open")
        udp.sendto(b"", tcp.getsockname())
