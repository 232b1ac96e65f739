"""The figures and keys that the window shows: drawn into the picture, at the size it is shown.

White letters with a dark rim: readable on any painting, and cheap.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.controls import Controls
from stream.stats import Stats

FONT = cv2.FONT_HERSHEY_SIMPLEX
INK_BGR = (255, 255, 255)
RIM_BGR = (16, 16, 16)
RIM_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1), (-1, -1), (1, -1), (-1, 1))
MARGIN_PX = 10
SCALE_AT_PX = 720
"""Height at which letters have their plain size."""

BASE_SCALE = 0.85
LEAST_SCALE = 0.45
LINE_PX = 34
"""Distance of lines at scale 1."""


def hud_lines(controls: Controls, stats: Stats) -> list[str]:
    """What is said, line by line."""
    look = controls.look
    age_ms = stats.latency_ms
    paint = stats.stages.get("paint", {"p95": 0.0})
    switches = " ".join(name for name in ("bypass", "freeze", "split") if getattr(look, name))
    amounts = f"strength {look.style.strength:.2f}  stability {look.stability:.2f}"
    lines = [
        f"{controls.style_name}  {amounts}",
        f"{stats.recent_fps():.1f} fps  age {age_ms['p50']:.0f} / {age_ms['p95']:.0f} ms"
        f"  model {paint['p95']:.0f} ms",
    ]
    if stats.effort:
        lines.append(stats.effort)
    lines += losses(stats)
    lines.append(switches.upper())
    return [line for line in lines if line]


def losses(stats: Stats) -> list[str]:
    """What was dropped on the way, by cause, and by each output that is in trouble."""
    lost = {"dropped": stats.dropped_by_cause} | stats.missed_by_sink
    return [
        f"{name}  {', '.join(f'{count} {cause}' for cause, count in causes.items())}"
        for name, causes in lost.items()
        if causes
    ]


def draw_hud(
    bgr: NDArray[np.uint8], controls: Controls, stats: Stats, keys: Sequence[tuple[str, str]]
) -> None:
    """Write the lines at the top left and the keys at the bottom of a picture, in place."""
    height, width = bgr.shape[:2]
    scale = max(LEAST_SCALE, BASE_SCALE * min(width / 16 * 9, height) / SCALE_AT_PX)
    step = round(LINE_PX * scale)
    for index, line in enumerate(hud_lines(controls, stats)):
        write(bgr, line, (MARGIN_PX, MARGIN_PX + step * (index + 1)), scale)
    text = "   ".join(f"{key} {what}" for key, what in keys)
    write(bgr, text, (MARGIN_PX, height - MARGIN_PX), scale)


def write(bgr: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float) -> None:
    """One line of text with a rim, in place."""
    # A thicker pen would also set the letters further apart (OpenCV 5).
    for x, y in RIM_STEPS:
        moved = place[0] + x, place[1] + y
        cv2.putText(bgr, text, moved, FONT, scale, RIM_BGR, 1, cv2.LINE_AA)
    cv2.putText(bgr, text, place, FONT, scale, INK_BGR, 1, cv2.LINE_AA)
