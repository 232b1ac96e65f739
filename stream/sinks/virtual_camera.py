"""VirtualCameraSink: a camera that meeting programs and browsers can pick, by pyvirtualcam.

v4l2loopback on Linux, OBS or Unity Capture on Windows, OBS on macOS. The camera is opened once, at
the first frame, and keeps its size whatever changes inside: programs that hold it open would lose
it otherwise, and some drivers cannot be opened twice. pyvirtualcam is GPL-2.0, so it is an extra
and is imported only here.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.sink import Sink
from stream.sources.reconnecting import fit

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

    Raises:
        SinkError: pyvirtualcam is not installed.
    """

    def __init__(self, *, rate: Fraction, open_camera: OpenCamera | None = None) -> None:
        self.notes: list[str] = []
        self._rate = float(rate)
        self._open = open_camera or _opener()
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
            raise SinkError(
                "No virtual camera can be opened: on Linux load v4l2loopback, elsewhere install "
                "OBS; `allaprima doctor` tells what is missing here."
            ) from err

    def close(self) -> None:
        self._closed = True
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _opener() -> OpenCamera:
    try:
        import pyvirtualcam
    except ImportError as err:
        raise SinkError(f"The virtual camera needs pyvirtualcam; {INSTALL}.") from err

    def open_camera(size: Size, rate: float) -> Any:
        return pyvirtualcam.Camera(size[0], size[1], rate, fmt=pyvirtualcam.PixelFormat.RGB)

    return open_camera
