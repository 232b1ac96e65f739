"""Microphone: a recorder process of known words, its end, and its place in a live session."""

import sys
from pathlib import Path

import numpy as np
import pytest
from command import allaprima, assert_refused
from fakes import ListSink
from live_fakes import SteppedSource, make_live

from stream.clock import ManualClock
from stream.command.exit_codes import ExitCode
from stream.errors import SourceError
from stream.media.sound import SOUND_RATE, Sound
from stream.sources import microphone
from stream.sources.microphone import BLOCK, Microphone, recorder

COUNTING = """
import sys, numpy as np
samples = np.arange({blocks} * 960 * 2, dtype=np.int16)
sys.stdout.buffer.write(samples.tobytes())
sys.stdout.buffer.flush()
{then}
"""


def counting(blocks: int, then: str = "") -> list[str]:
    """A recorder that gives so many pieces, and then does something."""
    return [sys.executable, "-c", COUNTING.format(blocks=blocks, then=then)]


def test_the_samples_come_in_order(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Sound] = []
    one = Microphone("mic", command=counting(5))
    one.on_sound = heard.append
    one.run()
    one.stop()
    assert [sound.position for sound in heard] == [k * BLOCK for k in range(5)]
    samples = np.concatenate([sound.samples for sound in heard])
    assert np.array_equal(samples.reshape(-1), np.arange(5 * BLOCK * 2, dtype=np.int16))
    assert caplog.messages == ["The microphone mic is gone; there is silence now."]


def test_a_stop_ends_a_recorder_that_waits(caplog: pytest.LogCaptureFixture) -> None:
    one = Microphone("mic", command=counting(1, "import threading; threading.Event().wait()"))
    one.on_sound = lambda sound: one.stop()
    one.run()
    assert one._process.returncode is not None
    assert caplog.messages == []


def test_one_that_never_ran_is_let_go() -> None:
    one = Microphone("mic", command=counting(1, "import threading; threading.Event().wait()"))
    one.abandon()
    one.abandon()
    assert one._process.returncode is not None


def test_a_device_that_is_not_there_is_said_in_the_recorders_words() -> None:
    fails = [sys.executable, "-c", "raise SystemExit('No such entity')"]
    with pytest.raises(SourceError, match=r"mic gives no sound \(No such entity\)"):
        Microphone("mic", command=fails)


def test_the_first_recorder_of_the_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone.shutil, "which", lambda name: name == "arecord")
    assert recorder("default")[0] == "arecord"
    assert recorder("hw:1")[-1] == "--device=hw:1"
    monkeypatch.setattr(microphone.shutil, "which", lambda name: None)
    with pytest.raises(SourceError, match=r"install one of parec, arecord"):
        recorder("default")


def test_the_command_says_so_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(microphone.shutil, "which", lambda name: None)
    words = ["--from", "testsrc", "--to", tmp_path / "take.mp4", "--audio-device", "default"]
    assert_refused(allaprima("live", *words), ExitCode.INPUT, "no program to record sound")
    assert list(tmp_path.iterdir()) == []


def test_it_is_heard_with_the_pictures_of_its_moment() -> None:
    """A piece that ends now belongs to the picture that is captured now."""
    clock, heard = ManualClock(50.0), []

    class Hearing(ListSink):
        hears = True

        def hear(self, sound: Sound) -> None:
            heard.append(sound)

    source = SteppedSource(4)

    def written() -> None:
        clock.advance(0.02)
        session.hear(Sound(np.zeros((BLOCK, 2), np.int16), written.count * BLOCK))
        written.count += 1
        source.step()

    written.count = 0
    sink = Hearing(on_write=written)
    session = make_live(source, [("list", sink)], clock=clock)
    session.hear(Sound(np.zeros((BLOCK, 2), np.int16), 0))  # before there is any picture

    session.run()

    assert [sound.position for sound in heard] == [0, BLOCK, 2 * BLOCK]
    assert [sink.frames[k].time_s * SOUND_RATE for k in (1, 2, 3)] == [BLOCK, 2 * BLOCK, 3 * BLOCK]
