"""A machine on paper: a camera at 24 frames a second, an engine of changing speed, the governor.

The same rules as `stream.live`: the painter takes the newest frame when it is free, and one in
`every`; while fewer are painted than captured, every captured frame is shown moved.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from stream.live.governor import Decision, Effort, Governor

PERIOD_S = 1 / 24


def usual_cost_s(effort: Effort) -> float:
    """Share of the full effort's time: a fixed part, the UNet's steps, all by area."""
    return (0.45 + 0.275 * effort.steps) * (0.1 + 0.9 * (effort.short_side_px / 512) ** 2)


@dataclass
class Machine:
    """How long a painting takes: `base_s` at a time of day, by effort, with jitter."""

    base_s: Callable[[float], float]
    cost_s: Callable[[Effort], float] = usual_cost_s
    jitter: float = 0.0

    def paint_s(self, effort: Effort, now_s: float, random: np.random.Generator) -> float:
        noise = 1 + self.jitter * abs(random.standard_normal())
        return self.base_s(now_s) * self.cost_s(effort) * noise


@dataclass
class Run:
    """When each picture was shown, and what was decided when."""

    shown_s: list[float] = field(default_factory=list)
    decisions: list[tuple[float, Decision]] = field(default_factory=list)

    def fps(self, start_s: float, end_s: float) -> float:
        count = sum(start_s <= shown_s < end_s for shown_s in self.shown_s)
        return count / (end_s - start_s)


def simulate(machine: Machine, governor: Governor, duration_s: float, seed: int = 0) -> Run:
    """Run the clock by hand for `duration_s` seconds."""
    random, run = np.random.default_rng(seed), Run()
    free_s, last_painted_s = 0.0, -1e9
    painting_s: float | None = None
    for index in range(int(duration_s / PERIOD_S)):
        now_s = index * PERIOD_S
        if painting_s is not None and free_s <= now_s:
            decision = governor.observe(painting_s, free_s)
            if decision is not None:
                run.decisions.append((free_s, decision))
            painting_s = None
        effort = governor.effort
        if effort.every > 1:
            run.shown_s.append(now_s)
        due = now_s - last_painted_s >= (effort.every - 0.5) * PERIOD_S
        if painting_s is None and due:
            painting_s = machine.paint_s(effort, now_s, random)
            last_painted_s, free_s = now_s, now_s + painting_s
            if effort.every == 1:
                run.shown_s.append(free_s)
    return run
