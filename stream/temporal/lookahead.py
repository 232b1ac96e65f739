"""Look-ahead: the pictures of a shot, smoothed by what comes after them. For files, not live.

    s_t = g · W(s_{t+1}, w) + (1 - g) · x~_t,     g = confidence · exp(-dt / tau)

x~_t is what the causal blend shows at t; W pulls the next smoothed picture along the flow from t to
t+1. It is the backward pass of a fixed-interval smoother (Rauch, Tung and Striebel, Maximum
likelihood estimates of linear dynamic systems, AIAA Journal 1965) for paint that wanders by
little. The future pulls as the past does, for less long, so nothing lags; what was just
uncovered takes the paint that it will have; and what rests shows from its first frame on what it
settles to.

The window is bounded: `BLOCK` pictures become ready at a time, smoothed from `BEYOND` pictures past
the last of them. Of those, paint is mixed only where it still counts; farther on, what rests is
followed to what it settles to, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.temporal import blend, gate
from stream.temporal.buffers import Buffers
from stream.temporal.motion import FlowEstimator, Motion
from stream.temporal.settings import DEFAULTS, TemporalSettings
from stream.temporal.state import Decision

Data = NDArray[np.uint8]
Floats = NDArray[np.float32]
T = TypeVar("T")

BLOCK, BEYOND = 32, 8
"""Pictures that become ready together, and pictures after them that they are smoothed from."""

COUNTS = 0.01
"""A picture whose share of the last one that becomes ready is less than this is not smoothed."""

FORESIGHT = 0.33
"""Factor on the time over which the future counts: averages from both sides take more of the
strokes, which counts as a loss of style."""


class Link(NamedTuple):
    """How a picture hangs on the next one of its shot.

    Attributes:
        weight: float32 (H/k, W/k), the share that each pixel takes from the next picture; ``None``
            where it is the next picture, bit for bit.
        flow: float32 (H/k, W/k, 2), where each pixel is in the next picture, relative.
        resting: uint8 (h, w), 1 in cells that are the next picture's bit for bit.
        most: What `weight` is at most.
    """

    weight: Floats | None = None
    flow: Floats | None = None
    resting: Data | None = None
    most: float = 1.0


WHOLLY = Link()


@dataclass(frozen=True, slots=True)
class Moment(Generic[T]):
    """One painted frame of a shot.

    Attributes:
        item: Whatever belongs to it; handed through.
        shown: uint8 RGB (H, W, 3), its picture.
        look: The frame it was painted from.
        time_s: When, in media time.
        decision: What was decided for it.
    """

    item: T
    shown: Data
    look: gate.Look
    time_s: float
    decision: Decision


class LookAhead(Generic[T]):
    """Holds the moments of a shot back until they are smoothed; each comes out once, in order.

    Not thread-safe. All pictures of a shot have one size.

    Args:
        every: Frames from one moment to the next; the more, the fewer moments are held.
        settings: Expert settings.
    """

    def __init__(self, every: int = 1, settings: TemporalSettings = DEFAULTS) -> None:
        self._settings = settings
        self._block, self._beyond = -(-BLOCK // every), -(-BEYOND // every)
        self._held: list[Moment[T]] = []
        self._links: list[Link | None] = []  # from each held moment but the last to the next
        self._since_s = 0.0  # when what the newest one shows was shown first
        self._flow = FlowEstimator()
        self._buffers = Buffers()

    def push(self, moment: Moment[T], stability: float) -> list[Moment[T]]:
        """Take the next moment of the shot; those that are ready come back.

        Args:
            stability: Above 0 to 1; as it was when the moment was decided on.
        """
        if self._held:
            self._links.append(self._link(self._held[-1], moment, stability))
        if not (self._held and moment.decision.is_still):
            self._since_s = moment.time_s
        self._held.append(moment)
        if len(self._held) < self._block + self._beyond:
            return []
        return self._smoothed(self._block)

    def flush(self) -> list[Moment[T]]:
        """The shot has ended: what is held comes out, smoothed from what there is."""
        return self._smoothed(len(self._held))

    def _smoothed(self, count: int) -> list[Moment[T]]:
        """Go backwards through all that is held; let go of the first `count`."""
        ready, links, self._held = self._held, self._links, self._held[count:]
        self._links = links[count:]
        counting = _counting(links, count)
        for index in range(len(ready) - 2, -1, -1):
            link, later = links[index], ready[index + 1].shown
            if link is not None:
                whole = index < counting
                shown = (self._pulled if whole else _rested)(later, ready[index], link)
                ready[index] = replace(ready[index], shown=shown)
        return ready[:count]

    def _link(self, now: Moment[T], then: Moment[T], stability: float) -> Link | None:
        """How `now` hangs on `then`, the moment after it; ``None``: not at all."""
        decision = then.decision
        if decision.is_still:
            return WHOLLY
        if decision.resting is None:
            return None
        if decision.resting.all():
            return WHOLLY
        motion = self._motion(now.look, then)
        dt_s = then.time_s - self._since_s  # a picture shown twice is no nearer for that
        memory = FORESIGHT * self._settings.memory
        kept = np.float32(blend.history_weight(dt_s, stability, memory))
        sure = np.clip(cv2.blur(motion.confidence, (3, 3)), 0, 1)
        weight = np.asarray(kept * sure * blend.faded(motion.flow), dtype=np.float32)
        resting = decision.resting.astype(np.uint8) if decision.resting.any() else None
        return Link(weight, motion.flow, resting, float(kept))

    def _motion(self, now: gate.Look, then: Moment[T]) -> Motion:
        """Where each pixel of `now` is in the next moment: its own motion, turned round."""
        decision = then.decision
        if decision.motion is not None:
            lumas = then.look.luma, now.luma
            return self._flow.turned(decision.motion, *lumas, decision.noise)
        looks = now.luma, then.look.luma
        noise = gate.sensor_noise(looks[0], gate.pixel_change(*looks, now.grid))
        return self._flow.estimate(*looks, noise)

    def _pulled(self, later: Data, moment: Moment[T], link: Link) -> Data:
        """The moment's picture with what it takes from the smoothed picture after it."""
        if link.weight is None or link.flow is None:
            return later
        shown = moment.shown
        old = blend.pulled(later, link.flow, self._buffers)
        agreed = blend.agreement(old, shown, moment.look.grid, self._settings.agree_levels)
        agreed = np.asarray(cv2.resize(agreed, link.weight.shape[::-1]), dtype=np.float32)
        kept = link.weight * agreed
        mixed = blend.blend(old, shown, kept, self._buffers)
        blend.restore(mixed, shown, kept, self._buffers, self._settings.most_contrast)
        return mixed if link.resting is None else _with_resting(later, mixed, link.resting)


def _counting(links: Sequence[Link | None], count: int) -> int:
    """How many moments of those held are to be smoothed, for the first `count` to be right."""
    share, index = 1.0, max(count - 1, 0)
    while index < len(links) and share >= COUNTS:
        link = links[index]
        share *= 0.0 if link is None else link.most
        index += 1
    return index


def _rested(later: Data, moment: Moment[T], link: Link) -> Data:
    """The moment's picture with what rests as in the one after it."""
    if link.weight is None:
        return later
    if link.resting is None:
        return moment.shown
    return _with_resting(later, moment.shown.copy(), link.resting)


def _with_resting(later: Data, shown: Data, resting: Data) -> Data:
    """A picture, changed in place: in resting cells it becomes the one after it."""
    mask = cv2.resize(resting, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    cv2.copyTo(later, mask, shown)
    return shown
