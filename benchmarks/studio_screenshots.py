"""Screenshots and a moving picture of the studio for the documentation.

    python benchmarks/studio_screenshots.py

Starts the studio with the bundled model, opens it in Chromium with a clip for a camera, draws, and
writes docs/studio-*.jpg and docs/studio.webp. Run it again when the bundled model gets new weights.
"""

import io
import math
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsers import Tab, chromium  # noqa: E402
from studios import RunningStudio, make_options  # noqa: E402

DOCS = ROOT / "docs"
CLIP = ROOT / "examples" / "clips" / "face.mp4"
WIDE, PHONE = (1360, 800), (390, 844)
CAMERA_SIZE = (640, 360)
QUALITY = 82
MOVING_WIDTH, MOVING_MS = 680, 140
SETTLE_MS = 20_000
SKY = ("#3f6fb5", "#8fb7e0", "#8fb7e0", "#f0c890", "#f7e18c")
LAND = ("#5f8b3a", "#5f8b3a", "#a3b85a", "#2f4a2a")

Points = list[tuple[float, float]]


def write_camera(path: Path) -> None:
    """The clip as Chromium's fake camera takes it."""
    width, height = CAMERA_SIZE
    with av.open(str(CLIP)) as clip, path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F24:1 Ip A1:1 C420jpeg\n".encode())
        for frame in clip.decode(video=0):
            small = cv2.resize(frame.to_ndarray(format="rgb24"), CAMERA_SIZE)
            file.write(b"FRAME\n" + cv2.cvtColor(small, cv2.COLOR_RGB2YUV_I420).tobytes())


def wave(y: float, height: float, phase: float) -> Points:
    """A stroke across the picture."""
    return [(i / 24, y + height * math.sin(6 * i / 24 + phase)) for i in range(25)]


def strokes() -> list[tuple[str, int, Points]]:
    """A landscape: colour, width and points of each stroke."""
    found = [(c, 110, wave(0.04 + 0.105 * i, 0.01, i)) for i, c in enumerate(SKY)]
    found += [("#7a6a8a", 90, wave(0.52, 0.03, 0)), ("#7a6a8a", 90, wave(0.56, 0.02, 2))]
    found += [(c, 110, wave(0.66 + 0.11 * i, 0.02, 3 * i)) for i, c in enumerate(LAND)]
    found += [("#5a3927", 14, [(0.22, 0.8), (0.215, 0.7), (0.22, 0.6), (0.21, 0.5)])]
    crown = ((0.2, 0.45), (0.26, 0.48), (0.16, 0.5), (0.22, 0.4))
    found += [("#2f4a2a", 46, [(x - 0.05, y), (x, y - 0.02), (x + 0.05, y)]) for x, y in crown]
    sun = [(0.76 + 0.03 * math.cos(i), 0.3 + 0.03 * math.sin(i)) for i in range(8)]
    path = [(0.5, 0.62), (0.56, 0.7), (0.52, 0.8), (0.62, 0.95), (0.66, 1.0)]
    return [*found, ("#d9773c", 30, sun), ("#e9d7b8", 30, path)]


def save(tab: Tab, name: str) -> None:
    data = np.frombuffer(tab.page.screenshot(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    cv2.imwrite(str(DOCS / name), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def draw(tab: Tab, shots: list[Image.Image] | None = None) -> None:
    """The landscape, with a picture after each stroke."""
    for colour, size, points in strokes():
        tab.page.evaluate(
            "([c, s]) => { const canvas = window.studio.canvas; canvas.tools.setColour(c);"
            "const e = document.getElementById('brush-size'); e.value = s; e.oninput() }",
            [colour, size],
        )
        tab.draw(*points)
        if shots is not None:
            tab.page.wait_for_timeout(350)
            shots.append(Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB"))
    tab.wait("window.studio.canvas.isAtRest")
    tab.page.mouse.move(4, 4)


def moving(shots: list[Image.Image]) -> None:
    height = round(MOVING_WIDTH * WIDE[1] / WIDE[0])
    small = [shot.resize((MOVING_WIDTH, height)) for shot in shots]
    durations = [MOVING_MS] * (len(small) - 1) + [2500]
    small[0].save(
        DOCS / "studio.webp",
        save_all=True,
        append_images=small[1:],
        duration=durations,
        loop=0,
        quality=62,
        method=4,
    )


def shoot(studio: RunningStudio, browser: Any) -> None:
    root = f"http://127.0.0.1:{studio.port}/"
    for size, name in ((WIDE, "live"), (PHONE, "phone")):
        tab = Tab(browser, size)
        tab.page.goto(root)
        tab.page.get_by_text("Start the camera").click()
        tab.wait("document.querySelector('#chips').textContent.includes('fps')")
        tab.page.evaluate("document.querySelector('#source .label').textContent = 'Camera'")
        tab.page.wait_for_timeout(SETTLE_MS if size == WIDE else 3000)
        save(tab, f"studio-{name}.jpg")
        tab.close()
    tab, shots = Tab(browser, WIDE), []
    tab.page.goto(f"{root}#canvas")
    tab.wait("window.studio?.canvas.connection?.seated")
    draw(tab, shots)
    tab.page.wait_for_timeout(SETTLE_MS)
    save(tab, "studio-canvas.jpg")
    moving([*shots, Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB")])
    tab.page.goto(f"{root}#files")
    tab.page.set_input_files("#file-input", [str(CLIP)])
    tab.page.locator('[data-state="done"]').wait_for(timeout=600_000)
    save(tab, "studio-files.jpg")
    tab.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.y4m"
        write_camera(camera)
        options = make_options(Path(folder))
        studio = RunningStudio(Path(folder), lambda: options.load_engine(None), stability=None)
        studio.start()
        try:
            with chromium(camera) as browser:
                shoot(studio, browser)
        finally:
            with suppress(AssertionError):
                studio.stop()


if __name__ == "__main__":
    main()
