"""Motion on the device: a small iterative flow, and how sure it is.

Lucas and Kanade's method (IJCAI 1981) in a pyramid, as Bouguet has it (2001): at each level the
frame before is pulled along the flow so far, and what still differs is explained by a step,

    d = (sum g g^T + lambda)^-1 sum g (now - W(then, w)),    g = grad now,

sums over a window. After each step the flow is averaged over a larger square, weighted by the
smaller eigenvalue of the sum, about, so that what has no texture moves with what has. Windows,
gradients and pulling are means and interpolation: nothing searches, and each level is the same
handful of operations for every place.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.temporal.planes import (
    box,
    grown,
    largest,
    places,
    pulled,
    ranked,
    scaled,
    slopes,
)

COARSEST = 12
"""Short side of the coarsest plane, at least."""

WINDOW, ROUNDS = 5, 3
DAMPING = 1.0
"""Lambda, in squared levels a place: flat windows stay where the coarser level put them."""

FILL, TEXTURED = 11, 20.0
"""Side of the square that each round's flow is averaged over, and the squared gradient across the
weaker direction at which a place counts half: flat places take the flow of textured ones."""

LONGEST_STEP = 1.5
"""Places that one round may move the flow by."""

LOOK_SIDE, LOOK_SIGMAS, LOOK_SOFTNESS = 3, 1.5, 9.0
LEAST_AREA = 0.8
STANDING, BETTER = 0.05, 0.2
FLOW_NOISE = 0.06
"""As in `stream.temporal.motion`, whose confidence this is."""


class Motion(NamedTuple):
    """What moved since the frame before.

    Attributes:
        flow: (1, 2, h, w), backward: what is at p was at p + flow(p), in places.
        sure: (1, 1, h, w) in [0, 1].
    """

    flow: Tensor
    sure: Tensor


def estimate(now: Tensor, then: Tensor, noise: Tensor) -> Motion:
    """The motion between two planes of luma, (1, 1, h, w) in levels.

    Args:
        noise: Standard deviation of the sensor's noise in these planes, in levels.
    """
    flow = _flow(now, then)
    motion = Motion(flow, _sureness(now, then, flow, noise))
    return _with_background(now, then, motion, noise)


def _flow(now: Tensor, then: Tensor) -> Tensor:
    levels = [(now, then)]
    while min(levels[-1][0].shape[2:]) >= 2 * COARSEST:
        levels.append(tuple(F.avg_pool2d(_softened(p), 2) for p in levels[-1]))  # type: ignore[arg-type]
    coarsest = levels[-1][0]
    flow = torch.zeros_like(coarsest).repeat(1, 2, 1, 1)
    for here, there in reversed(levels):
        height, width = here.shape[2], here.shape[3]
        by = width / flow.shape[3], height / flow.shape[2]
        flow = scaled(grown(flow, (height, width)), *by)
        flow = _refined(here, there, flow)
    return flow


def _softened(plane: Tensor) -> Tensor:
    return box(plane, 3)


def _refined(now: Tensor, then: Tensor, flow: Tensor) -> Tensor:
    across, down = slopes(now)
    products = torch.cat([across * across, across * down, down * down], 1)
    xx, xy, yy = torch.split(box(products, WINDOW), 1, 1)
    weight = ((xx * yy - xy * xy) / (xx + yy + 1e-3)).clamp(min=0) + 1e-3
    weight = weight / (weight + TEXTURED)
    xx, yy = xx + DAMPING, yy + DAMPING
    room = xx * yy - xy * xy
    for _ in range(ROUNDS):
        left = (now - pulled(then, flow)) * is_inside(flow)
        x, y = torch.split(box(torch.cat([across * left, down * left], 1), WINDOW), 1, 1)
        step = torch.cat([yy * x - xy * y, xx * y - xy * x], 1) / room
        flow = flow + step.clamp(-LONGEST_STEP, LONGEST_STEP)
        summed = box(torch.cat([flow * weight, weight], 1), FILL)
        flow = summed[:, :2] / summed[:, 2:]
    return flow


def is_inside(flow: Tensor) -> Tensor:
    """1.0 where a flow (1, 2, h, w) leads to a place in the plane, else 0.0."""
    height, width = flow.shape[2], flow.shape[3]
    x, y = torch.split(places(height, width, flow.device) + flow, 1, 1)
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).float()


def _sureness(now: Tensor, then: Tensor, flow: Tensor, noise: Tensor) -> Tensor:
    at = places(now.shape[2], now.shape[3], flow.device) + flow
    (xx, xy), (yx, yy) = ((slope[:, :1], slope[:, 1:]) for slope in slopes(at))
    uncovered = largest((xx * yy - xy * yx < LEAST_AREA).float()) > 0
    alike = _alike(now, pulled(then, flow), noise)
    return torch.where(uncovered, torch.zeros_like(alike), alike * is_inside(flow))


def _alike(now: Tensor, seen: Tensor, noise: Tensor) -> Tensor:
    apart = box((now - seen).abs(), LOOK_SIDE)
    excess = (apart - LOOK_SIGMAS * noise).clamp(min=0) / LOOK_SOFTNESS
    return torch.exp(-excess * excess)


def _with_background(now: Tensor, then: Tensor, motion: Motion, noise: Tensor) -> Motion:
    """Where the main motion of the picture explains the look better, take that one."""
    few = motion.flow[:, :, ::2, ::2]
    main = torch.stack([ranked(few[:, axis], 0.5) for axis in (0, 1)]).view(1, 2, 1, 1)
    main = torch.where(main.abs().amax() >= STANDING, main, torch.zeros_like(main))
    whole = main.expand_as(motion.flow)
    sure = _sureness(now, then, whole, noise)
    better = sure > motion.sure + BETTER
    flow = torch.where(better, whole, motion.flow)
    power = (flow * flow).sum(1, keepdim=True)
    flow = flow * (power / (power + FLOW_NOISE**2))  # as small as its own noise: none
    return Motion(flow, torch.where(better, sure, motion.sure))
