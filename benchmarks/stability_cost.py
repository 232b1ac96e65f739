"""What stability costs on the host, beside the model: decide and mix at 512x512, in ms a frame.

python benchmarks/stability_cost.py
"""

import json
import time
from statistics import median

import cv2
import numpy as np
from machine import machine
from stability_sequences import NOISE, Picture, glide, noisy

from stream.temporal import Temporal

COST_PX = 512
FRAMES = 40
WARM_UP = 4
CELL_PX = 8


def cost_ms(pictures: list[Picture], stability: float = 0.5) -> dict[str, float]:
    """Median and p95 of one frame's decision and mixture; the picture is its own painting."""
    temporal = Temporal()
    grid = (COST_PX // CELL_PX, COST_PX // CELL_PX)
    times_ms = []
    for index, data in enumerate(pictures):
        start_s = time.perf_counter()
        decision = temporal.decide(data, grid, index / 30, stability)
        if not decision.is_still:
            temporal.mix(data, decision)
        times_ms.append((time.perf_counter() - start_s) * 1e3)
    kept = times_ms[WARM_UP:]
    return {
        "p50": median(kept),
        "p95": float(np.percentile(kept, 95)),
        "least": min(kept),
    }


def moving(canvas: Picture) -> list[Picture]:
    return [_view(canvas, 3.3 * index, index) for index in range(FRAMES)]


def still(canvas: Picture) -> list[Picture]:
    return [_view(canvas, 0, index) for index in range(FRAMES)]


def _view(canvas: Picture, x_px: float, seed: int) -> Picture:
    large = cv2.resize(canvas, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    affine = glide(x_px)[:2]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return noisy(cv2.warpAffine(large, affine, (COST_PX, COST_PX), flags=flags), NOISE, seed)


def host_cost(canvas: Picture) -> dict[str, object]:
    """All of it, with as many threads as OpenCV takes by itself, and with one."""
    threads = cv2.getNumThreads()
    clips = {"moving": moving(canvas), "still": still(canvas)}
    result: dict[str, object] = {"threads": threads}
    for count in dict.fromkeys((threads, 1)):
        cv2.setNumThreads(count)
        result[f"{count} threads"] = {name: cost_ms(clip) for name, clip in clips.items()}
    cv2.setNumThreads(threads)
    return result


if __name__ == "__main__":
    from stability_sequences import canvases

    print(json.dumps({"machine": machine(), "host_cost_ms": host_cost(canvases()[0])}))
