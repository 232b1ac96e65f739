"""VirtualCameraSink: a camera that meeting programs and browsers can pick, by pyvirtualcam.

v4l2loopback on Linux, OBS or Unity Capture on Windows, OBS on macOS. The camera is opened once, at
the first frame, and keeps its size whatever changes inside: programs that hold it open would lose
it otherwise, and some drivers cannot be opened twice. pyvirtualcam is GPL-2.0, so it is an extra
and is imported only here.
"""

import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.devices import VideoDevice, video_devices
from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.geometry import fit
from stream.sinks.base import Sink

INSTALL = "install it with pip install 'allaprima[vcam]'"


class Camera(Protocol):
    """What is used of pyvirtualcam's camera; the tests have one too."""

    @property
    def device(self) -> str: ...

    def send(self, frame: NDArray[np.uint8], /) -> None: ...
    def close(self) -> None: ...


OpenCamera = Callable[[Size, float], Camera]


class VirtualCameraSink(Sink):
    """Sends frames to a virtual camera. Not thread-safe.

    Args:
        rate: Frames a second that the camera announces.
        open_camera: Opens it; the tests give another.
        devices: The video devices of this machine, to say why none can be opened.

    Raises:
        SinkError: pyvirtualcam is not installed.
    """

    def __init__(
        self,
        *,
        rate: Fraction,
        open_camera: OpenCamera | None = None,
        devices: Callable[[], Sequence[VideoDevice]] = video_devices,
    ) -> None:
        self.notes: list[str] = []
        self._rate = float(rate)
        self._open = open_camera or _opener()
        self._devices = devices
        self._camera: Camera | None = None
        self._size: Size | None = None
        self._closed = False

    def write(self, frame: Frame) -> None:
        if self._closed:
            return
        if self._camera is None or self._size is None:
            self._size = frame.size
            self._camera = self._open_once(frame.size)
            self.notes.append(f"The virtual camera is {self._camera.device}.")
        data = np.ascontiguousarray(fit(frame.data, self._size))
        try:
            self._camera.send(data)
        except (RuntimeError, OSError) as err:
            raise SinkError(f"The virtual camera is gone ({err}); start it again.") from err

    def _open_once(self, size: Size) -> Camera:
        try:
            return self._open(size, self._rate)
        except (RuntimeError, OSError, ValueError) as err:
            found = self._devices() if sys.platform == "linux" else ()
            raise SinkError(_reason(sys.platform, found)) from err

    def close(self) -> None:
        self._closed = True
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _reason(platform: str, devices: Sequence[VideoDevice]) -> str:
    """Why no virtual camera can be opened, and what to do about it."""
    if platform != "linux":
        return "No virtual camera can be opened: install OBS, and close what uses its camera."
    barred = [one.path for one in devices if "group video" in one.problem]
    loopbacks = [one for one in devices if one.is_loopback]
    if barred and not loopbacks:
        return f"{barred[0]} may not be used by you; join the group video and log in again."
    if not loopbacks:
        return (
            "There is no virtual camera: load v4l2loopback, as `allaprima doctor` says, or use "
            "the output pipewire."
        )
    if all(one.is_stuck for one in loopbacks):
        return (
            f"{loopbacks[0].path} was closed with exclusive_caps=1 and cannot be opened again: "
            "unload v4l2loopback (sudo modprobe -r v4l2loopback) and load it again."
        )
    paths = " and ".join(one.path for one in loopbacks)
    return f"{paths} cannot be opened: another program uses it; close that first."


def _opener() -> OpenCamera:
    try:
        import pyvirtualcam
    except ImportError as err:
        raise SinkError(f"The virtual camera needs pyvirtualcam; {INSTALL}.") from err

    def open_camera(size: Size, rate: float) -> Any:
        return pyvirtualcam.Camera(size[0], size[1], rate, fmt=pyvirtualcam.PixelFormat.RGB)

    return open_camera
