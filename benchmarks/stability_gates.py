"""Which runs may be ranked by their flicker at all, and the two numbers at the end."""

import math
from collections.abc import Iterable

import numpy as np

PER_FRAME = "per frame"
LOOK_AHEAD = "look-ahead"

Row = dict[str, object]

MOST_LAG = 0.5
MOST_T90 = 3
SHARPNESS = (0.9, 1.15)
MOST_STYLE_CHANGE = 0.03
MOST_STRUCTURE_LOSS = 0.02
MOST_GHOST = 2.0
GAIN_SLACK = 0.15
"""Motion gain may be off 1 by this (its estimator is off by as much on a shaking picture), or by
what the per-frame run's is."""


def admit(rows: list[Row]) -> list[Row]:
    """Add to each row of one sequence what it fails: an empty list is an admitted run."""
    base = next(row for row in rows if row["method"] == PER_FRAME)
    return [{**row, "fails": failures(row, base)} for row in rows]


def failures(row: Row, base: Row) -> list[str]:
    """Names of the gates that a run does not pass. What cannot be measured is no failure."""

    def value(name: str, of: Row = row) -> float:
        number = of.get(name)
        return float(number) if isinstance(number, (int, float)) else math.nan

    tests = {
        "lag": value("lag") > max(MOST_LAG, value("lag", base)),
        "t90": value("t90") > MOST_T90,
        "ghost": value("ghost") > MOST_GHOST,
    }
    if row["moving"]:
        style = value("style", base)
        off, off_base = abs(value("gain") - 1), abs(value("gain", base) - 1)
        tests |= {
            "sharpness": not SHARPNESS[0] <= value("sharpness") <= SHARPNESS[1],
            "style": abs(value("style") - style) > MOST_STYLE_CHANGE * style,
            "structure": value("structure") < value("structure", base) - MOST_STRUCTURE_LOSS,
            "gain": off > max(off_base, GAIN_SLACK) + 1e-6,
        }
    return [name for name, failed in tests.items() if failed]


def summarise(rows: list[Row], live: str) -> dict[str, object]:
    """Per way: mean F over the moving sequences, worst F, and what it fails where."""
    ways: dict[str, dict[str, object]] = {}
    for name in dict.fromkeys(str(row["method"]) for row in rows):
        mine = [row for row in rows if row["method"] == name]
        moving = [row for row in mine if row["moving"]]
        flickers = [float(row["flicker"]) for row in moving]  # type: ignore[arg-type]
        ways[name] = {
            "flicker": mean(flickers),
            "worst": max((f for f in flickers if not math.isnan(f)), default=math.nan),
            "sharpness": mean(float(row["sharpness"]) for row in moving),  # type: ignore[arg-type]
            "lag": mean(float(row["lag"]) for row in moving),  # type: ignore[arg-type]
            "fails": {str(row["clip"]): row["fails"] for row in mine if row["fails"]},
            "admitted": not any(row["fails"] for row in mine),
        }
    return {
        "ways": ways,
        "relative_flicker_live": ways.get(live, {}).get("flicker"),
        "relative_flicker_lookahead": ways.get(LOOK_AHEAD, {}).get("flicker"),
    }


def mean(values: Iterable[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return float(np.mean(kept)) if kept else math.nan
