"""Governor: the rate that is held on a simulated machine: a step, a ramp, jitter, heat, slowness.

    python benchmarks/governor.py [--plot governor.png]

The simulation is the tests' own (tests/support/simulation.py): no model, no clock but on
paper, so that it takes seconds and is the same everywhere. Last line: one JSON object.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from simulation import PERIOD_S, Machine, Run, simulate

from stream.live.governor import Governor, make_rungs

DURATION_S = 60
CASES = {
    "step at 20 s: 20 -> 120 ms": Machine(lambda s: 0.02 if s < 20 else 0.12),
    "ramp: 20 -> 140 ms": Machine(lambda s: 0.02 + 0.002 * s),
    "jitter around 30 ms": Machine(lambda s: 0.03, jitter=0.3),
    "heats up, cools down": Machine(lambda s: 0.025 + 0.05 * max(0.0, math.sin(s / 10))),
    "8 frames a second at best": Machine(lambda s: 0.125),
}
WITHIN = 0.5
"""How far from 24 frames a second is still held."""

ROW_PX, WIDTH_PX, MARGIN_PX = 150, 1000, 40
INK, LINE, GOAL = (40, 40, 40), (180, 90, 20), (170, 200, 170)


def rates(run: Run) -> list[float]:
    """Frames in each second."""
    return [run.fps(second, second + 1) for second in range(DURATION_S)]


def draw(rows: dict[str, Run], path: str) -> None:
    """Rate by time, a panel a case; a mark where something was decided."""
    canvas = np.full((ROW_PX * len(rows), WIDTH_PX, 3), 255, np.uint8)
    for index, (name, run) in enumerate(rows.items()):
        bottom = ROW_PX * (index + 1) - 20

        def place(second: float, fps: float, bottom: int = bottom) -> tuple[int, int]:
            x = MARGIN_PX + second / DURATION_S * (WIDTH_PX - 2 * MARGIN_PX)
            return round(x), round(bottom - fps * 3.5)

        low, high = place(0, 24 - WITHIN), place(DURATION_S, 24 + WITHIN)
        cv2.rectangle(canvas, low, high, GOAL, cv2.FILLED)
        for fps in (0, 12, 24):
            write(canvas, f"{fps}", (8, place(0, fps)[1] + 4))
        for second in range(0, DURATION_S + 1, 10):
            x, y = place(second, 0)
            cv2.line(canvas, (x, y), (x, y + 4), INK, 1)
            write(canvas, f"{second} s", (x - 10, y + 16))
        points = np.array([place(second + 0.5, fps) for second, fps in enumerate(rates(run))])
        cv2.polylines(canvas, [points], False, LINE, 2, cv2.LINE_AA)
        for at_s, _ in run.decisions:
            cv2.line(canvas, place(at_s, 0), place(at_s, 3), (0, 0, 200), 2)
        text = f"{name}: frames in each second (green: 24 +- {WITHIN}); red: a decision"
        write(canvas, text, (MARGIN_PX, bottom - ROW_PX + 40), 0.5)
    cv2.imwrite(path, canvas)


def write(canvas: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float = 0.4) -> None:
    """One line of text, in place."""
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", help="where to draw it")
    asked = parser.parse_args()
    rungs = make_rungs("latency", 2, 512, 8)
    runs = {
        name: simulate(machine, Governor(rungs, PERIOD_S), DURATION_S)
        for name, machine in CASES.items()
    }
    told = {}
    for name, run in runs.items():
        told[name] = {
            "fps": round(run.fps(2, DURATION_S), 2),
            "worst_second": round(min(rates(run)[2:-1]), 1),
            "decisions": len(run.decisions),
        }
        print(f"{name:28} {told[name]}")
    if asked.plot:
        draw(runs, asked.plot)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
