"""A real Chromium with a camera that is a file, for the tests of the studio's pages."""

import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CAMERA_SIZE = (320, 180)
CAMERA_FRAMES = 48
WAIT_MS = 180_000
_RUNNING: list[Any] = []


def write_camera(path: Path) -> None:
    """A film for Chromium's fake camera: a disc that wanders over a warm ground."""
    width, height = CAMERA_SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F24:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(CAMERA_FRAMES):
            picture = np.full((height, width, 3), (60, 120, 200), np.uint8)
            at = round(width * index / CAMERA_FRAMES), height // 2
            cv2.circle(picture, at, 40, (240, 240, 30), -1)
            file.write(b"FRAME\n")
            file.write(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).tobytes())


def find_chromium() -> str:
    """The browser to drive."""
    named = os.environ.get("ALLAPRIMA_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise RuntimeError("there is no chromium; `make test-browser` installs it")
    return found


@contextmanager
def chromium(camera: Path | None, *arguments: str, grants: bool = True) -> Iterator[Any]:
    """A browser; without `camera` it has none, without `grants` nobody allows it one."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", *arguments]
    if camera is not None:
        flags += [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ]
    if grants:
        flags += ["--use-fake-ui-for-media-stream"]
    if not _RUNNING:  # one serves all browsers; a second cannot be started beside it
        _RUNNING.append(sync_playwright().start())
        atexit.register(_RUNNING[0].stop)
    browser = _RUNNING[0].chromium.launch(
        executable_path=find_chromium(), headless=True, args=flags
    )
    try:
        yield browser
    finally:
        browser.close()


class Tab:
    """A page of a browser, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, size: tuple[int, int] = (1360, 800), **context: Any) -> None:
        viewport = {"width": size[0], "height": size[1]}
        self.context = browser.new_context(viewport=viewport, **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true."""
        self.page.wait_for_function(f"() => {condition}", timeout=WAIT_MS)

    def wait_for_text(self, text: str) -> None:
        """Until the page says this."""
        self.page.get_by_text(text).first.wait_for(timeout=WAIT_MS)

    def draw(self, *points: tuple[float, float]) -> None:
        """A stroke by mouse, in shares of the drawing."""
        box = self.page.locator("#drawing").bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for point in at[1:]:
            self.page.mouse.move(*point)
        self.page.mouse.up()

    def close(self) -> None:
        self.context.close()
        assert self.errors == []
