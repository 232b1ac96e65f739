"""`models.temporal` again, in plain NumPy and double precision: one frame of one stream at a time.

Written place by place from the formulas, with none of torch's operations, so that the two can only
agree by computing the same.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]


def box(plane: Plane, side: int) -> Plane:
    reach = side // 2
    padded = np.pad(plane, reach, mode="edge")
    height, width = plane.shape
    parts = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return np.asarray(np.mean(parts, axis=0))


def largest(plane: Plane, side: int = 3) -> Plane:
    reach = side // 2
    padded = np.pad(plane, reach, constant_values=-np.inf)
    height, width = plane.shape
    parts = [padded[y : y + height, x : x + width] for y in range(side) for x in range(side)]
    return np.asarray(np.max(parts, axis=0))


def shrunk(plane: Plane, size: tuple[int, int]) -> Plane:
    down, across = plane.shape[0] // size[0], plane.shape[1] // size[1]
    cut = plane[: down * size[0], : across * size[1]]
    return np.asarray(cut.reshape(size[0], down, size[1], across).mean((1, 3)))


def sampled(plane: Plane, y: Plane, x: Plane) -> Plane:
    """Bilinear at real places; the border is repeated."""
    height, width = plane.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    v, u = y - top, x - left
    upper = (1 - u) * plane[top, left] + u * plane[top, right]
    lower = (1 - u) * plane[below, left] + u * plane[below, right]
    return np.asarray((1 - v) * upper + v * lower)


def grown(plane: Plane, size: tuple[int, int]) -> Plane:
    if plane.shape == size:
        return plane
    y = (np.arange(size[0]) + 0.5) * plane.shape[0] / size[0] - 0.5
    x = (np.arange(size[1]) + 0.5) * plane.shape[1] / size[1] - 0.5
    return sampled(plane, *np.meshgrid(y, x, indexing="ij"))


def brought(plane: Plane, size: tuple[int, int]) -> Plane:
    return shrunk(plane, size) if plane.shape[0] > size[0] else grown(plane, size)


def blocks(plane: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    return plane.repeat(size[0] // plane.shape[0], 0).repeat(size[1] // plane.shape[1], 1)


def pulled(plane: Plane, flow: Plane) -> Plane:
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(float)
    return sampled(plane, y + flow[1], x + flow[0])


def slopes(plane: Plane) -> tuple[Plane, Plane]:
    p = np.pad(plane, 1, mode="edge")
    down = p[:-2] + 2 * p[1:-1] + p[2:]
    across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    return (down[:, 2:] - down[:, :-2]) / 8, (across[2:] - across[:-2]) / 8


def ranked(values: Plane, share: float) -> float:
    return float(np.sort(values, axis=None)[int((values.size - 1) * share)])


def inside(flow: Plane) -> Plane:
    height, width = flow.shape[1:]
    y, x = np.mgrid[:height, :width] + flow[::-1]
    return np.asarray(((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).astype(float))


# motion


def refined(now: Plane, then: Plane, flow: Plane) -> Plane:
    gx, gy = slopes(now)
    xx, xy, yy = box(gx * gx, 5), box(gx * gy, 5), box(gy * gy, 5)
    weight = np.maximum((xx * yy - xy * xy) / (xx + yy + 1e-3), 0) + 1e-3
    weight = weight / (weight + 20)
    xx, yy = xx + 1, yy + 1
    for _ in range(3):
        left = (now - pulled(then, flow)) * inside(flow)
        x, y = box(gx * left, 5), box(gy * left, 5)
        step = np.stack([yy * x - xy * y, xx * y - xy * x]) / (xx * yy - xy * xy)
        flow = flow + np.clip(step, -1.5, 1.5)
        flow = np.stack([box(each * weight, 11) for each in flow]) / box(weight, 11)
    return np.asarray(flow)


def flow_of(now: Plane, then: Plane) -> Plane:
    levels = [(now, then)]
    while min(levels[-1][0].shape) >= 24:
        height, width = levels[-1][0].shape
        size = height // 2, width // 2
        first, second = (shrunk(box(each, 3), size) for each in levels[-1])
        levels.append((first, second))
    flow = np.zeros((2, *levels[-1][0].shape))
    for here, there in reversed(levels):
        by = here.shape[1] / flow.shape[2], here.shape[0] / flow.shape[1]
        flow = np.stack([grown(each, here.shape) * b for each, b in zip(flow, by, strict=True)])
        flow = refined(here, there, flow)
    return flow


def sureness(now: Plane, then: Plane, flow: Plane, noise: float) -> Plane:
    y, x = np.mgrid[: now.shape[0], : now.shape[1]].astype(float)
    (xx, xy), (yx, yy) = slopes(x + flow[0]), slopes(y + flow[1])
    uncovered = largest((xx * yy - xy * yx < 0.8).astype(float)) > 0
    apart = box(np.abs(now - pulled(then, flow)), 3)
    sure = np.exp(-np.square(np.maximum(apart - 1.5 * noise, 0) / 9)) * inside(flow)
    return np.where(uncovered, 0, sure)


def motion(now: Plane, then: Plane, noise: float) -> tuple[Plane, Plane]:
    flow = flow_of(now, then)
    sure = sureness(now, then, flow, noise)
    main = np.array([ranked(each[::2, ::2], 0.5) for each in flow])
    main = main if np.abs(main).max() >= 0.05 else np.zeros(2)
    whole = np.broadcast_to(main[:, None, None], flow.shape)
    other = sureness(now, then, whole, noise)
    better = other > sure + 0.2
    flow = np.where(better, whole, flow)
    power = np.square(flow).sum(0)
    return flow * (power / (power + 0.06**2)), np.where(better, other, sure)


# gate


def pixel_change(luma: Plane, other: Plane, grid: tuple[int, int]) -> Plane:
    return shrunk(np.abs(luma - other), grid)


def sensor_noise(luma: Plane, before: Plane, grid: tuple[int, int]) -> float:
    p = np.pad(luma, 1, mode="edge")
    kernel = np.outer([-1, 2, -1], [-1, 2, -1])
    height, width = luma.shape
    grain = sum(kernel[y, x] * p[y : y + height, x : x + width] for y in range(3) for x in range(3))
    flat = ranked(shrunk(np.abs(grain), grid), 0.1) / (6 * np.sqrt(2 / np.pi) * 0.83)
    still = ranked(pixel_change(luma, before, grid), 0.25) / (2 / np.sqrt(np.pi))
    return float(np.clip(min(flat, still), 0.3, 6))


def exposure(now: Plane, then: Plane) -> tuple[float, float]:
    y, x = now.ravel(), then.ravel()
    gain, offset = 1.0, ranked(y - x, 0.5)
    for _ in range(2):
        off = np.abs(y - gain * x - offset)
        kept = off <= 3 * ranked(off, 0.5) + 1
        x_off = np.where(kept, x - x[kept].mean(), 0)
        spread = np.square(x_off).sum() / kept.sum()
        if spread >= 4:
            fitted = (x_off * (y - y[kept].mean())).sum() / kept.sum() / spread
            gain = float(np.clip(fitted, 0.5, 2))
        offset = float(y[kept].mean() - gain * x[kept].mean())
    return gain, offset


def changed_cells(
    luma: Plane, cells: Plane, paint_luma: Plane, paint_cells: Plane, noise: float
) -> NDArray[np.bool_]:
    grid = cells.shape[1:]
    gain, offset = exposure(cells[0], paint_cells[0])
    shift = max(
        abs(gain * ranked(paint_cells[0], share) + offset - ranked(paint_cells[0], share))
        for share in (0.1, 0.9)
    )
    lit = np.stack([gain * paint_cells[0] + offset, *paint_cells[1:]])
    means = np.tensordot([0.6, 0.2, 0.2], np.abs(cells - lit), 1)
    pixels = pixel_change(luma, gain * paint_luma + offset, grid)
    side = luma.shape[1] // grid[1]
    spread = np.sqrt(2 - 4 / np.pi)
    changed = means > 1 + 5 * noise * np.sqrt(2 / side)
    changed |= pixels > 1 + noise * (2 / np.sqrt(np.pi) + 5 * spread / np.sqrt(side))
    return (largest(changed.astype(float)) > 0) | (shift > 1)


# the whole


@dataclass
class Stream:
    """A stream's memory and its steps.

    Attributes:
        grid: (height, width) in cells; frames have 8 px a cell, at most 191 px a side.
        scale: Side of the picture over the frame's.
    """

    grid: tuple[int, int]
    scale: int
    state: dict[str, Any] = field(default_factory=dict)

    def look(self, image: Plane, told: Any) -> dict[str, Any]:
        """(3, H, W) in [-1, 1]; what the memory is told has numbers."""
        red, green, blue = (image + 1) * 127.5
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        planes = [luma, 0.713 * (red - luma), 0.564 * (blue - luma)]
        cells = np.stack([shrunk(each, self.grid) for each in planes])
        half = luma.shape[0] // 2, luma.shape[1] // 2
        state = self.state
        new: dict[str, Any] = {"luma": luma, "cells": cells, "places": half}
        if not state or told.starts:
            zero = np.zeros(self.grid)
            return self._kept(
                {
                    **new, "paint_luma": luma, "paint_cells": cells, "noise": 0.0,
                    "quiet": zero, "rest": zero, "shift": np.zeros((2, *half)),
                    "taken": np.zeros((2, *half)),
                    "weight": np.zeros(half), "flow": np.zeros((2, *half)),
                    "open": np.ones(self.grid, bool),
                }
            )  # fmt: skip
        fresh = 1 - np.exp(-told.dt_s / 0.5)
        estimate = sensor_noise(luma, state["luma"], self.grid)
        before = state["noise"]
        noise = estimate if before <= 0 else before + fresh * (estimate - before)
        flow, sure = motion(shrunk(luma, half), shrunk(state["luma"], half), noise / 2)
        changed = changed_cells(luma, cells, state["paint_luma"], state["paint_cells"], noise)
        changed, quiet, rest = self._moved_on(luma, changed, noise, told.dt_s)
        resting = rest / (rest + told.dt_s)
        kept = np.where(changed, told.kept, np.maximum(resting, told.kept))
        mask = brought(changed.astype(float), half)
        sure = 1 - mask * (1 - sure)
        flow = flow * mask
        way = np.sqrt(np.square(flow).sum(0))
        fine = blocks(changed, luma.shape)
        shift, taken = self._carried(flow, sure)
        return self._kept(
            {
                **new,
                "paint_luma": np.where(fine, luma, state["paint_luma"]),
                "paint_cells": np.where(changed, cells, state["paint_cells"]),
                "noise": noise, "quiet": quiet, "rest": rest,
                "shift": shift, "taken": taken, "flow": flow,
                "weight": brought(kept, half) * sure * np.exp(-way / (0.15 * min(half))),
                "open": changed | (rest < told.settle_s),
            }
        )  # fmt: skip

    def _kept(self, new: dict[str, Any]) -> dict[str, Any]:
        self.state = {**self.state, **new}
        return new

    def _moved_on(self, luma: Plane, changed: Any, noise: float, dt_s: float) -> tuple[Any, ...]:
        state = self.state
        quiet = np.where(changed, 0, state["quiet"] + dt_s)
        same = state["rest"] < state["quiet"] + 1e-6
        moving = changed | ((quiet < 0.12) & same & (quiet > 0))
        gx, gy = slopes(luma)
        textured = shrunk(np.maximum(np.abs(gx), np.abs(gy)), self.grid) > 3 + 2 * noise
        camera = textured.any() and (moving & textured).sum() > 0.5 * textured.sum()
        changed = changed | (box(moving.astype(float), 7) > 0.35) | camera
        return changed, quiet, np.where(changed, 0, state["rest"] + dt_s)

    def _carried(self, flow: Plane, sure: Plane) -> tuple[Plane, Plane]:
        weight = sure + 1e-3
        flow = np.stack([box(each * weight, 15) for each in flow]) / box(weight, 15)
        y, x = np.mgrid[: sure.shape[0], : sure.shape[1]] + flow[::-1]
        sides = zip((y, x), sure.shape, strict=True)
        y, x = (np.clip(at, 0, side - 1).round().astype(int) for at, side in sides)
        before = self.state["taken"][:, y, x]
        shift = np.stack([pulled(each, flow) for each in self.state["shift"]]) + flow
        (xx, xy), (yx, yy) = slopes(shift[0]), slopes(shift[1])
        area = (1 + xx) * (1 + yy) - xy * yx
        after = np.where(np.abs(shift - before) <= 0.7, before, shift.round())
        starts = (area < 0.5) | (area > 2) | (sure < 0.35)
        return np.where(starts, 0, shift), np.where(starts, 0, after)

    def blend(self, painted: NDArray[np.uint8], seen: dict[str, Any], told: Any) -> Plane:
        """The picture before it is rounded, (3, s H, s W); `shown` is remembered by the caller."""
        new, size = painted.astype(float), painted.shape[1:]
        shown = self.state.get("shown", np.zeros(painted.shape, np.uint8)).astype(float)
        by = size[1] / seen["flow"].shape[2], size[0] / seen["flow"].shape[1]
        flow = np.stack([grown(e, size) * b for e, b in zip(seen["flow"], by, strict=True)])
        old = np.stack([pulled(each, flow) for each in shown])
        before, now = (np.stack([shrunk(each, self.grid) for each in p]) for p in (old, new))
        apart = np.abs(before - now).max(0)
        agreed = np.exp(-np.square(np.maximum(apart - told.agree_levels, 0) / 8))
        weight = brought(seen["weight"] * brought(agreed, seen["weight"].shape), size)
        mixture = new + weight * (old - new)
        counts = weight >= 0.1
        got = mixture - np.stack([box(each, 5) for each in mixture])
        wanted = new - np.stack([box(each, 5) for each in new])
        size_counted = max(1, 3 * counts.sum())
        means = [np.abs(each)[:, counts].sum() / size_counted for each in (wanted, got)]
        roots = [np.sqrt(np.square(e)[:, counts].sum() / size_counted) for e in (wanted, got)]
        loss = sum((a + 0.05) / (b + 0.05) - 1 for a, b in (means, roots)) / 2
        more = min(1.8 * loss, told.most_contrast)
        mixture = mixture + counts * (more if more >= 0.01 else 0) * got
        is_open = blocks(seen["open"], new.shape[1:])
        return np.where(is_open, np.clip(mixture, 0, 255), shown)
