"""The picture of a schedule in instrument.md: `python docs/travel_figure.py`.

A recorded performance of a shipped clip, in beats, is played as `restyle --automation` plays it;
above six of its frames as the bundled model paints them, below what the words are meanwhile.
"""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models import Style, load_engine, parse_prompt
from stream import Stylizer, open_source
from stream.live.automation import read_automation
from stream.live.controls import Look
from stream.live.schedule import Performance

DOCS = Path(__file__).resolve().parent
CLIP = DOCS.parent / "examples" / "clips" / "bunny.mp4"
SECONDS, SHOWN = 4.0, 6
TILE = 168, 112
PLOT_PX = 92
LEFT, RIGHT = 0.04, 0.96
INK, SOFT, PAINT, OTHER = (51, 43, 43), (160, 155, 150), (15, 72, 217), (166, 96, 30)
"""BGR, as OpenCV draws."""

TAKE = (
    {"allaprima": "automation", "version": 1, "tempo": 120},
    {"beat": 0, "prompt": "oil painting", "strength": 0.75},
    {"beat": 2, "prompt": "ukiyo-e", "over": 4, "ease": "smooth"},
    {"beat": 2, "strength": 0.45, "over": 2},
    {"beat": 4, "strength": 0.85, "over": 3, "ease": "out"},
)

Picture = NDArray[np.uint8]


def looks(times_s: NDArray[np.float64]) -> list[Look]:
    """What the take has at these times, which rise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "take.jsonl"
        path.write_text("\n".join(map(json.dumps, TAKE)), encoding="utf-8")
        changes = read_automation(path).in_seconds()
    performance = Performance(changes, Look(Style(prompt="oil painting")))
    return [performance.look_at(float(time_s)) for time_s in times_s]


def share(look: Look) -> float:
    """How much of the second prompt is in the mixture."""
    parts = {part.text: part.weight for part in parse_prompt(look.style.prompt)}
    return parts.get("ukiyo-e", 0.0)


def tiles(times_s: NDArray[np.float64]) -> Picture:
    """The frames of these times, painted each for itself."""
    engine = load_engine("bundled", device="cpu")
    painted: list[Picture] = []
    wanted = list(zip(times_s, looks(times_s), strict=True))
    with open_source(str(CLIP)) as source:
        for frame in source:
            if len(painted) == len(wanted):
                break
            if frame.time_s < wanted[len(painted)][0]:
                continue
            style = wanted[len(painted)][1].style
            stylizer = Stylizer(engine, style, short_side_px=256, stability=0, output_size="model")
            (shown,) = stylizer.process(frame)
            painted.append(cut(shown.data))
    return np.hstack(painted)


def cut(data: Picture) -> Picture:
    """The middle, in the tiles' shape."""
    height, width = data.shape[:2]
    across = min(width, height * TILE[0] // TILE[1])
    left = (width - across) // 2
    middle = np.ascontiguousarray(data[:, left : left + across])
    return np.asarray(cv2.resize(middle, TILE, interpolation=cv2.INTER_AREA), np.uint8)


def plot(width: int) -> Picture:
    """Beats, and both words over them."""
    plane = np.full((PLOT_PX, width, 3), 255, np.uint8)
    times_s = np.linspace(0, SECONDS, 240)
    shown = looks(times_s)
    x = np.interp(times_s, (0, SECONDS), (LEFT * width, RIGHT * width))
    font = cv2.FONT_HERSHEY_SIMPLEX
    for beat in range(int(SECONDS * 2) + 1):
        at = round(float(np.interp(beat / 2, (0, SECONDS), (LEFT * width, RIGHT * width))))
        cv2.line(plane, (at, 8), (at, PLOT_PX - 22), SOFT, 1)
        cv2.putText(plane, str(beat), (at - 4, PLOT_PX - 8), font, 0.38, INK, 1, cv2.LINE_AA)
    for values, colour in (
        ([share(look) for look in shown], PAINT),
        ([look.style.strength for look in shown], OTHER),
    ):
        y = PLOT_PX - 24 - np.array(values) * (PLOT_PX - 36)
        points = np.stack([x, y], axis=1).round().astype(np.int32)
        cv2.polylines(plane, [points], False, colour, 2, cv2.LINE_AA)
    right = round(width * 0.60)
    cv2.putText(plane, "ukiyo-e in the prompt", (right, 64), font, 0.4, PAINT, 1, cv2.LINE_AA)
    cv2.putText(plane, "strength", (round(width * 0.1), 20), font, 0.4, OTHER, 1, cv2.LINE_AA)
    cv2.putText(plane, "beats", (2, PLOT_PX - 8), font, 0.32, INK, 1, cv2.LINE_AA)
    return plane


def main() -> None:
    times_s = np.linspace(0.1, SECONDS - 0.3, SHOWN)
    above = tiles(times_s)[..., ::-1]
    sheet = np.vstack([above, plot(above.shape[1])])
    cv2.imwrite(str(DOCS / "travel.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, 66])


if __name__ == "__main__":
    main()
