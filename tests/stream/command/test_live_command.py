"""The command `allaprima live` from end to end, without devices: reports, recordings, refusals."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import av
import pytest
from clips import Clip, write_clip
from command import allaprima, assert_refused
from miniature import make_lcm, save
from ports import free_port
from stepped_live import put_in_step

from models import Style
from stream.command.exit_codes import ExitCode
from stream.live.controls import Controls, Look, NamedStyle
from stream.live.words import WORDS

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "live.md").read_text("utf-8")
SOURCE = "testsrc=size=96x64:rate=24:duration=1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


def live(model: str, *args: object) -> "object":
    return allaprima("live", "--model", model, "--size", 64, *args)


def test_a_recording_holds_what_was_shown_at_its_true_times(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_step(monkeypatch)
    take, report = tmp_path / "take.mp4", tmp_path / "report.json"
    options = ["--to", "null", "--json", report, "--governor", "off"]
    result = live(model, "--from", SOURCE, "--to", take, *options)
    assert result.exit_code == ExitCode.DONE, result.output
    told = json.loads(report.read_text("utf-8"))
    assert (told["frames_in"], told["frames_out"], told["dropped"]) == (24, 24, 0)
    assert set(told["sinks"]) == {str(take), "null"}
    assert set(told["sinks"]["null"]["latency_ms"]) == {"p50", "p95", "p99"}
    assert told["frames_in"] == told["frames_out"] + told["dropped"]
    with av.open(str(take)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 24 for index in range(24)], abs=1e-3)
    assert re.search(r"null: 24 frames, [\d.]+ fps, [\d.]+ painted", result.stdout)
    assert "stage, ms" not in result.stdout


def test_duration_ends_a_file_that_loops(tmp_path: Path, model: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", Clip(pts=tuple(range(0, 8 * 3600, 3600))))
    args = ["--from", clip, "--loop", "--to", "null", "--duration", 1, "--json", "-", "--quiet"]
    result = live(model, *args)
    assert result.exit_code == ExitCode.DONE, result.output
    assert json.loads(result.stdout)["input"] == str(clip)


def test_a_failed_output_is_said_also_when_quiet(model: str) -> None:
    args = ["--to", "tcp://127.0.0.1:9", "--to", "null", "--duration", 1, "--quiet"]
    result = live(model, "--from", SOURCE, *args)
    assert result.exit_code == ExitCode.OUTPUT
    assert result.stderr.count("The output tcp://127.0.0.1:9 failed") == 1, result.stderr
    assert not result.stdout


def test_camera_is_another_name_for_from() -> None:
    result = allaprima("live", "--camera", "4242", "--to", "null")
    assert_refused(result, ExitCode.INPUT, "There is no camera")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--governor", "fast"], "--governor fast"),
        (["--on-loss", "cry"], "--on-loss cry"),
        (["--compile", "soon"], "--compile soon"),
        (["--json", "no/such/folder.json"], "--json no/such/folder.json"),
        (["--to", "a.mp4", "--json", "a.mp4"], "--json a.mp4, which is also"),
        (["--max-age", "0"], "--max-age 0"),
        (["--duration", "-1"], "--duration -1"),
        (["--strength", "3"], "--strength 3"),
        (["--camera-size", "big"], "big"),
        (["--control", "99999"], "--control 99999, expected a port"),
        (["--metrics-port", "70000"], "--metrics-port 70000, expected a port"),
        (["--to", "a.mp4", "--codec", "nonsense"], "--codec nonsense, expected an encoder"),
        (["--to", "null", "--to", "a.mp4", "--to", "a.mp4"], "--to a.mp4 twice"),
    ],
)
def test_bad_options_are_refused_by_name(args: list[str], words: str) -> None:
    assert_refused(allaprima("live", "--from", SOURCE, *args), ExitCode.USAGE, words)


def test_what_a_device_cannot_do_is_refused_by_name() -> None:
    args = ["--from", SOURCE, "--to", "null", "--device", "cpu", "--compile", "now"]
    result = allaprima("live", *args)
    assert result.exit_code == ExitCode.USAGE
    assert "Error: got --compile 'now'" in result.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/dev/video4242", "There is no camera /dev/video4242"),
        ("4242", "There is no camera"),
        ("no such camera", "no camera called 'no such camera'"),
        ("missing.mp4", "There is no file missing.mp4"),
        ("gopher://somewhere", "gopher:// cannot be read"),
        ("rtsp://user:secret@127.0.0.1:9/live", "rtsp://***@127.0.0.1:9/live refuses"),
        ("screen:banana", "screen:640x360+100+50"),
    ],
)
def test_bad_sources_are_refused_in_a_sentence(source: str, words: str) -> None:
    result = allaprima("live", "--from", source, "--to", "null")
    assert_refused(result, ExitCode.INPUT, words)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    take = tmp_path / "take.mp4"
    take.write_bytes(b"precious")
    result = allaprima("live", "--from", SOURCE, "--to", take)
    assert_refused(result, ExitCode.OUTPUT, "--overwrite")


def test_the_input_is_never_an_output(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", Clip(pts=tuple(range(0, 8 * 3600, 3600))))
    before = clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(clip)
    result = allaprima("live", "--from", tmp_path / "link.mp4", "--to", clip, "--overwrite")
    assert_refused(result, ExitCode.OUTPUT, "is the input")
    assert clip.read_bytes() == before


def test_a_webm_is_recorded_without_a_word_of_x264(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_step(monkeypatch)
    take = tmp_path / "take.webm"
    result = live(model, "--from", SOURCE, "--to", take, "--governor", "off")
    assert result.exit_code == ExitCode.DONE, result.output
    with av.open(str(take)) as container:
        assert container.streams.video[0].codec_context.name == "vp9"
        assert len(list(container.decode(video=0))) == 24


def test_a_display_that_is_not_there_stops_no_other(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    take = tmp_path / "take.mkv"
    result = live(model, "--from", SOURCE, "--to", "window", "--to", take)
    assert result.exit_code == ExitCode.OUTPUT, result.output
    assert "There is no display for a window" in result.stderr
    with av.open(str(take)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1


def test_a_control_port_that_is_taken_stops_nothing(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = live(model, "--from", SOURCE, "--to", "null", "--control", port)
    assert result.exit_code == ExitCode.DONE, result.output
    assert f"{port} cannot be opened (Address already in use); choose" in result.stderr


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = allaprima("live", "--from", SOURCE, "--to", "null", "--model", tmp_path)
    assert result.exit_code == ExitCode.MODEL
    assert str(tmp_path) in result.stderr.replace("\n", "")
    assert result.stdout == ""  # and no report of nothing


def test_the_documentation_has_the_options_of_live() -> None:
    table = PAGE[PAGE.index("| live option |") : PAGE.index("## Control from another program")]
    told = set(re.findall(r"--[a-z][a-z-]+", table.partition("\n\n")[0]))
    known = set(re.findall(r"--[a-z][a-z-]+", allaprima("live", "--help").stdout))
    shared = set(re.findall(r"--[a-z][a-z-]+", allaprima("restyle", "--help").stdout))
    assert told == (known - shared) | {"--fps-target", "--audio", "--automation"}


def test_the_documentation_has_the_table_of_words_as_it_stands() -> None:
    script = str(ROOT / "docs" / "control_words.py")
    run = [sys.executable, script]
    table = subprocess.run(run, cwd=ROOT, check=True, capture_output=True, text=True, timeout=600)
    assert table.stdout in (ROOT / "docs" / "instrument.md").read_text("utf-8")


def test_every_word_that_has_a_value_is_told_and_taken_back() -> None:
    controls = Controls(Look(Style()), [NamedStyle("plain", Style())])
    told = controls.as_dict()
    assert set(told) == {word.name for word in WORDS.values() if word.kind != "action"}
    controls.change(told)
    assert controls.as_dict() == told


def test_an_output_that_cannot_be_reached_stops_no_other(tmp_path: Path, model: str) -> None:
    take, url = tmp_path / "take.mp4", f"rtmp://127.0.0.1:{free_port()}/app/secret"
    result = live(model, "--from", SOURCE, "--to", url, "--to", take)
    assert result.exit_code == ExitCode.OUTPUT, result.output
    told = f"The output {url.replace('secret', '***')} failed: Nothing was sent: "
    assert sum(line.startswith(told) for line in result.stderr.splitlines()) == 1
    with av.open(str(take)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 1
