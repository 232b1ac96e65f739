"""Encrypted streams: real handshakes with certificates that are good, of others, old, home-made."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import Clip, made_frames, write_clip
from command import allaprima, assert_refused
from encrypted import Encrypted, answered, make_certificates, needs_openssl
from ports import free_port, wait_for_port

from stream import trust
from stream.clock import Clock, ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import SinkError, SourceError
from stream.media.sound import CHANNELS, SOUND_RATE, Sound
from stream.sinks import network
from stream.sinks.network import NetworkSink
from stream.sinks.stream_process import Publication, destination, escaped
from stream.sources.network import open_url
from stream.sources.segments import is_playlist, request
from stream.stats import Stats

LIMIT_S = 600
SAMPLES = SOUND_RATE // 25
HLS = "application/vnd.apple.mpegurl"
BAD = [("self", "self-signed"), ("other", "Hostname mismatch"), ("old", "expired")]
LIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates, in a folder of a name that no part of FFmpeg may stumble over."""
    place = tmp_path_factory.mktemp("a") / "it's: [a|b] \\ c"
    place.mkdir()
    return make_certificates(place)


@pytest.fixture
def show(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Encrypted]]:
    """Makes servers; the tests' own authority is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    monkeypatch.setattr(network, "END_S", LIMIT_S)
    made: list[Encrypted] = []

    def make(name: str, **options: object) -> Encrypted:
        made.append(Encrypted(folder / f"{name}.pem", **options))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.ts"
    write_clip(path, Clip(pts=tuple(range(0, 25 * 3600, 3600))))
    return path.read_bytes()


def play(url: str, **options: object) -> int:
    with open_url(url, clock=ManualClock(), timeout_s=LIMIT_S, **options) as source:
        return sum(1 for _ in source)


@needs_openssl
def test_a_trusted_server_is_played(show: Callable[..., Encrypted], clip: bytes) -> None:
    server = show("good", answer=answered(clip))
    assert play(f"https://localhost:{server.port}/clip.ts") >= 20


@needs_openssl
@pytest.mark.parametrize(("name", "why"), BAD)
def test_a_certificate_that_is_refused_is_said(
    show: Callable[..., Encrypted], clip: bytes, name: str, why: str
) -> None:
    server = show(name, answer=answered(clip))
    url = f"https://localhost:{server.port}/clip.ts"
    with pytest.raises(SourceError, match=f"not trusted .*{why}.*insecure=True"):
        open_url(url)
    assert server.heard == []
    assert play(url, insecure=True) >= 20


@needs_openssl
@pytest.mark.parametrize("scheme", ["rtmps", "rtsps"])
def test_nothing_is_told_to_a_server_that_is_refused(
    show: Callable[..., Encrypted], scheme: str
) -> None:
    server = show("self")
    url = f"{scheme}://localhost:{server.port}/live/key"
    with pytest.raises(SourceError, match="not trusted"):
        open_url(url)
    assert server.heard == []
    with pytest.raises(SourceError):
        open_url(url, insecure=True)
    assert server.heard != []


@needs_openssl
def test_the_command_ends_with_the_inputs_code(show: Callable[..., Encrypted]) -> None:
    url = f"https://localhost:{show('self').port}/clip.ts"
    result = allaprima("live", "--from", url, "--to", "null")
    assert_refused(result, ExitCode.INPUT, "certificate that is not trusted", "--insecure")


@needs_openssl
@pytest.mark.parametrize("path", ["live.m3u8", "live"])
def test_the_segments_of_a_playlist_are_checked_too(
    show: Callable[..., Encrypted], clip: bytes, path: str
) -> None:
    """FFmpeg would take them from anybody."""
    good, bad = (show(name, answer=answered(clip)) for name in ("good", "self"))
    texts = [LIST.format(f"https://localhost:{one.port}/a.ts").encode() for one in (good, bad)]
    lists = [show("good", answer=answered(text, HLS)) for text in texts]
    assert play(f"https://localhost:{lists[0].port}/{path}") >= 20
    unchecked = f"https://localhost:{lists[1].port}/{path}"
    with pytest.raises(SourceError, match="not trusted"):
        open_url(unchecked)
    assert play(unchecked, insecure=True) >= 20


def test_a_playlist_is_known_by_its_name() -> None:
    assert is_playlist("https://host/live.m3u8?token=a.b")
    assert not is_playlist("https://host/clip.ts")


def test_requests_are_as_ffmpeg_would_send_them() -> None:
    asked = request("https://me:a%40b@host:8443/x.ts", {"offset": "10", "end_offset": "20"})
    assert asked.full_url == "https://host:8443/x.ts"
    assert asked.get_header("Authorization") == "Basic bWU6YUBi"
    assert asked.get_header("Range") == "bytes=10-19"
    assert request("https://host/x.ts", {}).get_header("Range") is None


@pytest.mark.parametrize("url", ["crypto+https://host/x.ts", "file:///etc/passwd"])
def test_other_parts_of_a_playlist_are_refused(url: str) -> None:
    with pytest.raises(SourceError, match="insecure=True"):
        request(url, {})


RECEIVER = """
import sys, av
heard = False
while not heard:  # a connection that was cut off, or a probe, is not the last one
    try:
        with av.open(sys.argv[1], options={"listen": "1"}) as stream:
            for frame in stream.decode(stream.streams.video[0], stream.streams.audio[0]):
                heard = True
                print(type(frame).__name__, flush=True)
    except OSError:
        pass
"""


def send(url: str, done: Callable[[Stats], bool], *, insecure: bool = False) -> NetworkSink:
    """Publish pictures and sound until then; the sink, not yet closed."""
    stats = Stats()
    sink = NetworkSink(
        url, rate=Fraction(25), clock=Clock(), stats=stats, sound=True, insecure=insecure
    )
    made = made_frames(8)
    for count in range(LIMIT_S * 50):
        sink.hear(Sound(np.full((SAMPLES, CHANNELS), 99, np.int16), count * SAMPLES))
        sink.write(made[count % 8].replace(made[count % 8].data, pts=count * 3600))
        if done(stats):
            return sink
        threading.Event().wait(0.02)
    sink.abort()
    raise AssertionError("it did not come to that")


@needs_openssl
@pytest.mark.parametrize(("name", "insecure"), [("good", False), ("self", True)])
def test_pictures_and_sound_arrive_encrypted(
    show: Callable[..., Encrypted], name: str, insecure: bool
) -> None:
    target = free_port()
    command = [sys.executable, "-c", RECEIVER, f"rtmp://127.0.0.1:{target}/live/key"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        seen: list[str] = []
        assert receiver.stdout is not None
        reader = threading.Thread(target=lambda: seen.extend(receiver.stdout))
        reader.start()
        try:
            wait_for_port(target)
            url = f"rtmps://localhost:{show(name, target=target).port}/live/key"
            kinds = ("VideoFrame\n", "AudioFrame\n")
            sink = send(url, lambda stats: min(map(seen.count, kinds)) >= 10, insecure=insecure)
            sink.close()
            reader.join(LIMIT_S)
        finally:
            receiver.kill()
            reader.join(LIMIT_S)
    assert sink.notes == []


@needs_openssl
@pytest.mark.parametrize("scheme", ["rtmps", "rtsps"])
@pytest.mark.parametrize(("name", "why"), BAD)
def test_nothing_is_sent_to_a_server_that_is_refused(
    show: Callable[..., Encrypted], scheme: str, name: str, why: str
) -> None:
    server = show(name)
    sink = send(f"{scheme}://localhost:{server.port}/live/key", lambda stats: bool(stats.events))
    with pytest.raises(SinkError, match=f"Nothing was sent: .*not trusted .*{why}"):
        sink.close()
    assert server.heard == []


# Options


def test_options_are_given_to_what_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "authorities", lambda: "/ca.pem")
    asked = {"tls_verify": "1", "ca_file": "/ca.pem"}
    for url in ("https://a", "RTMPS://a", "rtsps://a", "http://a"):
        assert trust.tls_options(url, insecure=False) == asked
        assert trust.tls_options(url, insecure=True) == {}
    assert trust.tls_options("rtmp://a", insecure=False) == {}
    monkeypatch.setattr(trust, "authorities", lambda: None)
    assert trust.tls_options("https://a", insecure=False) == {"tls_verify": "1"}


def test_the_users_own_authorities_are_trusted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "own.pem"
    file.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setattr("sys.platform", "linux")
    assert trust.authorities() == str(file)
    monkeypatch.setattr("sys.platform", "darwin")
    assert trust.authorities() is None


def test_only_what_must_goes_by_way_of_the_muxer_that_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "stream.sinks.stream_process.tls_options", lambda url, insecure: {"tls_verify": "1"}
    )
    encrypted = Publication("rtmps://a/b|c", "flv", (2, 2), Fraction(1))
    assert destination(encrypted) == (
        "[f=flv:flvflags=no_duration_filesize:flush_packets=1:tls_verify=1]rtmps://a/b\\|c",
        "tee",
        {},
    )
    rtsp = Publication("rtsps://a/b", "rtsp", (2, 2), Fraction(1))
    options = {"rtsp_transport": "tcp", "tls_verify": "1"}
    assert destination(rtsp) == ("rtsps://a/b", "rtsp", options)


def test_escapes() -> None:
    assert escaped("it's a:b", ":") == "it\\'s\\ a\\:b"
