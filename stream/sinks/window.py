"""WindowSink: the preview window, by OpenCV's highgui. Its key bindings are given by the caller.

Only the main thread may touch it. highgui aborts the whole process where it cannot reach a
display, so the display is asked first, and highgui is not touched before the first frame.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream import geometry
from stream.clock import Clock
from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.sinks.base import Sink
from stream.sinks.hud import draw_hud

TITLE = "Alla Prima"
IDLE_MS = 5
"""How long events are waited for while no frame comes."""

LEAST_SIDE_PX = 64
OPENING_HEIGHT_PX = 540
"""A small picture is shown larger; the user may change it."""

FLAGS = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
X_SOCKETS = Path("/tmp/.X11-unix")
X_PORT = 6000
X_TIMEOUT_S = 2.0


class WindowSink(Sink):
    """Shows frames and reads keys. Only for the main thread.

    Args:
        key_actions: Key code -> what it does.
        on_closed: Called when the user closes the window.
        hud_lines: What is written over the picture: lines at its top, the last at its bottom;
            nothing is drawn where there are none.
        mirrored: Show it as a mirror does; the text stays readable.

    Raises:
        SinkError: There is no display, or this OpenCV has no windows.
    """

    main_thread: ClassVar[bool] = True
    takes_preview: ClassVar[bool] = True

    def __init__(
        self,
        key_actions: Mapping[int, Callable[[], None]],
        on_closed: Callable[[], None],
        hud_lines: Callable[[], Sequence[str]] = tuple,
        *,
        mirrored: bool = False,
        clock: Clock | None = None,
    ) -> None:
        refuse_without_display()
        self.notes: list[str] = []
        self._mirrored = mirrored
        self._key_actions = key_actions
        self._on_closed = on_closed
        self._hud_lines = hud_lines
        self._clock = clock or Clock()
        self._never = threading.Event()
        self._is_open = False
        self._closed = False

    def write(self, frame: Frame) -> None:
        if self._closed:
            return
        if not self._is_open:
            self._open(frame.size)
        cv2.imshow(TITLE, self._drawn(frame))
        self._answer(cv2.pollKey())

    def idle(self) -> None:
        if self._is_open and not self._closed:
            self._answer(cv2.waitKey(IDLE_MS))
        else:
            self._clock.wait(self._never, IDLE_MS / 1e3)  # waitKey does not wait without a window

    def close(self) -> None:
        self._closed = True
        if self._is_open:
            self._is_open = False
            with suppress(cv2.error):  # Qt's, where the user has closed it
                cv2.destroyWindow(TITLE)
                cv2.pollKey()  # lets the window system take it away

    def _open(self, size: Size) -> None:
        cv2.namedWindow(TITLE, FLAGS)
        scale = max(1.0, OPENING_HEIGHT_PX / size[1])
        cv2.resizeWindow(TITLE, round(size[0] * scale), round(size[1] * scale))
        self._is_open = True

    def _drawn(self, frame: Frame) -> NDArray[np.uint8]:
        """BGR at the window's own size, so that lines and letters are not scaled after drawing."""
        data = frame.data[:, ::-1] if self._mirrored else frame.data
        data = geometry.resize(np.ascontiguousarray(data), self._inner_size(frame.size))
        bgr = np.asarray(cv2.cvtColor(data, cv2.COLOR_RGB2BGR), dtype=np.uint8)
        lines = self._hud_lines()
        if lines:
            draw_hud(bgr, lines)
        return bgr

    def _inner_size(self, size: Size) -> Size:
        """The largest size of the frame's shape that fits the window."""
        _, _, width, height = cv2.getWindowImageRect(TITLE)
        if min(width, height) < LEAST_SIDE_PX:
            return size
        scale = min(width / size[0], height / size[1])
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def _answer(self, key: int) -> None:
        if key >= 0:
            action = self._key_actions.get(key & 0xFF)
            if action is not None:
                action()
        if not _is_visible():
            self._closed = True  # or the next frame would open another
            self._on_closed()


def _is_visible() -> bool:
    """Whether the window is there. Closed by the user, it takes Qt's receiver with it: an error."""
    try:
        return cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        return False


def refuse_without_display() -> None:
    """
    Raises:
        SinkError: A window would abort the process, or cannot be made.
    """
    if "GUI:                           NONE" in cv2.getBuildInformation():
        raise SinkError(
            "This OpenCV has no windows (opencv-python-headless is installed): uninstall it, then "
            "reinstall opencv-python; or use another output."
        )
    if sys.platform != "linux":
        return
    display = os.environ.get("DISPLAY")
    if not display:
        raise SinkError(
            "There is no display for a window (DISPLAY is not set): start it in a desktop "
            "session, or use another output."
        )
    if not display_answers(display):
        raise SinkError(
            f"The display {display} does not answer: check DISPLAY, or use another output."
        )
    loaded = list(sys.modules)
    if "av" in loaded and loaded.index("av") < loaded.index("cv2"):
        raise SinkError(
            "PyAV was imported before OpenCV, whose windows then hang: write `import cv2` before "
            "`import av`."
        )


def display_answers(display: str) -> bool:
    """Whether an X server listens where DISPLAY points: ``:0``, ``host:10.0``."""
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return False
    try:
        if host in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as local:
                local.settimeout(X_TIMEOUT_S)
                local.connect(str(X_SOCKETS / f"X{number}"))
        else:
            socket.create_connection((host, X_PORT + int(number)), X_TIMEOUT_S).close()
    except OSError:
        return False
    return True
