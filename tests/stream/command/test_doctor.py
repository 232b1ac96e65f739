"""Doctor: well and sick machines, each line with its mend; and what it says of this one."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import allaprima
from miniature import make_lcm, save

from models import PRESETS, ModelError
from stream.command import doctor as d
from stream.command import painting_speed
from stream.command.exit_codes import ExitCode
from stream.command.gpu import UNKNOWN_VERSION, nvidia_driver
from stream.command.painting_speed import PaintingSpeed
from stream.devices import VideoDevice, video_devices

CAMERA = VideoDevice("/dev/video0", "HD Webcam", "uvcvideo", captures=True)
LOOPBACK = VideoDevice("/dev/video20", "allaprima", "v4l2 loopback", takes=True)
WHEELS = {"opencv-python": "5.0", "av": "18.1"}
GPU = d.Gpu("13.0", "A GPU", "sm_90", ("sm_80", "sm_90"), 20 * d.GIB, True)

WELL = d.Machine(
    python=(3, 12, 1),
    platform="linux",
    version=WHEELS.get,
    gpu=lambda: GPU,
    devices=lambda: [CAMERA, LOOPBACK],
    display_problem=lambda: "",
    free_disk_bytes=lambda: 100 * d.GIB,
    encodes=lambda name: True,
    models=lambda: {"bundled": "Apache-2.0"},
    caches=lambda: CACHES,
    has_obs=lambda: True,
    has_vcam=lambda: True,
    pipewire_problem=lambda: "",
    environment=lambda name: ":0",
    paints=lambda: PaintingSpeed(31.0, (448, 256)),
)

CACHES = d.Caches(Path("/far/hub"), 100 * d.GIB)
STUCK = replace(LOOPBACK, takes=False)
BARRED = replace(CAMERA, captures=False, problem="not yours to use: join the group video")
TWO_WHEELS = WHEELS | {"opencv-python-headless": "5.0"}
HEADLESS = {"opencv-python-headless": "5.0", "av": "18.1"}


SLOW = PaintingSpeed(3.2, (448, 256))


def no_model() -> PaintingSpeed:
    raise ModelError("The model is not there; fetch it.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No model is loaded for the other checks."""
    if "measure" not in request.node.name:
        monkeypatch.setattr(painting_speed, "measure", lambda size=None: SLOW)


def test_a_second_of_painting_is_measured(tmp_path: Path) -> None:
    speed = painting_speed.measure(64, save(make_lcm(), tmp_path / "model"))
    assert speed.fps > 0
    assert min(speed.size) == 64


def test_a_well_machine_needs_nothing() -> None:
    findings = d.examine(WELL)
    assert [finding.state for finding in findings] == ["ok"] * len(findings)
    assert not any(finding.mend for finding in findings)


def test_driver_is_told_by_its_version(tmp_path: Path) -> None:
    version = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024"
    )
    (tmp_path / "version").write_text(version)
    assert nvidia_driver(tmp_path) == "550.54.14"
    (tmp_path / "version").write_text("another")
    assert nvidia_driver(tmp_path) == UNKNOWN_VERSION


@pytest.mark.parametrize(
    ("sick", "what", "state", "words"),
    [
        ({"python": (3, 10, 2)}, "Python", "problem", "install Python 3.11"),
        ({"version": TWO_WHEELS.get}, "OpenCV", "problem", "pip uninstall opencv-python opencv"),
        ({"version": HEADLESS.get}, "OpenCV", "note", "pip install opencv-python"),
        ({"version": {"av": "1"}.get}, "OpenCV", "problem", "pip install opencv-python"),
        ({"version": {"opencv-python": "5"}.get}, "PyAV", "problem", "pip install av"),
        ({"gpu": lambda: d.Gpu()}, "GPU", "note", "allaprima[cpu]"),
        (
            {"gpu": lambda: d.Gpu(), "version": (WHEELS | {"openvino": "2026.4"}).get},
            *("GPU", "note", "the bundled model is made for that"),
        ),
        ({"gpu": lambda: d.Gpu(driver="550.54.14")}, "GPU", "problem", "PyTorch with CUDA"),
        (
            {"gpu": lambda: d.Gpu("13.0", driver="550.54.14")},
            *("GPU", "problem", "update the NVIDIA driver"),
        ),
        (
            {"gpu": lambda: replace(GPU, architecture="sm_120")},
            *("GPU", "problem", "a newer PyTorch"),
        ),
        ({"paints": lambda: SLOW}, "speed", "note", "a smaller --size"),
        (
            {"paints": lambda: SLOW, "gpu": lambda: d.Gpu()},
            *("speed", "note", "allaprima[cpu]"),
        ),
        ({"paints": no_model}, "speed", "note", "the model"),
        ({"models": dict}, "models", "problem", "--model"),
        ({"caches": lambda: replace(CACHES, free_bytes=d.GIB)}, "model cache", "note", "HF_HOME"),
        (
            {"caches": lambda: replace(CACHES, unwritable=(Path("/far"),))},
            *("model cache", "note", "ALLAPRIMA_CACHE"),
        ),
        (
            {"pipewire_problem": lambda: "PipeWire does not run."},
            *("PipeWire camera", "note", "does not run"),
        ),
        ({"free_disk_bytes": lambda: d.GIB}, "disk", "problem", "free some space"),
        ({"encodes": lambda name: False}, "encoder", "problem", "reinstall PyAV"),
        ({"devices": lambda: [BARRED]}, "camera", "problem", "usermod -aG video"),
        ({"devices": lambda: [LOOPBACK]}, "camera", "note", "plug one in"),
        ({"display_problem": lambda: "There is no display."}, "display", "note", "no display"),
        ({"has_vcam": lambda: False}, "virtual camera", "note", "allaprima[vcam]"),
        ({"devices": lambda: [CAMERA]}, "virtual camera", "note", "modprobe v4l2loopback"),
        ({"devices": lambda: [STUCK]}, "virtual camera", "problem", "modprobe -r v4l2loopback"),
        (
            {"platform": "darwin", "has_obs": lambda: False},
            *("virtual camera", "note", "install OBS"),
        ),
    ],
)
def test_each_sickness_is_found_and_the_mend_is_told(
    sick: dict[str, Callable[..., object]], what: str, state: str, words: str
) -> None:
    (finding,) = [one for one in d.examine(replace(WELL, **sick)) if one.what == what]
    assert finding.state == state
    assert words in finding.mend


def test_newer_chips_of_the_same_line_are_served() -> None:
    machine = replace(WELL, gpu=lambda: replace(GPU, architecture="sm_89", built_for=("sm_80",)))
    assert d.check_gpu(machine).state == "ok"


def test_the_encoder_is_really_opened() -> None:
    assert d.look_for_encoder("libx264")
    assert not d.look_for_encoder("no_such_encoder")


def test_devices_that_cannot_be_opened_are_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "video9876").mkdir()
    (tmp_path / "video9876" / "name").write_text("Ghost\n")
    (device,) = video_devices(tmp_path)
    assert (device.path, device.name) == ("/dev/video9876", "Ghost")
    assert device.problem == "No such file or directory"


# Wrong states that are really made


def finding(check: Callable[[d.Machine], d.Finding]) -> d.Finding:
    """What a check says of this machine as it is now."""
    return check(d.Machine())


def test_two_wheels_of_opencv_are_seen_in_the_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("opencv_python", "opencv_python_headless"):
        folder = tmp_path / f"{name}-9.9.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 9.9\n"
        (folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = finding(d.check_opencv)
    assert found.state == "problem"
    assert "opencv-python 9.9, opencv-python-headless 9.9" in found.told


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
@pytest.mark.parametrize("display", [None, ":97"])
def test_a_display_that_is_not_there_is_missed(
    display: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if display is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", display)
    found = finding(d.check_display)
    assert found.state == "note"
    assert "DISPLAY" in found.mend


def test_a_bundled_model_that_is_gone_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = replace(PRESETS["bundled"], source=str(tmp_path))
    monkeypatch.setitem(PRESETS, "bundled", bundled)
    assert finding(d.check_model).state == "problem"
    monkeypatch.undo()
    found = finding(d.check_model)
    assert found.state == "ok"
    assert "bundled: Apache-2.0" in found.told


def test_a_cache_folder_that_cannot_be_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "file" / "cache"))
    assert d.look_at_caches().unwritable == (tmp_path / "file" / "cache",)
    monkeypatch.setenv("ALLAPRIMA_CACHE", str(tmp_path / "new" / "cache"))
    assert d.look_at_caches().unwritable == ()
    monkeypatch.setenv("ALLAPRIMA_CACHE", "~no-such-user/cache")
    assert d.look_at_caches().unwritable == (Path("~/.cache/allaprima"),)


def test_a_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert finding(d.check_disk).state == "problem"
    assert finding(d.check_cache).state == "note"


@pytest.mark.skipif(sys.platform != "linux", reason="PipeWire")
def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = finding(d.check_pipewire)
    assert found.state == "note"
    assert "apt install" in found.mend


def test_a_missing_pyvirtualcam_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "allaprima[vcam]" in finding(d.check_virtual_camera).mend


def test_a_problem_is_in_the_exit_code_and_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    result = allaprima("doctor", "--json")
    (disk,) = [one for one in json.loads(result.stdout) if one["what"] == "disk"]
    assert disk["state"] == "problem"
    assert result.exit_code == ExitCode.UNFIT


# The commands


def test_doctor_says_each_line_and_its_exit_code() -> None:
    result = allaprima("doctor")
    states = json.loads(allaprima("doctor", "--json").stdout)
    for word in ("Python", "OpenCV", "GPU", "encoder", "virtual camera"):
        assert word in result.stdout
    sick = any(one["state"] == "problem" for one in states)
    assert result.exit_code == (ExitCode.UNFIT if sick else ExitCode.DONE)
    assert all(one["mend"] for one in states if one["state"] != "ok")


def test_devices_are_listed() -> None:
    result = allaprima("devices")
    assert result.exit_code == ExitCode.DONE
    assert isinstance(json.loads(allaprima("devices", "--json").stdout), list)
