"""Live sessions against servers of others: played from, published to, silent, and started again."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from clips import decoded
from light_live import NegativePainter, make_light
from real_servers import RtmpServer, RtspServer, Server, has_nginx, has_rtsp_server

from stream.addresses import shown
from stream.errors import SourceError
from stream.frame import Frame
from stream.live.controls import Look
from stream.live.session import LiveSession
from stream.sinks import network
from stream.sources.network import open_url

SOURCE = "testsrc=size=320x180:rate=24:duration=600"
LIMIT_S = 600

needs_rtsp = pytest.mark.skipif(
    not has_rtsp_server(), reason="needs GStreamer's RTSP server: `make test-devices` installs it"
)
needs_rtmp = pytest.mark.skipif(
    not has_nginx(), reason="needs nginx with RTMP: `make test-devices` brings it"
)


@pytest.fixture
def rtsp(tmp_path: Path) -> Iterator[Server]:
    yield from running(RtspServer(tmp_path))


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[Server]:
    yield from running(RtmpServer(tmp_path))


def running(server: Server) -> Iterator[Server]:
    server.start()
    yield server
    server.stop()
    assert multiprocessing.active_children() == []


class Beside:
    """A session that runs in a thread of its own."""

    def __init__(self, session: LiveSession) -> None:
        self.session, self.stats = session, session.stats
        self._thread = threading.Thread(target=session.run, daemon=True)

    def __enter__(self) -> "Beside":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def goes_on(self, frames: int = 24) -> None:
        """Whether so many more are shown."""
        wanted = self.stats.frames_out + frames
        until(lambda: self.stats.frames_out >= wanted)

    def taken(self, name: str) -> int:
        sinks = self.stats.sink_summaries
        return sinks[shown(name)].frames if shown(name) in sinks else 0


class NoisePainter(NegativePainter):
    """Paints what no encoder makes small: the system's own buffers for a connection fill soon."""

    def __init__(self) -> None:
        super().__init__()
        self._random = np.random.default_rng(0)

    def paint(self, frame: Frame, look: Look) -> Frame:
        noise = self._random.integers(0, 256, frame.data.shape, np.uint8)
        return super().paint(frame.replace(noise), look)


def until(done: Callable[[], bool]) -> None:
    for _ in range(round(LIMIT_S * 20)):
        if done():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it did not come to that")


def seen(url: str, count: int = 10) -> None:
    """So many pictures can be played there."""
    with open_url(url) as source:
        assert all(source.read() is not None for _ in range(count))


@needs_rtsp
def test_a_server_that_restarts_is_played_again(rtsp: Server, tmp_path: Path) -> None:
    take = tmp_path / "take.mkv"
    with Beside(make_light(f"{rtsp.address}/live", [str(take)])) as live:
        live.goes_on()
        rtsp.stop()
        until(lambda: "source lost" in live.stats.events)
        live.goes_on(5)  # the last picture stays
        rtsp.start()
        until(lambda: "source back" in live.stats.events)
        live.goes_on()
    told = live.stats.events
    assert (told["source lost"], told["source back"]) == (1, 1)
    assert len(decoded(take)) > 50


@needs_rtsp
def test_a_server_that_falls_silent_is_missed_and_found_again(rtsp: Server) -> None:
    with Beside(make_light(f"{rtsp.address}/live", ["null"])) as live:
        live.goes_on()
        rtsp.freeze(True)
        until(lambda: "source lost" in live.stats.events)
        rtsp.freeze(False)
        until(lambda: "source back" in live.stats.events)
        live.goes_on()
    told = live.stats.events
    assert (told["source lost"], told["source back"]) == (1, 1)


@needs_rtsp
def test_what_is_published_by_rtsp_is_received(rtsp: Server, tmp_path: Path) -> None:
    url = f"{rtsp.address}/record"
    with Beside(make_light(SOURCE, [url])) as live:
        until(lambda: live.taken(url) > 120)
    assert live.stats.events == {}
    received = tmp_path / "received.mkv"
    # the server writes the rest when we have left, without what its buffer against jitter holds
    until(lambda: len(written(received)) > 24)
    assert written(received)[0].shape == (180, 320, 3)


def written(path: Path) -> list[np.ndarray]:
    """The pictures of a file that may still be empty."""
    try:
        return decoded(path)
    except SourceError:
        return []


@needs_rtmp
def test_what_is_published_by_rtmp_can_be_played(rtmp: Server) -> None:
    url = f"{rtmp.address}/live/key"
    with Beside(make_light(SOURCE, [url])) as live:
        until(lambda: live.taken(url) > 24)
        seen(url)
    assert live.stats.events == {}


@needs_rtmp
def test_a_server_that_restarts_is_published_to_again(rtmp: Server) -> None:
    url = f"{rtmp.address}/live/key"
    with Beside(make_light(SOURCE, [url, "null"])) as live:
        until(lambda: live.taken(url) > 24)
        rtmp.stop()
        until(lambda: bool(live.stats.events))
        live.goes_on()  # the other output misses nothing
        taken = live.taken(url)
        rtmp.start()
        until(lambda: live.taken(url) > taken + 24)
        seen(url)


@needs_rtmp
def test_a_far_side_that_falls_silent_freezes_nothing(
    rtmp: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection stands, but nothing is taken any more: the process that hangs is replaced."""
    monkeypatch.setattr(network, "STALL_S", 1.0)
    monkeypatch.setattr(network, "CONNECT_S", 3.0)
    url = f"{rtmp.address}/live/key"
    with Beside(make_light(SOURCE, [url, "null"], painter=NoisePainter())) as live:
        until(lambda: live.taken(url) > 24)
        rtmp.freeze(True)
        until(lambda: bool(live.stats.events))
        live.goes_on(48)
        rtmp.freeze(False)
        taken = live.taken(url)
        until(lambda: live.taken(url) > taken + 24)
    assert set(live.stats.events) == {f"restart of {shown(url)}"}
