"""CameraSource: what is asked, what comes instead; cameras that lie, stall, are gone."""

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.clock import ManualClock
from stream.devices import camera_names
from stream.errors import SourceError
from stream.sources.camera import CameraMode, CameraSource, find_camera


class FakeCapture:
    """OpenCV's capture with a driver of its own mind."""

    def __init__(self, size: tuple[int, int] = (64, 48), fps: float = 30, reads: int = 10**6):
        self.size, self.fps, self.left = size, fps, reads
        self.asked: dict[int, float] = {}
        self.released = 0

    def isOpened(self) -> bool:
        return self.left >= 0

    def read(self) -> tuple[bool, object]:
        self.left -= 1
        bgr = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        bgr[:] = (10, 20, 200)
        return self.left >= 0, bgr

    def get(self, propId: int) -> float:
        return self.fps if propId == cv2.CAP_PROP_FPS else 0.0

    def set(self, propId: int, value: float) -> bool:
        self.asked[propId] = value
        return True

    def release(self) -> None:
        self.released += 1


def camera(capture: FakeCapture, mode: CameraMode | None = None, **options: object) -> CameraSource:
    clock = options.pop("clock", None) or ManualClock()
    return CameraSource("0", mode, clock=clock, open_capture=lambda device: capture, **options)


def test_a_camera_is_asked_for_mjpg_and_the_wanted_mode() -> None:
    capture = FakeCapture()
    camera(capture, CameraMode((64, 48), 60))
    asked = capture.asked
    assert asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FPS]) == (64, 60)
    assert asked[cv2.CAP_PROP_BUFFERSIZE] == 1


def test_camera_frames_are_rgb() -> None:
    frame = camera(FakeCapture()).read()
    assert (frame.data[0, 0] == (200, 20, 10)).all()


def test_another_size_than_asked_is_noted() -> None:
    source = camera(FakeCapture(), CameraMode((1920, 1080)))
    assert source.info.size == (64, 48)
    assert source.notes == ["The camera 0 gives 64x48 instead of 1920x1080."]


def test_another_rate_than_asked_is_noted() -> None:
    source = camera(FakeCapture(fps=30), CameraMode(rate=60))
    assert source.notes == ["The camera 0 gives 30 frames a second instead of 60."]
    assert camera(FakeCapture(fps=30), CameraMode(rate=29.97)).notes == []


def test_a_rate_that_the_driver_lies_about_is_noted_once() -> None:
    clock = ManualClock()
    source = camera(FakeCapture(fps=30), clock=clock)
    for _ in range(200):
        source.read()
        clock.advance(1 / 15)
    assert source.notes == [
        "The camera 0 gives 15.0 frames a second where its driver says 30; more light or another "
        "size may help."
    ]


def test_a_camera_that_stops_is_lost_after_a_few_reads() -> None:
    capture = FakeCapture(reads=3)
    source = camera(capture)
    source.read()
    source.read()
    with pytest.raises(SourceError, match="no pictures any more"):
        source.read()
    source.close()
    assert capture.released == 1


def test_a_camera_that_stalls_is_lost_after_one_read() -> None:
    clock = ManualClock()

    class Stalls(FakeCapture):
        def read(self) -> tuple[bool, object]:
            ok, bgr = super().read()
            clock.advance(0.04 if ok else 2.0)
            return ok, bgr

    source = camera(Stalls(reads=2), clock=clock)
    source.read()
    with pytest.raises(SourceError, match="no pictures any more"):
        source.read()
    assert clock.now_s() < 3


def test_a_camera_that_does_not_open_says_why_it_might() -> None:
    with pytest.raises(SourceError, match="is another program using it"):
        camera(FakeCapture(reads=-1))


def test_cameras_are_found_by_name(tmp_path: Path) -> None:
    for node, name in (("video0", "HD Webcam"), ("video10", "Capture Card")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "name").write_text(f"{name}\n")
    names = camera_names(tmp_path)
    assert list(names.items()) == [("/dev/video0", "HD Webcam"), ("/dev/video10", "Capture Card")]
    assert find_camera("capture", tmp_path) == "/dev/video10"
    with pytest.raises(SourceError, match="there is: HD Webcam, Capture Card"):
        find_camera("dslr", tmp_path)


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs mknod")
def test_a_device_node_without_a_driver_is_a_sentence(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    try:
        os.mknod(node, 0o600 | 0o020000, os.makedev(81, 250))
    except OSError:
        pytest.skip("this machine allows no device nodes")
    with pytest.raises(SourceError, match=r"cannot be opened|may not be used"):
        CameraSource(f"/dev/../{node}", clock=ManualClock())
