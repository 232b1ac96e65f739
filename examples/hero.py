"""The README's moving picture, before | after, one look a second: hero.py [OUT [MODEL]]

Every second frame of both clips, at the best quality below a megabyte.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from models import load_engine
from stream import Stylizer, open_source
from stream.geometry import resize

BUNNY = ("stained glass", "impressionism", "pencil sketch", "comic book")
FACE = ("van gogh", "charcoal", "pop art", "oil painting")
TILE, MOST_BYTES = (400, 224), 1_000_000
out, model = [*sys.argv[1:], *("docs/hero.webp", "bundled")[len(sys.argv) - 1 :]]
engine, pictures = load_engine(model), []


def labelled(data: np.ndarray, text: str) -> np.ndarray:
    data = np.ascontiguousarray(data)
    data[-26:] = data[-26:] // 3  # a dark strip to read it on
    cv2.putText(data, text, (10, TILE[1] - 8), 0, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return data


for clip, looks in {"face.mp4": FACE, "bunny.mp4": BUNNY}.items():
    stylizer, source = Stylizer(engine), open_source(Path(__file__).parent / "clips" / clip)
    for number, frame in enumerate(source):
        rows = frame.width * TILE[1] // TILE[0]  # of the tile's shape
        top = (frame.height - rows) // 2
        frame = frame.replace(resize(frame.data[top : top + rows], TILE))
        look = looks[min(int(frame.time_s), len(looks) - 1)]
        stylizer.style = replace(engine.default_style, prompt=look)
        (painted,) = stylizer.process(frame)
        if number % 2 == 0:
            halves = labelled(frame.data, "before"), labelled(painted.data, look)
            pictures.append(Image.fromarray(np.hstack(halves)))

for quality in range(80, 0, -10):
    shown = {"save_all": True, "append_images": pictures[1:], "duration": 80, "loop": 0}
    pictures[0].save(out, quality=quality, **shown)
    if Path(out).stat().st_size < MOST_BYTES:
        break
print(f"{out}: {len(pictures)} pictures, {Path(out).stat().st_size / 1e3:.0f} kB")
