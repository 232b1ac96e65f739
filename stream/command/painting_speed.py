"""How fast the bundled model paints on this machine: a second of it, measured."""

import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from models import load_engine
from stream.frame import Frame, Size
from stream.stylizer.stylizer import Stylizer

SOURCE_SIZE = (640, 360)
TIME_BASE = Fraction(1, 24)
LEAST_S = 1.0
"""How long is painted, once all is warm."""

WARM_FRAMES = 3
STEP_PX = 4
"""How far the picture moves from frame to frame, so that each is painted."""


@dataclass(frozen=True, slots=True)
class PaintingSpeed:
    """What was measured.

    Attributes:
        fps: Frames a second, one after the other, as a live session paints them.
        size: (width, height) of what the model saw.
    """

    fps: float
    size: Size


def measure(size: int | None = None, model: str = "bundled") -> PaintingSpeed:
    """Paint for a second.

    Args:
        size: Short side of what the model sees in px; ``None`` is its own.
        model: A name or a folder.

    Raises:
        ModelError: The model cannot be loaded or run.
        ValueError: It does not take this size.
    """
    engine = load_engine(model, offline=True)
    stylizer = Stylizer(engine, short_side_px=size)
    sizes = stylizer.sizes(SOURCE_SIZE)
    engine.warm_up(sizes.model, cell_px=sizes.cell_px)
    picture = _picture()
    count, start_s = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - start_s) < LEAST_S or count <= WARM_FRAMES:
        if count == WARM_FRAMES:
            start_s = time.perf_counter()
        data = np.ascontiguousarray(np.roll(picture, STEP_PX * count, axis=1))
        stylizer.process(Frame(data, count, TIME_BASE))
        count += 1
    return PaintingSpeed((count - WARM_FRAMES) / spent_s, sizes.model)


def _picture() -> NDArray[np.uint8]:
    """Soft stripes, uint8 (H, W, 3), that go on where they end."""
    width, height = SOURCE_SIZE
    across = np.arange(width) * 2 * np.pi / width
    down = np.arange(height)[:, None] / height
    waves = [np.sin(turns * across) * np.cos(3 * down + turns) for turns in (2, 3, 5)]
    return (127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)
