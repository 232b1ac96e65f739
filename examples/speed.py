"""How fast files are painted here, in and out of one size: speed.py CLIP FOLDER MODEL SIDE...

For each side in px: a square clip of it, cut from CLIP, is decoded, painted with stability and
look-ahead, and encoded. Both clips stay in FOLDER. Loading and the first compilation do not count.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from models import load_engine
from stream import Session, Stylizer, open_sink, open_source
from stream.geometry import resize

if len(sys.argv) < 5:
    sys.exit(__doc__)
clip, folder, model, *sides = sys.argv[1:]


def middle(data: np.ndarray) -> np.ndarray:
    """The largest square in the middle of a picture."""
    side = min(data.shape[:2])
    top, left = ((length - side) // 2 for length in data.shape[:2])
    return data[top : top + side, left : left + side]


engine = load_engine(model)
for side in map(int, sides):
    square, painted = (Path(folder, f"{name}-{side}.mp4") for name in ("square", "painted"))
    with open_source(clip) as source:
        info = replace(source.info, size=(side, side), path=None)  # no file: without its sound
        with open_sink(square, info=info, overwrite=True) as sink:
            for frame in source:
                sink.write(frame.replace(resize(middle(frame.data), (side, side))))
    stylizer = Stylizer(engine, short_side_px=side, look_ahead=True, overlap=True)
    engine.warm_up((side, side), ahead=True, cell_px=stylizer.sizes((side, side)).cell_px)
    source = open_source(square)
    sink = open_sink(painted, info=source.info, overwrite=True)
    stats = Session(source, stylizer, sink).run()
    print(f"{side}x{side}, decoded, painted, encoded: {stats.fps:.1f} frames a second")
