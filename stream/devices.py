"""Devices: the cameras and virtual cameras of this machine, as the system reports them.

On Linux the kernel is asked by ioctl (videodev2.h: VIDIOC_QUERYCAP, VIDIOC_ENUM_FMT,
VIDIOC_ENUM_FRAMESIZES); elsewhere the first few numbers are tried with OpenCV. Opens no stream.
"""

import os
import re
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

QUERYCAP = 0x80685600
ENUM_FMT = 0xC0405602
ENUM_FRAMESIZES = 0xC02C564A
"""Request codes of the kernel's interface."""

CAPTURE = 0x00000001
OUTPUT = 0x00000002
DEVICE_CAPS = 0x80000000
"""Flags of what a device can do."""

QUERYCAP_BYTES = 104
FMT_BYTES = 64
FRAMESIZES_BYTES = 44
VIDEO_CAPTURE = 1
DISCRETE = 1
MOST_FORMATS = 32
MOST_SIZES = 64
LOOPBACK_DRIVER = "v4l2 loopback"
TRIED_ELSEWHERE = 4

SYSFS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """One video device.

    Attributes:
        path: What `--from` takes.
        name: What its driver calls it.
        driver: The driver's own name; "" where it is not known.
        captures: Whether pictures can be read from it.
        takes: Whether pictures can be written to it (a virtual camera).
        modes: Pixel format and sizes, such as ``"MJPG 640x480 1280x720"``.
        problem: Why it cannot be used; "" where it can.
    """

    path: str
    name: str
    driver: str = ""
    captures: bool = False
    takes: bool = False
    modes: tuple[str, ...] = field(default=())
    problem: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether it is v4l2loopback's."""
        return self.driver == LOOPBACK_DRIVER

    @property
    def is_stuck(self) -> bool:
        """Whether it is v4l2loopback's that was closed with exclusive_caps=1: it says that it can
        do nothing, and older versions of the driver never open it again.
        """
        return self.is_loopback and not self.takes and not self.captures and not self.problem


def video_devices(sysfs: Path = SYSFS) -> list[VideoDevice]:
    """Every video device that the system reports."""
    if sys.platform != "linux":
        return _tried_by_number()
    return [_describe(path, name) for path, name in camera_names(sysfs).items()]


def camera_names(sysfs: Path = SYSFS) -> dict[str, str]:
    """Device path -> name of every video device that Linux knows; empty elsewhere."""
    if not sysfs.is_dir():
        return {}
    nodes = sorted(
        sysfs.iterdir(), key=lambda node: [int(n) for n in re.findall(r"\d+", node.name)]
    )
    return {
        f"/dev/{node.name}": (node / "name").read_text(encoding="utf-8").strip()
        for node in nodes
        if (node / "name").is_file()
    }


def _describe(path: str, name: str) -> VideoDevice:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except PermissionError:
        return VideoDevice(path, name, problem="not yours to use: join the group video")
    except OSError as err:
        return VideoDevice(path, name, problem=f"{err.strerror}")
    try:
        return _ask(descriptor, path, name)
    except OSError as err:
        return VideoDevice(path, name, problem=f"does not answer ({err.strerror})")
    finally:
        os.close(descriptor)


def _ask(descriptor: int, path: str, name: str) -> VideoDevice:
    answer = _ioctl(descriptor, QUERYCAP, bytes(QUERYCAP_BYTES))
    driver = answer[:16].split(b"\0")[0].decode("utf-8", "replace")
    every, own = struct.unpack_from("=II", answer, 84)
    flags = own if every & DEVICE_CAPS else every
    captures = bool(flags & CAPTURE)
    modes = tuple(_modes(descriptor)) if captures else ()
    return VideoDevice(path, name, driver, captures, bool(flags & OUTPUT), modes)


def _modes(descriptor: int) -> list[str]:
    modes = []
    for index in range(MOST_FORMATS):
        request = struct.pack("=II", index, VIDEO_CAPTURE).ljust(FMT_BYTES, b"\0")
        try:
            answer = _ioctl(descriptor, ENUM_FMT, request)
        except OSError:
            break
        (code,) = struct.unpack_from("=4s", answer, 44)
        modes.append(" ".join([code.decode("ascii", "replace"), *_sizes(descriptor, code)]))
    return modes


def _sizes(descriptor: int, code: bytes) -> list[str]:
    sizes = []
    for index in range(MOST_SIZES):
        request = struct.pack("=I4s", index, code).ljust(FRAMESIZES_BYTES, b"\0")
        try:
            answer = _ioctl(descriptor, ENUM_FRAMESIZES, request)
        except OSError:
            break
        kind, width, height = struct.unpack_from("=III", answer, 8)
        if kind != DISCRETE:
            return ["any size"]
        sizes.append(f"{width}x{height}")
    return sizes


def _ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
    import fcntl

    return bytes(fcntl.ioctl(descriptor, request, argument))


def _tried_by_number() -> list[VideoDevice]:
    import cv2

    found = []
    for number in range(TRIED_ELSEWHERE):
        capture = cv2.VideoCapture(number)
        if capture.isOpened():
            found.append(VideoDevice(str(number), f"camera {number}", captures=True))
        capture.release()
    return found
