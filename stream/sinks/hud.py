"""Lines of text drawn into a picture, at the size at which it is shown.

White letters with a dark rim: readable on any painting, and cheap.
"""

import re
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FONT = cv2.FONT_HERSHEY_SIMPLEX
INK_BGR = (255, 255, 255)
RIM_BGR = (16, 16, 16)
RIM_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1), (-1, -1), (1, -1), (-1, 1))
MARGIN_PX = 10
SCALE_AT_PX = 720
"""Height at which letters have their plain size."""

BASE_SCALE = 0.85
LEAST_SCALE = 0.45
GAP, GAP_TEXT = re.compile(r" {2,}"), "  "
LINE_PX = 34
"""Distance of lines at scale 1."""


def draw_hud(bgr: NDArray[np.uint8], lines: Sequence[str]) -> None:
    """Write the lines at the top left of a picture, the last at its bottom, in place."""
    height, width = bgr.shape[:2]
    scale = max(LEAST_SCALE, BASE_SCALE * min(width / 16 * 9, height) / SCALE_AT_PX)
    step = round(LINE_PX * scale)
    room = width - 2 * MARGIN_PX
    above = [part for line in lines[:-1] for part in fitted(line, room, scale)]
    for index, line in enumerate(above):
        write(bgr, line, (MARGIN_PX, MARGIN_PX + step * (index + 1)), scale)
    below = fitted(lines[-1], room, scale)
    for index, line in enumerate(reversed(below)):
        write(bgr, line, (MARGIN_PX, height - MARGIN_PX - step * index), scale)


def fitted(line: str, room_px: int, scale: float) -> list[str]:
    """The line in as many as it takes, broken at its gaps of several spaces."""
    rows: list[str] = []
    for part in GAP.split(line):
        longer = f"{rows[-1]}{GAP_TEXT}{part}" if rows else part
        if rows and cv2.getTextSize(longer, FONT, scale, 1)[0][0] <= room_px:
            rows[-1] = longer
        else:
            rows.append(part)
    return rows


def write(bgr: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float) -> None:
    """One line of text with a rim, in place."""
    # A thicker pen would also set the letters further apart (OpenCV 5).
    for x, y in RIM_STEPS:
        moved = place[0] + x, place[1] + y
        cv2.putText(bgr, text, moved, FONT, scale, RIM_BGR, 1, cv2.LINE_AA)
    cv2.putText(bgr, text, place, FONT, scale, INK_BGR, 1, cv2.LINE_AA)
