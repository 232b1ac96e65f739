"""VirtualCameraSink: one camera of one size for the whole run; sentences where there is none."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from command import allaprima, assert_refused
from fakes import make_frames

from stream.command.exit_codes import ExitCode
from stream.devices import LOOPBACK_DRIVER, VideoDevice
from stream.errors import SinkError
from stream.frame import Size
from stream.sinks.virtual_camera import VirtualCameraSink, _reason


class FakeCamera:
    """pyvirtualcam's camera without a driver."""

    device = "/dev/video20"

    def __init__(self, size: Size, rate: float, error: Exception | None = None) -> None:
        self.size, self.rate, self.error = size, rate, error
        self.sent: list[np.ndarray] = []
        self.closed = 0

    def send(self, frame: np.ndarray) -> None:
        if self.error is not None:
            raise self.error
        assert frame.shape == (self.size[1], self.size[0], 3)
        assert frame.flags.c_contiguous
        self.sent.append(frame)

    def close(self) -> None:
        self.closed += 1


def make(error: Exception | None = None) -> tuple[VirtualCameraSink, list[FakeCamera]]:
    opened: list[FakeCamera] = []

    def open_camera(size: Size, rate: float) -> FakeCamera:
        opened.append(FakeCamera(size, rate, error))
        return opened[-1]

    return VirtualCameraSink(rate=Fraction(24), open_camera=open_camera), opened


def test_one_camera_of_one_size_whatever_comes() -> None:
    sink, opened = make()
    for size in ((64, 48), (96, 96), (32, 24)):
        sink.write(make_frames(1, size)[0])
    sink.close()
    sink.close()
    (camera,) = opened
    assert (camera.size, camera.rate, camera.closed) == ((64, 48), 24.0, 1)
    assert len(camera.sent) == 3
    assert sink.notes == ["The virtual camera is /dev/video20."]


def test_no_camera_is_opened_before_the_first_frame() -> None:
    sink, opened = make()
    sink.close()
    assert opened == []


def test_a_camera_that_breaks_is_a_sentence() -> None:
    sink, _ = make(RuntimeError("error writing"))
    with pytest.raises(SinkError, match="The virtual camera is gone"):
        sink.write(make_frames(1)[0])


def loopback(number: int, **state: bool) -> VideoDevice:
    return VideoDevice(f"/dev/video{number}", "allaprima", LOOPBACK_DRIVER, **state)


WEBCAM = VideoDevice("/dev/video0", "webcam", "uvcvideo", captures=True)
BARRED = VideoDevice("/dev/video1", "allaprima", problem="not yours to use: join the group video")


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([], r"load v4l2loopback.*`allaprima doctor`"),
        ([WEBCAM], "load v4l2loopback"),
        ([WEBCAM, BARRED], "/dev/video1 may not be used by you"),
        ([loopback(2)], r"/dev/video2 was closed with exclusive_caps=1.*modprobe -r"),
        ([loopback(2), loopback(3, captures=True)], "/dev/video2 and /dev/video3 .*another"),
    ],
)
def test_why_no_camera_can_be_opened_is_a_sentence(
    devices: list[VideoDevice], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_camera(size: Size, rate: float) -> FakeCamera:
        raise RuntimeError("v4l2loopback backend: no device found")

    monkeypatch.setattr("sys.platform", "linux")
    sink = VirtualCameraSink(rate=Fraction(24), open_camera=open_camera, devices=lambda: devices)
    with pytest.raises(SinkError, match=words):
        sink.write(make_frames(1)[0])


def test_elsewhere_obs_is_what_is_missing() -> None:
    assert "install OBS" in _reason("win32", [])


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    result = allaprima("live", "--from", "testsrc", "--to", "virtualcam")
    assert_refused(result, ExitCode.OUTPUT, "pip install 'allaprima[vcam]'")
