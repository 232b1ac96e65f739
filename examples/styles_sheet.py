"""Paint a frame in every look the bundled model knows: styles_sheet.py CLIP SECONDS OUT [MODEL]"""

import sys
from dataclasses import replace

import cv2
import numpy as np

from models import STYLES, load_engine
from stream import Stylizer, open_source
from stream.geometry import resize

COLUMNS = 5
TILE = (320, 180)
LABEL_PX = 26

if len(sys.argv) < 4:
    sys.exit(__doc__)
clip, at_s, out, *model = sys.argv[1:]
engine = load_engine(*model or ["bundled"])
with open_source(clip) as source:
    frame = next(frame for frame in source if frame.time_s >= float(at_s))


def tile(data: np.ndarray, label: str) -> np.ndarray:
    """A picture under its name."""
    head = np.full((LABEL_PX, TILE[0], 3), 255, np.uint8)
    cv2.putText(head, label, (4, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([head, resize(data, TILE)])


stylizer = Stylizer(engine, stability=0)
tiles = [tile(frame.data, "before")]
for look in STYLES:
    stylizer.style = replace(engine.default_style, prompt=look.prompt)
    (painted,) = stylizer.process(frame)
    tiles.append(tile(painted.data, look.prompt))
tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % COLUMNS)

rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
cv2.imwrite(out, cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
print(f"{out}: {len(STYLES)} looks")
