"""Sound through a whole live session: lips and voice together, in files and in streams."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from beeps import RATE, offsets_s, write_beeps
from command import allaprima
from fakes import LIMIT_S
from miniature import make_lcm, save
from ports import free_port, wait_for_port
from stepped_live import SteppedFile, record

from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.frame import Frame
from stream.sinks import network
from stream.sinks.network import NetworkSink
from stream.sources import open_source
from stream.sources.network import open_url
from stream.sources.paced import PacedSource
from stream.sources.reconnecting import ReconnectingSource
from stream.sources.sound_decoding import FileSound
from stream.stats import Stats

FRAME_S = 1 / RATE


def test_flash_and_beep_stay_together_round_after_round(tmp_path: Path) -> None:
    clip, clock = write_beeps(tmp_path / "clip.mp4", 2, sound_rate=44100), ManualClock()
    record(SteppedFile(clip, clock, loop=True), tmp_path / "take.mkv", clock, RATE * 10)
    offsets = offsets_s(tmp_path / "take.mkv")
    assert len(offsets) == 10
    assert max(abs(one) for one in offsets) < FRAME_S


@pytest.mark.parametrize("times", [{"sound_from_s": 1.2}, {"sound_until_s": 1.9}])
def test_sound_that_begins_late_or_ends_early_is_in_its_place(
    tmp_path: Path, times: dict[str, float]
) -> None:
    clip, clock = write_beeps(tmp_path / "clip.mp4", 4, **times), ManualClock()
    record(SteppedFile(clip, clock), tmp_path / "take.mp4", clock, RATE * 4)
    near = sorted(abs(one) for one in offsets_s(tmp_path / "take.mp4"))
    heard = 3 if "sound_from_s" in times else 2
    assert near[heard - 1] < FRAME_S < 0.5 < near[heard]
    with av.open(str(tmp_path / "take.mp4")) as container:
        ends = [float(one.duration * one.time_base) for one in container.streams]
    assert ends == pytest.approx([4, 4], abs=0.15)


def test_a_source_that_comes_back_is_in_time_again(tmp_path: Path) -> None:
    """Each time with another zero, and another rate of sound."""
    clips = [
        write_beeps(tmp_path / f"{rate}.mkv", 3, sound_rate=rate) for rate in (48000, 44100, 16000)
    ]
    clock, left = ManualClock(), iter(clips)

    class Once(SteppedFile):
        def read(self) -> Frame | None:
            return PacedSource.read(self)

    class Stepped(ReconnectingSource):
        can_wait = True
        turn = threading.Semaphore(1)

        def read(self) -> Frame | None:
            self.turn.acquire(timeout=LIMIT_S)
            return super().read()

        def interrupt(self) -> None:
            super().interrupt()
            self.turn.release()

    stats = Stats(clock=clock)
    source = Stepped(lambda: Once(next(left), clock), "cam", clock=clock, stats=stats)
    record(source, tmp_path / "take.mkv", clock, RATE * 9)
    offsets = offsets_s(tmp_path / "take.mkv")
    assert stats.events["source back"] == 2
    assert len(offsets) == 9
    assert max(abs(one) for one in offsets) < FRAME_S


# Streams


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """An address of this machine that sends a clip with sound over HTTP."""
    write_beeps(tmp_path / "clip.ts", 3, format="mpegts")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/clip.ts"
    finally:
        server.terminate()
        server.communicate(timeout=600)


def test_a_stream_gives_its_sound_where_it_is_asked_for(served: str) -> None:
    with open_url(served, clock=ManualClock(), sound=True, timeout_s=LIMIT_S) as source:
        assert source.has_sound
        sounds = []
        for _ in source:
            sounds += source.sounds()
    samples = np.concatenate([one.samples for one in sounds])
    assert len(samples) == pytest.approx(3 * 48000, abs=3000)
    assert np.abs(samples).max() > 10_000
    with open_url(served, clock=ManualClock(), timeout_s=LIMIT_S) as source:
        assert not source.has_sound
        assert list(source) and source.sounds() == []


def test_a_published_stream_has_the_sound_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "END_S", LIMIT_S)
    clip = write_beeps(tmp_path / "clip.mp4", 3)
    received, listener = tmp_path / "received.ts", socket.create_server(("127.0.0.1", 0))

    def receive() -> None:
        connection, _ = listener.accept()
        with connection, received.open("wb") as file:
            while data := connection.recv(65536):
                file.write(data)

    thread = threading.Thread(target=receive)
    thread.start()
    url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    sink = NetworkSink(url, rate=Fraction(RATE), clock=ManualClock(), stats=Stats(), sound=True)
    sound = FileSound(clip)
    with open_source(clip) as source, listener:
        for frame in source:
            for heard in sound.until(frame.time_s):
                sink.hear(heard)
            sink.write(frame)
            wait_for_room(sink)
        sink.close()
        thread.join(LIMIT_S)
    sound.close()
    assert len(offsets_s(received)) == 3
    assert max(abs(one) for one in offsets_s(received)) < FRAME_S


def wait_for_room(sink: NetworkSink) -> None:
    """Until the child has a slot free again."""
    for _ in range(LIMIT_S * 100):
        child = sink._child
        assert child is not None
        sink._listen(child, sink._clock.now_s())
        if child.connected and child.free:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the child takes nothing")


# The command


def test_audio_that_is_not_there_is_noted(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))
    source = "testsrc=size=96x64:rate=24:duration=1"
    options = ["--model", model, "--size", 64, "--audio"]
    result = allaprima("live", "--from", source, "--to", tmp_path / "take.mp4", *options)
    assert result.exit_code == ExitCode.DONE, result.output
    assert "gives no sound" in " ".join(result.stdout.split())
    with av.open(str(tmp_path / "take.mp4")) as container:
        assert not container.streams.audio


def test_a_track_without_sound_can_be_had(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))
    take = tmp_path / "take.mp4"
    options = ["--model", model, "--size", 64, "--audio-device", "silent"]
    source = "testsrc=size=96x64:rate=24:duration=1"
    result = allaprima("live", "--from", source, "--to", take, *options)
    assert result.exit_code == ExitCode.DONE, result.output
    with av.open(str(take)) as container:
        sound = [frame.to_ndarray() for frame in container.decode(audio=0)]
    assert sound and not any(piece.any() for piece in sound)
