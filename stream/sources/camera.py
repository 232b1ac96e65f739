"""CameraSource: reads a camera or capture card through OpenCV.

Cameras are named by number (``0``), by path (``/dev/video2``) or by what `allaprima devices` calls
them. MJPG is requested, because most cameras give their full size at full rate only that way. The
size of the first frame counts, not the requested one, and the rate is measured, because drivers
report wrong ones.
"""

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from stream.clock import Clock
from stream.devices import SYSFS, camera_names
from stream.errors import SourceError
from stream.frame import Frame, Size
from stream.sources.base import Source
from stream.video_info import VideoInfo

TIME_BASE = Fraction(1, 1_000_000)
LOST_AFTER_READS = 3
"""A driver may miss a frame; after so many in a row the camera is gone."""

STALL_S = 0.9
"""A read that failed after so long has waited for a camera that gives nothing."""

SELECT_TIMEOUT_S = 1
"""How long OpenCV waits for a frame on Linux, in whole seconds; its default is ten."""

FIRST_READS, FIRST_S = 5, 5.0
"""The same for its first frame: a camera may have to warm up."""

MEASURED_AFTER_S = 5.0
RATE_LIE_SHARE = 0.1
"""A measured rate that differs by more than this from what the driver says is worth a note."""


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`; the tests have one too."""

    def isOpened(self) -> bool: ...
    def read(self) -> tuple[bool, Any]: ...
    def get(self, propId: int, /) -> float: ...
    def set(self, propId: int, value: float, /) -> bool: ...
    def release(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CameraMode:
    """What to ask of a camera; ``None`` leaves it as it is."""

    size: Size | None = None
    rate: float | None = None


class CameraSource(Source):
    """RGB frames of one camera, stamped when they come. Not thread-safe.

    Args:
        name: Number, path or name.
        mode: Size and rate to ask for.
        open_capture: Opens OpenCV's capture; the tests give another.

    Raises:
        SourceError: There is no such camera, it is not ours to use, or it gives no picture.
    """

    def __init__(
        self,
        name: str,
        mode: CameraMode | None = None,
        *,
        clock: Clock,
        open_capture: Callable[[int | str], Capture] | None = None,
        sysfs: Path = SYSFS,
    ) -> None:
        self.notes: list[str] = []
        self._name = name
        self._clock = clock
        device = find_camera(name, sysfs)
        if open_capture is None:
            refuse_unusable(device)
        self._capture: Capture | None = (open_capture or _open_capture)(device)
        if not self._capture.isOpened():
            self.close()
            raise SourceError(
                f"The camera {name} cannot be opened; is another program using it, or was it "
                "unplugged? `allaprima devices` lists what is there."
            )
        self._ask(self._capture, mode or CameraMode())
        first = self._grab(FIRST_READS, FIRST_S)
        size = int(first.shape[1]), int(first.shape[0])
        self._promised = self._capture.get(cv2.CAP_PROP_FPS)
        self.info = VideoInfo(size=size, time_base=TIME_BASE, rate=_rate(self._promised))
        self._note_mode(mode or CameraMode(), size)
        self._first_s: float | None = None
        self._count = 0
        self._rate_is_noted = False

    def _ask(self, capture: Capture, mode: CameraMode) -> None:
        capture.set(cv2.CAP_PROP_FOURCC, float(cv2.VideoWriter.fourcc(*"MJPG")))
        if mode.size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.size[1])
        if mode.rate is not None:
            capture.set(cv2.CAP_PROP_FPS, mode.rate)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # what waits in the driver is old

    def _note_mode(self, mode: CameraMode, size: Size) -> None:
        if mode.size is not None and mode.size != size:
            self.notes.append(
                f"The camera {self._name} gives {size[0]}x{size[1]} instead of "
                f"{mode.size[0]}x{mode.size[1]}."
            )
        promised = self._promised
        if mode.rate is not None and promised and _differ(promised, mode.rate):
            self.notes.append(
                f"The camera {self._name} gives {promised:g} frames a second instead of "
                f"{mode.rate:g}."
            )

    def _grab(self, reads: int = LOST_AFTER_READS, stall_s: float = STALL_S) -> Any:
        for _ in range(reads):
            if self._capture is None:
                break
            start_s = self._clock.now_s()
            ok, bgr = self._capture.read()
            if ok:
                return bgr
            if self._clock.now_s() - start_s > stall_s:
                break
        self.close()
        raise SourceError(f"The camera {self._name} gives no pictures any more; check its cable.")

    def read(self) -> Frame | None:
        if self._capture is None:
            return None
        bgr = self._grab()
        now_s = self._clock.now_s()
        if self._first_s is None:
            self._first_s = now_s
        self._measure(now_s - self._first_s)
        data = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return Frame(data, round((now_s - self._first_s) * TIME_BASE.denominator), TIME_BASE)

    def _measure(self, elapsed_s: float) -> None:
        """Compare what the driver promised with what came, once."""
        self._count += 1
        if self._rate_is_noted or elapsed_s < MEASURED_AFTER_S:
            return
        self._rate_is_noted = True
        measured = (self._count - 1) / elapsed_s
        if _differ(measured, self._promised):
            self.notes.append(
                f"The camera {self._name} gives {measured:.1f} frames a second where its driver "
                f"says {self._promised:g}; more light or another size may help."
            )

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _differ(rate: float, wanted: float) -> bool:
    return abs(rate - wanted) > RATE_LIE_SHARE * wanted


def _rate(promised: float) -> Fraction | None:
    return Fraction(promised).limit_denominator(1001) if promised > 0 else None


def _open_capture(device: int | str) -> Capture:
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(SELECT_TIMEOUT_S))
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    return cv2.VideoCapture(device, backend)


def find_camera(name: str, sysfs: Path = SYSFS) -> int | str:
    """What OpenCV opens for a number, a path or a name.

    Raises:
        SourceError: No camera is called so.
    """
    if name.isdigit():
        return int(name)
    if name.startswith("/dev/"):
        return name
    names = camera_names(sysfs)
    wanted = name.lower()
    for path, label in names.items():
        if wanted in label.lower():
            return path
    there = ", ".join(names.values()) or "none"
    raise SourceError(f"There is no camera called {name!r}; there is: {there}.")


def refuse_unusable(device: int | str) -> None:
    """On Linux, say why a device cannot be opened before OpenCV fails without a word.

    Raises:
        SourceError: It is not there, may not be read, or is in use.
    """
    if sys.platform != "linux":
        return
    path = f"/dev/video{device}" if isinstance(device, int) else device
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError as err:
        raise SourceError(
            f"There is no camera {path}; plug one in, or see `allaprima devices`, or try "
            "the input testsrc."
        ) from err
    except PermissionError as err:
        raise SourceError(
            f"{path} may not be used by you; add yourself to the group video and log in again."
        ) from err
    except OSError as err:
        if err.errno == errno.EBUSY:
            raise SourceError(f"{path} is in use by another program; close that first.") from err
        raise SourceError(f"{path} cannot be opened ({err.strerror}); check its cable.") from err
