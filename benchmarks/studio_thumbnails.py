"""Paint the thumbnails that the studio ships, one a style.

Run it again when the bundled model gets new weights.
"""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from models import STYLES, load_engine
from stream.frame import Frame
from stream.studio import pictures
from stream.stylizer.stylizer import Stylizer

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "tests" / "probe" / "windmill.jpg"
THUMBS = ROOT / "stream" / "studio" / "pages" / "thumbs"
HEIGHT_PX, QUALITY = 120, 80
SHAPE = 16 / 9


def main() -> None:
    picture = cv2.imread(str(PICTURE), cv2.IMREAD_COLOR_RGB)
    height, width = picture.shape[:2]
    tall = min(height, round(width / SHAPE))
    top = (height - tall) // 2
    cut = np.ascontiguousarray(picture[top : top + tall], dtype=np.uint8)
    engine = load_engine("bundled")
    THUMBS.mkdir(exist_ok=True)
    for one in STYLES:
        style = engine.default_style.__class__(prompt=one.prompt)
        stylizer = Stylizer(engine, style, output_size="model", stability=0.0)
        painted = stylizer.process(Frame(cut, 0, Fraction(1, 24)))[-1].data
        small = pictures.thumbnail(painted, HEIGHT_PX)
        name = one.prompt.replace(" ", "-")
        (THUMBS / f"{name}.jpg").write_bytes(pictures.encode_jpeg(small, QUALITY))


if __name__ == "__main__":
    main()
