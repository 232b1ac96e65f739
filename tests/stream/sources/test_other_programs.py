"""Pictures of other programs: NDI, Spout and Syphon, with stand-ins that have the libraries' real
names and arguments (cyndilib 0.1.3, SpoutGL 0.1.1, syphon-python 0.1.1); NDI with real peers too.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command import allaprima, assert_refused
from fakes import make_frames
from program_fakes import FakeNdi, FakeSpout, FakeSyphon, FakeTexture, WaitingClock

from stream.command.exit_codes import ExitCode
from stream.errors import SinkError, SourceError
from stream.live.inputs import source_kind
from stream.live.outputs import may_be_lacking
from stream.media.other_programs import carrier_of, load, name_of, refuse_without_discovery
from stream.media.sound import SOUND_RATE, Sound
from stream.sinks.ndi import NdiSink
from stream.sinks.spout import SpoutSink
from stream.sinks.syphon import SyphonSink
from stream.sources.ndi import ndi_names
from stream.sources.other_program import FIRST_S, STALL_S
from stream.sources.spout import SpoutSource, spout_names
from stream.sources.syphon import SyphonSource, syphon_names

ROOT = Path(__file__).resolve().parents[3]
RATE = Fraction(24)


# NDI


def data_of(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    return [frame.data for frame in make_frames(count, size)]


def test_ndi_gives_the_pictures_that_are_sent() -> None:
    network = FakeNdi("HERE (other)", "STAGE (Camera 2)")
    sent = data_of(3)
    network.pictures = list(sent)
    with network.source("camera") as source:
        assert source.info.size == (64, 48)
        assert source.info.rate == Fraction(30000, 1001)
        shown = []
        for _ in range(3):
            frame = source.read()
            assert frame is not None
            shown.append(frame)
            network.clock.advance(0.5)
    assert all(np.array_equal(one.data, data) for one, data in zip(shown, sent, strict=True))
    assert [frame.time_s for frame in shown] == [0.0, 0.5, 1.0]
    assert network.closed == ["receiver", "finder"]


def test_ndi_takes_the_first_source_where_none_is_named() -> None:
    network = FakeNdi("STAGE (a)", "STAGE (b)")
    network.pictures = data_of(1)
    network.source("").close()


def test_a_picture_of_another_size_is_fitted_in() -> None:
    network = FakeNdi("STAGE (a)")
    network.pictures = [*data_of(1), *data_of(1, (32, 32))]
    with network.source("a") as source:
        sizes = [frame.size for frame in (source.read(), source.read()) if frame is not None]
    assert sizes == [(64, 48), (64, 48)]


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    network = FakeNdi("STAGE (a)")
    with pytest.raises(SourceError, match=r"no NDI source called 'b'; there is: STAGE \(a\)"):
        network.source("b")
    assert "finder" in network.closed


@pytest.mark.parametrize(("count", "words"), [(0, "gives no pictures;"), (1, "any more")])
def test_silence_is_a_loss_in_good_time(count: int, words: str) -> None:
    network = FakeNdi("STAGE (a)")
    network.pictures = data_of(count)
    start_s = network.clock.now_s()
    with pytest.raises(SourceError, match=words):
        source = network.source("a")
        source.read()
        source.read()
    limit_s = FIRST_S if count == 0 else STALL_S
    assert limit_s <= network.clock.now_s() - start_s < limit_s + 0.2
    assert network.closed == ["receiver", "finder"]


def test_an_interrupt_ends_the_waiting() -> None:
    network = FakeNdi("STAGE (a)")
    network.pictures = data_of(1)
    with network.source("a") as source:
        source.read()
        source.interrupt()
        assert source.read() is None


def test_ndi_sends_pictures_of_one_size() -> None:
    network = FakeNdi()
    first, second = make_frames(2)
    small = make_frames(1, (32, 32))[0]
    with NdiSink("stage", rate=RATE, library=network) as sink:
        for frame in (first, second, small):
            sink.write(frame)
        assert sink.notes == ['NDI gives "stage".']
    setup, data = network.sent[1]
    assert (setup.size, setup.rate, setup.fourcc) == ((64, 48), RATE, "RGBX")
    assert np.array_equal(data.reshape(48, 64, 4)[..., :3], second.data)
    assert all(data.size == 64 * 48 * 4 for _, data in network.sent)
    assert network.closed == ["sender"]
    assert ndi_names(network, 0.1, network.clock) == ["HERE (stage)"]


def test_ndi_sends_opacity_where_there_is_any() -> None:
    network = FakeNdi()
    alpha = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    with NdiSink("stage", rate=RATE, library=network) as sink:
        for frame in make_frames(2):
            sink.write(replace(frame, alpha=alpha))
    setup, data = network.sent[1]
    assert setup.fourcc == "RGBA"
    assert np.array_equal(data.reshape(48, 64, 4)[..., 3], alpha)


def test_ndi_gives_opacity_and_shows_it_on_black() -> None:
    network = FakeNdi("STAGE (a)")
    half = np.full((48, 64, 4), 200, np.uint8)
    half[..., 3] = 128
    opaque = half.copy()
    opaque[..., 3] = 255
    network.pictures = [half, opaque]
    with network.source("a") as source:
        first, second = source.read(), source.read()
    assert first is not None and second is not None
    assert first.alpha is not None and first.alpha.min() == first.alpha.max() == 128
    assert first.data[0, 0].tolist() == [100, 100, 100]
    assert second.alpha is None and second.data[0, 0].tolist() == [200, 200, 200]


def test_ndi_sends_sound_in_blocks_without_a_gap() -> None:
    network = FakeNdi()
    tone = (10_000 * np.sin(np.arange(SOUND_RATE // 5) / 20)).astype(np.int16)
    samples = np.stack([tone, -tone], axis=1)
    with NdiSink("stage", rate=RATE, sound=True, library=network) as sink:
        assert sink.hears
        sink.hear(Sound(samples[:100], 0))  # nothing is open yet
        sink.write(make_frames(1)[0])
        for begin in range(0, len(samples), 1001):
            sink.hear(Sound(samples[begin : begin + 1001], begin))
    sent = np.concatenate(network.sent_sound, axis=1)
    assert sent.shape == (2, len(samples))
    assert np.abs(sent.T * 32768 - samples).max() < 1


@pytest.mark.parametrize("rate", [48_000, 44_100])
def test_ndi_gives_sound_at_one_rate_end_to_end(rate: int) -> None:
    network = FakeNdi("STAGE (a)")
    block = rate, np.full((4, rate // 50), 0.25, np.float32)
    network.pictures, network.heard = data_of(4), [block]  # too early: nothing is shown yet
    with network.source("a", sound=True) as source:
        assert source.has_sound
        network.heard = [block] * 50
        heard = []
        for _ in range(3):
            source.read()
            heard += source.sounds()
    assert 0.9 < sum(len(one.samples) for one in heard) / SOUND_RATE <= 1.0
    middle = np.concatenate([one.samples for one in heard])[5000:-5000]
    assert np.abs(middle - 0.25 * 32767).max() < 100
    assert all(later.position == earlier.end for earlier, later in pairwise(heard))


def test_what_a_library_raises_is_an_error_of_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeNdi()

    def fail(*_: object) -> bool:
        raise Exception("ptr is NULL")  # as cyndilib does

    monkeypatch.setattr("program_fakes.Sender.write_video_async", fail)
    with pytest.raises(SinkError, match="NDI takes no pictures"):
        NdiSink("", rate=RATE, library=network).write(make_frames(1)[0])


# Spout


def test_spout_gives_what_spout_takes() -> None:
    machine = FakeSpout()
    frames = [*make_frames(3), *make_frames(1, (32, 32))]
    with SpoutSink("", library=machine) as sink:
        for frame in frames:
            sink.write(frame)
    assert machine.senders == spout_names(machine) == ["Alla Prima"]
    with SpoutSource("Alla Prima", clock=machine.clock, library=machine) as source:
        shown = [source.read() for _ in range(4)]
        with pytest.raises(SourceError, match="any more"):
            source.read()
    for frame, one in zip(frames[:3], shown[:3], strict=True):
        assert one is not None and np.array_equal(one.data, frame.data)
    assert [one.size for one in shown if one is not None] == 4 * [(64, 48)]
    assert machine.released == ["sender", "receiver", "receiver"]


# Syphon


def test_syphon_gives_what_syphon_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeSyphon(monkeypatch)
    frames = make_frames(3)
    with SyphonSink("stage", library=machine) as sink:
        for frame in frames:
            sink.write(frame)
    assert syphon_names(machine) == ["python stage"]
    with SyphonSource("STAGE", clock=machine.clock, library=machine) as source:
        for frame in frames:
            one = source.read()
            assert one is not None and np.array_equal(one.data, frame.data)
    assert machine.stopped == ["server", "client"]


def test_syphon_reads_either_order_of_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeSyphon(monkeypatch)
    texture = FakeTexture(4, 2, kind=80)  # MTLPixelFormatBGRA8Unorm
    texture.image[..., 0] = 200
    machine.servers.append(SimpleNamespace(name="", app_name="Resolume"))
    machine.published.append(texture)
    with SyphonSource("", clock=machine.clock, library=machine) as source:
        frame = source.read()
    assert frame is not None and frame.data[0, 0].tolist() == [0, 0, 200]


def test_a_syphon_server_that_is_gone_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeSyphon(monkeypatch)
    with pytest.raises(SourceError, match="no Syphon server called 'stage'; there is: none"):
        SyphonSource("stage", library=machine)
    machine.servers.append(SimpleNamespace(name="stage", app_name=""))
    machine.is_valid = False
    with pytest.raises(SourceError, match="is gone"):
        SyphonSource("stage", clock=machine.clock, library=machine)
    assert machine.stopped == ["client"]


# Specs, and what is missing


@pytest.mark.parametrize(
    ("spec", "carrier", "name"),
    [
        ("ndi:Camera 2", "ndi", "Camera 2"),
        ("NDI:", "ndi", ""),
        ("spout:Resolume", "spout", "Resolume"),
        ("syphon:OBS: main", "syphon", "OBS: main"),
        ("rtsp://ndi:554", None, ""),
        ("clip.mp4", None, ""),
    ],
)
def test_specs_name_a_carrier_and_a_program(spec: str, carrier: str | None, name: str) -> None:
    assert (carrier_of(spec), name_of(spec)) == (carrier, name)
    assert may_be_lacking(spec) == (carrier is not None)
    assert (source_kind(spec) == "program") == (carrier is not None)


def test_what_is_of_another_system_is_refused() -> None:
    carrier, system = ("syphon", "macOS") if sys.platform != "darwin" else ("spout", "Windows")
    with pytest.raises(SourceError, match=f"is there on {system} only"):
        load(carrier, SourceError)  # type: ignore[arg-type]


def test_a_missing_library_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyndilib", None)
    with pytest.raises(SinkError, match=r"pip install 'allaprima\[ndi\]'"):
        load("ndi", SinkError)
    args = ("live", "--from", "ndi:stage", "--to", "null")
    assert_refused(allaprima(*args), ExitCode.INPUT, "NDI needs cyndilib")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere NDI finds names by itself")
def test_a_missing_daemon_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="avahi-daemon, which does not run"):
        refuse_without_discovery(SourceError, tmp_path / "socket")
    refuse_without_discovery(SourceError, tmp_path)


def test_other_programs_are_among_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FakeNdi("STAGE (Camera 2)")
    monkeypatch.setitem(sys.modules, "cyndilib", network)
    monkeypatch.setattr(
        "stream.sources.other_programs.refuse_without_discovery", lambda error: None
    )
    monkeypatch.setattr("stream.sources.other_programs.LISTED_AFTER_S", 0.0)
    monkeypatch.setattr("stream.sources.ndi.Clock", WaitingClock)
    rows = json.loads(allaprima("devices", "--json").stdout)
    (row,) = [row for row in rows if row["path"].startswith("ndi:")]
    assert (row["path"], row["driver"], row["captures"]) == ("ndi:STAGE (Camera 2)", "NDI", True)
    assert "ndi:STAGE (Camera 2)" in allaprima("devices").stdout


@pytest.fixture
def network_of_its_own() -> Iterator[list[str]]:
    """A command prefix that runs in a network of its own with avahi-daemon."""
    pytest.importorskip("cyndilib")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not is_root or shutil.which("avahi-daemon") is None or shutil.which("unshare") is None:
        pytest.skip("needs root, unshare and avahi-daemon: `make test-devices`")
    yield ["sh", str(ROOT / "tests" / "devices" / "ndi.sh")]


def test_real_ndi_peers_see_each_other(network_of_its_own: list[str]) -> None:
    script = ROOT / "tests" / "devices" / "ndi_peer.py"
    done = subprocess.run(
        [*network_of_its_own, sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "done"
