"""Live sources: pace, loss and return on a manual clock, local streams."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Clip, write_clip
from fakes import LIMIT_S, Breaks, ListSource, make_frames
from ports import free_port, wait_for_port

from stream.addresses import shown
from stream.clock import ManualClock
from stream.errors import SourceError
from stream.geometry import fit
from stream.live.inputs import source_kind
from stream.sources.base import Source
from stream.sources.network import open_url
from stream.sources.paced import PacedSource
from stream.sources.reconnecting import ReconnectingSource
from stream.stats import Stats

LOST = SourceError("the cable was pulled")


# Files by the clock


def test_a_file_plays_by_its_own_clock() -> None:
    clock = ManualClock(50.0)
    source = PacedSource(lambda: ListSource(make_frames(4)), clock=clock)
    times = [(clock.now_s(), frame.pts) for frame in iter(source.read, None)]
    assert [pts for _, pts in times] == [0, 1, 2, 3]
    assert clock.now_s() == pytest.approx(50 + 3 / 30)


def test_a_loop_begins_anew() -> None:
    opened: list[ListSource] = []

    def open_inner() -> ListSource:
        opened.append(ListSource(make_frames(3)))
        return opened[-1]

    source = PacedSource(open_inner, clock=ManualClock(), loop=True)
    pts = [frame.pts for _ in range(7) if (frame := source.read()) is not None]
    source.close()
    assert pts == list(range(7))
    assert [one.closed for one in opened] == [1, 1, 1]


def test_an_interrupt_ends_a_wait() -> None:
    source = PacedSource(lambda: ListSource(make_frames(3)), clock=ManualClock(), loop=True)
    source.interrupt()
    assert source.read() is None


# Loss and return


def script(*steps: Source | SourceError) -> Callable[[], Source]:
    """Opens one after the other; a SourceError is an attempt that fails."""
    left = iter(steps)

    def open_inner() -> Source:
        step = next(left)
        if isinstance(step, SourceError):
            raise step
        return step

    return open_inner


def broken_after(count: int, size: tuple[int, int] = (64, 48)) -> ListSource:
    return ListSource(make_frames(count + 1, size), Breaks("read", count + 1, LOST))


def make(
    *steps: Source | SourceError, **options: object
) -> tuple[ReconnectingSource, Stats, ManualClock]:
    clock = ManualClock()
    stats = Stats(clock=clock)
    source = ReconnectingSource(script(*steps), "cam", clock=clock, stats=stats, **options)
    return source, stats, clock


def test_a_source_that_is_not_there_at_the_start_is_said_at_once() -> None:
    with pytest.raises(SourceError, match="the cable was pulled"):
        make(LOST)


def test_reading_goes_on_when_the_source_is_back() -> None:
    back = ListSource(make_frames(3, seed=5))
    source, stats, _ = make(broken_after(2), LOST, LOST, back)
    seen = [source.read().data.tobytes() for _ in range(5)]
    wanted = [*make_frames(3)[:2], *make_frames(3, seed=5)]
    assert seen == [frame.data.tobytes() for frame in wanted]
    assert stats.events == {"source lost": 1, "source back": 1}


def test_it_resumes_within_a_second_of_the_return() -> None:
    """However long it was away: the wait between attempts is bounded."""
    back_at_s, attempts = 60.0, []
    first, second = broken_after(1), ListSource(make_frames(2))
    clock = ManualClock()
    stats = Stats(clock=clock)

    def open_inner() -> Source:
        attempts.append(clock.now_s())
        if len(attempts) == 1:
            return first
        if clock.now_s() < back_at_s:
            raise LOST
        return second

    source = ReconnectingSource(open_inner, "cam", clock=clock, stats=stats)
    while "source back" not in stats.events:
        source.read()
    assert clock.now_s() - back_at_s < 1
    waits = np.diff(attempts[2:])
    assert waits.min() >= 0.09 and waits.max() <= 0.81
    assert len(attempts) < 90


def test_a_card_can_be_shown_instead_and_is_not_to_be_painted() -> None:
    source, _, _ = make(broken_after(1), LOST, ListSource(make_frames(1)), on_loss="card")
    first, card, back = source.read(), source.read(), source.read()
    assert card.data.shape == first.data.shape
    assert (card.data[0, 0] == (32, 32, 36)).all()
    assert (first.as_is, card.as_is, back.as_is) == (False, True, False)


def test_the_end_of_a_stream_is_a_loss_too() -> None:
    source, stats, _ = make(ListSource(make_frames(1)), ListSource(make_frames(1)))
    source.read()
    while "source back" not in stats.events:
        source.read()
    assert stats.events["source lost"] == 1


def finite(count: int) -> ListSource:
    """A file on a server, which says how long it is."""
    source = ListSource(make_frames(count))
    source.ends = True
    return source


def test_what_ends_by_itself_ends() -> None:
    source, stats, _ = make(finite(2), finite(2))
    assert [source.read() is None for _ in range(4)] == [False, False, True, True]
    assert stats.events == {}


def test_unless_it_shall_be_played_again_and_again() -> None:
    source, _, _ = make(*[finite(2) for _ in range(3)], loop=True)
    assert all(source.read() is not None for _ in range(6))


def test_an_opening_that_gives_nothing_is_tried_again_after_a_pause() -> None:
    empty = [ListSource([]) for _ in range(3)]
    source, stats, clock = make(broken_after(1), *empty, ListSource(make_frames(1)))
    source.read()
    source.read()
    assert stats.events["source back"] == 1
    assert clock.now_s() > 0.1 + 0.2 + 0.4
    assert all(one.closed for one in empty)


def test_another_cameras_size_is_fitted_in() -> None:
    source, stats, _ = make(broken_after(1), ListSource(make_frames(2, (32, 48))))
    source.read()
    while "source back" not in stats.events:
        frame = source.read()
    assert frame.size == (64, 48)
    assert not frame.data[:, :16].any() and frame.data[:, 16:48].any()


def test_an_interrupt_ends_the_waiting() -> None:
    source, _, _ = make(broken_after(1), *[LOST] * 100)
    source.read()
    source.interrupt()
    assert source.read() is None
    source.close()


def test_what_is_opened_when_nobody_waits_any_more_is_closed() -> None:
    back, sources = ListSource(make_frames(3, seed=5)), []

    def open_inner() -> Source:
        if not sources:
            return broken_after(1)
        sources[0].interrupt()  # while it is opened
        return back

    clock = ManualClock()
    source = ReconnectingSource(open_inner, "cam", clock=clock, stats=Stats(clock=clock))
    sources.append(source)
    source.read()
    assert source.read() is None
    source.close()
    assert back.closed


# Notes


def test_what_a_device_does_otherwise_than_asked_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = broken_after(2), ListSource(make_frames(9))
    first.notes = second.notes = ["The camera gives 64x48 instead of 1920x1080."]
    source, stats, _ = make(first, second)
    while "source back" not in stats.events:
        source.read()
    second.notes = ["It gives 15 frames a second."]
    source.read()
    told = ["The camera gives 64x48 instead of 1920x1080.", "It gives 15 frames a second."]
    assert source.notes == told
    messages = [one.getMessage() for one in caplog.records]
    assert [one for one in messages if one in told] == told


def test_fitting_keeps_what_fits() -> None:
    data = make_frames(1)[0].data
    assert fit(data, (64, 48)) is data


# Specs and streams


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("0", "camera"),
        ("camera", "camera"),
        ("/dev/video3", "camera"),
        ("HD Webcam", "camera"),
        ("USB2.0 HD UVC WebCam", "camera"),
        ("USB 2.0 Camera", "camera"),
        ("HD Webcam v1.5: HD", "camera"),
        ("movie v1.5.m2ts", "file"),
        ("rtsp://host/live", "network"),
        ("screen", "screen"),
        ("screen:10x10", "screen"),
        ("testsrc=size=64x64", "file"),
        ("movie.mp4", "file"),
    ],
)
def test_specs_are_told_apart(spec: str, kind: str) -> None:
    assert source_kind(spec) == kind


def test_passwords_and_stream_keys_are_not_shown() -> None:
    assert shown("rtsp://me:secret@cam:554/a?b=c") == "rtsp://***@cam:554/a?b=c"
    assert shown("http://cam/a@b") == "http://cam/a@b"
    assert shown("rtmp://server/app/secret") == "rtmp://server/app/***"
    assert shown("rtmp://server/live") == "rtmp://server/live"
    assert shown("take.mp4") == "take.mp4"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """An address of this machine that sends a clip over HTTP."""
    write_clip(tmp_path / "clip.ts", Clip(pts=tuple(range(0, 25 * 3600, 3600))))
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/clip.ts"
    finally:
        server.terminate()
        server.communicate(timeout=600)


def test_a_file_that_is_sent_ahead_of_its_time_is_shown_when_it_is_due(served: str) -> None:
    clock = ManualClock()
    with open_url(served, clock=clock, timeout_s=LIMIT_S) as source:
        frames = list(source)
    assert clock.now_s() == pytest.approx(frames[-1].time_s - frames[0].time_s, abs=1e-6)
    assert source.info.size == (96, 64)
    assert source.info.rate == Fraction(25)
    assert 20 <= len(frames) <= 25


def test_a_file_on_a_server_waits_for_the_model(served: str) -> None:
    clock = ManualClock()
    with open_url(served, clock=clock, timeout_s=LIMIT_S) as source:
        assert source.can_wait
        first = source.read()
        clock.advance(30.0)
        times = [(clock.now_s(), frame.time_s - first.time_s) for frame in source]
    assert [at_s - 30.0 for at_s, _ in times] == pytest.approx([time_s for _, time_s in times])


def test_a_stream_whose_pictures_come_after_its_sound_is_waited_for(tmp_path: Path) -> None:
    """As RTMP servers send it to who joins: no picture in the first seconds of the stream."""
    late = Clip(pts=tuple(range(3 * 90_000, 4 * 90_000, 3600)), audio="aac")
    data = write_clip(tmp_path / "late.flv", late).read_bytes()
    with av.open(str(tmp_path / "late.flv"), options={"analyzeduration": "1000000"}) as quick:
        assert not any(video.width for video in quick.streams.video)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):  # a second look is more patient
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(data)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with open_url(url, clock=ManualClock(), timeout_s=LIMIT_S) as source:
        assert source.info.size == (96, 64)
        assert len(list(source)) == 25
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    server.join(LIMIT_S)


def test_a_path_that_is_not_there_is_said(served: str) -> None:
    with pytest.raises(SourceError, match="is not there"):
        open_url(served + "x")


def test_a_silent_server_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/live"
        with pytest.raises(SourceError, match="does not answer"):
            open_url(url, timeout_s=0.5)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://no.such.host.invalid/x", "there is no host no.such.host.invalid"),
        ("rtsp://127.0.0.1:99999/x", "is not an address"),
        ("rtsp://", "is no address: it names no server"),
    ],
)
def test_a_wrong_address_is_said(url: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        open_url(url)


def test_encryption_that_fails_is_said(served: str) -> None:
    with pytest.raises(SourceError, match=r"takes no encrypted connection \(TLS\)"):
        open_url(served.replace("http", "https", 1))


def test_silence_on_udp_is_said() -> None:
    with pytest.raises(SourceError, match="is silent"):
        open_url(f"udp://127.0.0.1:{free_port()}", timeout_s=0.2)


def test_a_server_of_another_kind_is_said(served: str) -> None:
    with pytest.raises(SourceError, match="closes the connection"):
        open_url(served.replace("http", "rtmp", 1))


def test_a_port_without_a_server_refuses() -> None:
    with pytest.raises(SourceError, match="refuses the connection"):
        open_url(f"rtmp://127.0.0.1:{free_port()}/live")
