"""Pictures and sequences of known motion for the tests of temporal stability."""

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.temporal import Decision, Temporal

CLIPS = Path(__file__).resolve().parents[2] / "examples" / "clips"
SIZE_PX = 256
GRID = (32, 32)
RATE = 30

Picture = NDArray[np.uint8]


def photograph(seed: int, side_px: int = SIZE_PX + 64) -> Picture:
    """A picture with soft fields, edges and fine texture, in its own colours."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((cells, cells, 3)), (side_px, side_px), interpolation=how) * weight
        for cells, weight, how in (
            (4, 0.5, cv2.INTER_CUBIC),
            (20, 0.25, cv2.INTER_NEAREST),
            (120, 0.25, cv2.INTER_CUBIC),
        )
    ]
    return (np.clip(sum(layers), 0, 1) * 255).astype(np.uint8)


def view(picture: Picture, x_px: float = 0.0) -> Picture:
    """A window into the picture, moved to the right by a part of a pixel or more."""
    shift = np.float64([[1, 0, -x_px], [0, 1, 0]])
    return np.ascontiguousarray(
        cv2.warpAffine(picture, shift, (SIZE_PX, SIZE_PX), flags=cv2.INTER_CUBIC)
    )


def with_noise(data: Picture, sigma: float, seed: int) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, data.shape)
    return np.clip(data + noise, 0, 255).round().astype(np.uint8)


def clip_pictures(name: str) -> list[Picture]:
    with av.open(str(CLIPS / name)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def decide_all(pictures: list[Picture], stability: float = 0.5) -> list[Decision]:
    """What is decided for each picture, when each is painted as itself."""
    temporal, decisions = Temporal(), []
    for index, data in enumerate(pictures):
        decision = temporal.decide(data, GRID, index / RATE, stability)
        if not decision.is_still:
            temporal.mix(data, decision)
        decisions.append(decision)
    return decisions
