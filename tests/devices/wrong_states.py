"""Wrong states of real drivers, made one by one in the virtual machine, and what is said of them:
a camera that is missing, busy, forbidden, or asked for what it has not; virtual cameras that are
all taken, that cannot be opened again, that are not there.
"""

import os
import subprocess
import traceback
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pyvirtualcam

from stream.clock import Clock
from stream.command.doctor import Machine, check_cameras, check_virtual_camera
from stream.devices import VideoDevice, video_devices
from stream.errors import SinkError, SourceError
from stream.frame import Frame, Size
from stream.sinks.virtual_camera import VirtualCameraSink
from stream.sources.camera import CameraMode, CameraSource

CAMERA, LOOPBACK, EXCLUSIVE = "/dev/video10", "/dev/video20", "/dev/video21"
NOBODY = 65534
FRAME = Frame(np.zeros((180, 320, 3), np.uint8), 0, Fraction(1, 25))


def says(error: type[Exception], words: str, do: Callable[[], object]) -> None:
    """It fails so, in a sentence that has these words."""
    try:
        do()
    except error as err:
        assert words in str(err), str(err)
    else:
        raise AssertionError(f"nothing was said of {words!r}")


def check_cameras_that_are_wrong(clock: Clock) -> None:
    says(SourceError, "There is no camera", lambda: CameraSource("/dev/video99", clock=clock))
    with CameraSource(CAMERA, CameraMode((12345, 6789), 1000), clock=clock) as camera:
        size, rate = camera.notes
        assert "instead of 12345x6789" in size and "instead of 1000" in rate
    with CameraSource(CAMERA, CameraMode((320, 180)), clock=clock) as camera:
        camera.read()
        says(SourceError, "another program using it", lambda: CameraSource(CAMERA, clock=clock))
    with CameraSource(CAMERA, clock=clock) as camera:
        assert camera.read() is not None  # it is free again
    as_nobody(lambda: check_forbidden(clock))


def check_forbidden(clock: Clock) -> None:
    says(SourceError, "may not be used by you", lambda: CameraSource(CAMERA, clock=clock))
    finding = check_cameras(Machine())
    assert finding.state == "problem" and "usermod" in finding.mend, finding


def as_nobody(check: Callable[[], None]) -> None:
    """In a process without any rights; it can import nothing more."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            check()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def check_virtual_cameras_that_are_wrong() -> None:
    """Leaves the one with exclusive_caps=1 in the state that it cannot be opened in."""
    taken = [VirtualCameraSink(rate=Fraction(25)) for _ in (LOOPBACK, EXCLUSIVE)]
    for sink, path in zip(taken, (LOOPBACK, EXCLUSIVE), strict=True):
        sink.write(FRAME)
        assert sink.notes == [f"The virtual camera is {path}."]
    one_more = VirtualCameraSink(rate=Fraction(25))
    says(SinkError, "another program uses it", lambda: one_more.write(FRAME))
    for sink in taken:
        sink.close()

    again = VirtualCameraSink(rate=Fraction(25), open_camera=open_exclusive, devices=exclusive)
    says(SinkError, "closed with exclusive_caps=1", lambda: again.write(FRAME))
    finding = check_virtual_camera(Machine(devices=exclusive))
    assert finding.state == "problem" and "modprobe -r" in finding.mend, finding


def open_exclusive(size: Size, rate: float) -> pyvirtualcam.Camera:
    return pyvirtualcam.Camera(*size, rate, device=EXCLUSIVE)


def exclusive() -> list[VideoDevice]:
    return [one for one in video_devices() if one.path == EXCLUSIVE]


def check_no_driver() -> None:
    """Takes v4l2loopback out of the kernel."""
    subprocess.run(["/sbin/rmmod", "v4l2loopback"], check=True)
    sink = VirtualCameraSink(rate=Fraction(25))
    says(SinkError, "There is no virtual camera", lambda: sink.write(FRAME))
    finding = check_virtual_camera(Machine())
    assert finding.state == "note" and "modprobe v4l2loopback" in finding.mend, finding
