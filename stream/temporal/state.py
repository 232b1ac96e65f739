"""Temporal: the state of one stream, and what it decides for each frame.

    decide   on the host, before the model: copy the last picture, start afresh, or mix
    follow   while the model paints: where everything was one frame before
    mix      after the model: the painted picture, blended with the history

A decision looks at frames only, never at pictures: while a picture is on its way, the frames after
it can be decided on. Mixing happens in the same order, later.

The history of a shot is one `Scene`. A cut stores it; a shot that comes back (the
frame after a flash, the other speaker) finds its scene again, and its very pixels.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models import Advance
from stream.frame import Size
from stream.temporal import blend, gate, shots
from stream.temporal import noise as carried_noise
from stream.temporal.mixing import History, Mixer
from stream.temporal.motion import FlowEstimator, Motion
from stream.temporal.settings import DEFAULTS, TemporalSettings

Floats = NDArray[np.float32]
Data = NDArray[np.uint8]

LONGEST_GAP_S = 1.0
"""A frame that comes later than this after the one before is treated as a cut."""

LEAST_STEP_S = 1e-3
"""Frames of one time count as this far apart."""

NOISE_TIME_S, NOISE_EVERY_S = 0.5, 0.1
"""Over which the estimates of the sensor's noise are averaged, and from one of them to the next:
each costs a fifth of a decision."""

CAMERA_SHARE = 0.5
"""Share of the textured cells that must change for the whole picture to be taken as moving."""

RECENT_S = 0.12
"""A cell that changed within this time still counts as moving: slow motion is seen now and then."""

AROUND_CELLS, SURROUNDED_SHARE = 7, 0.35
"""A cell moves along if more than this share of the cells around it moves."""

LEAST_TEXTURE = 3.0
"""Mean gradient in levels a pixel, beyond the noise's own, from which a cell can tell of motion."""

LIGHT_LEVELS = 1.0
"""A change of the light by more than this opens every cell, all at the same time."""

DOUBTED_SHARE = 0.3
"""Together with a content difference of `shots.DOUBT_DIFFERENCE`, fewer trusted cells are a cut."""


@dataclass(slots=True, eq=False)
class Canvas:
    """Where the pictures of one shot go.

    Attributes:
        grid: (w, h), the cells of its frames.
        shown: The last shown picture, uint8 RGB (H, W, 3); ``None`` until the first is mixed.
        noise_shift: How far the noise has moved (`stream.temporal.noise`).
    """

    grid: Size
    shown: Data | None = None
    noise_shift: Floats | None = None


class Trail(NamedTuple):
    """What it takes to find out how the history moved.

    Attributes:
        now, then: Luma of this frame and of the one before, uint8.
        noise: Of the sensor, in levels.
        motion: From one to the other, if that is known already.
        changed, is_open: bool (h, w), cells that show something else, and that are painted on.
        kept: (h, w), the share of the history that each cell keeps by its age alone.
    """

    now: Data
    then: Data
    noise: float
    motion: Motion | None
    changed: NDArray[np.bool_]
    is_open: NDArray[np.bool_]
    kept: NDArray[np.floating]


class Decision(NamedTuple):
    """What is to be done for one frame.

    Attributes:
        is_still: Nothing changed: show the canvas's picture again, without painting.
        is_cut: The frame starts a new shot, or returns to one.
        trail: What `follow` needs; ``None`` where it has nothing to find out.
        history: The part of the last picture to keep; ``None`` takes the new paint as it is, bit
            for bit.
        resting: bool (h, w), cells that show what they showed before: copied, or painted on until
            they have settled; ``None`` where there is no history.
        canvas: Where the picture is history for the next frames; ``None`` at stability 0.
        advance: What an engine that remembers is told (`stream.temporal.on_device`).
        motion: Of the frame, once it was followed and if anything changed; with the sensor's
            `noise`, in levels, that it was found under.
    """

    is_still: bool = False
    is_cut: bool = False
    trail: Trail | None = None
    history: History | None = None
    resting: NDArray[np.bool_] | None = None
    canvas: Canvas | None = None
    advance: Advance | None = None
    motion: Motion | None = None
    noise: float = 0.0


PLAIN = Decision()


@dataclass(slots=True)
class Scene:
    """What is remembered of one shot.

    Attributes:
        data: The last frame at the model's size, as given.
        look: The last frame, reduced.
        thumbnail: The last frame, for cuts.
        reference: What each cell's paint was made from.
        quiet_s: float32 (h, w), how long each cell has not been seen to change.
        rest_s: The same, but 0 in every cell while the camera moves.
        canvas: Its pictures.
    """

    data: Data
    look: gate.Look
    thumbnail: Data
    reference: gate.Look
    quiet_s: Floats
    rest_s: Floats
    canvas: Canvas


class Temporal:
    """The memory of one stream. For each frame in order: `decide`, then unless it is still `follow`
    and `mix`.

    Several frames may be decided on before the first of them is mixed.

    Not thread-safe; one per stream.

    Args:
        settings: Expert settings.
        sees_cuts: Look for cuts; otherwise whoever calls does, with `reset`.
    """

    def __init__(self, settings: TemporalSettings = DEFAULTS, *, sees_cuts: bool = True) -> None:
        self._settings = settings
        self._sees_cuts = sees_cuts
        self._scene: Scene | None = None
        self._shots: list[Scene] = []
        self._noise: float | None = None
        self._noise_age_s = 0.0
        self._time_s = 0.0  # of the last frame that was not the one before again
        self._seen_s = 0.0
        self._flow = FlowEstimator()
        self._mixer = Mixer(settings)
        self._repaints = False

    def reset(self) -> None:
        """Forget everything; the next frame is painted as if it were the first."""
        self._scene = None
        self._shots = []
        self._noise = None
        self._repaints = False

    def repaint(self) -> None:
        """The next frame is painted a little otherwise: everything in it counts as changed, and
        keeps of its history what moving things keep.
        """
        self._repaints = True

    def decide(
        self,
        data: Data,
        grid: Size,
        time_s: float,
        stability: float,
        seen: gate.Seen | None = None,
    ) -> Decision:
        """Look at the next frame and say what of the history it may keep.

        Args:
            data: uint8 RGB (H, W, 3) at the model's size.
            grid: (w, h) of the latents.
            time_s: The frame's media time.
            stability: 0 (off) to 1.
            seen: The frame reduced, if that is done already.
        """
        if stability == 0:
            self.reset()
            return PLAIN
        repaints, self._repaints = self._repaints, False
        is_gap = self._sees_cuts and not 0 < time_s - self._seen_s <= LONGEST_GAP_S
        self._seen_s, scene = time_s, self._scene
        if scene is not None and not repaints and is_same(data, scene.data):
            return Decision(is_still=True, canvas=scene.canvas)
        dt_s, self._time_s = max(time_s - self._time_s, LEAST_STEP_S), time_s
        small, look = seen or gate.see(data, grid)
        thumbnail = shots.thumbnail(small)
        zeros = np.zeros(grid[::-1], np.float32)
        now = Scene(data, look, thumbnail, look, zeros, zeros, Canvas(grid))
        if scene is None:
            self._scene = now
            return Decision(canvas=now.canvas)
        difference = 0.0
        if self._sees_cuts:
            difference = shots.content_difference(thumbnail, scene.thumbnail)
        if is_gap or difference > self._settings.cut_difference:
            return self._cut(now, stability)
        self._estimate_noise(look, scene.look, dt_s)
        is_doubtful = difference > shots.DOUBT_DIFFERENCE
        return self._go_on(now, scene, dt_s, stability, is_doubtful, repaints)

    def follow(self, decision: Decision) -> Decision:
        """The decision with its history: takes longest, and can be done while the model paints."""
        trail = decision.trail
        if trail is None:
            return decision
        motion = trail.motion
        if motion is None and trail.changed.any():
            motion = self._flow.estimate(trail.now, trail.then, trail.noise)
        history = _history(motion, trail)
        return decision._replace(trail=None, history=history, motion=motion, noise=trail.noise)

    def noise_places(self, decision: Decision) -> carried_noise.Places | None:
        """Where the frame's noise comes from, once a frame and in order; ``None`` = as it is.

        Args:
            decision: From `follow`.
        """
        canvas = decision.canvas
        if canvas is None:
            return None
        canvas.noise_shift = carried_noise.carried(
            canvas.noise_shift, decision.history, canvas.grid
        )
        return None if canvas.noise_shift is None else carried_noise.places(canvas.noise_shift)

    def mix(self, painted: Data, decision: Decision) -> Data:
        """The painted picture, uint8 (H, W, 3), blended with the history."""
        canvas = decision.canvas
        if canvas is None:
            return painted
        history = self.follow(decision).history
        if history is not None and canvas.shown is not None:
            painted = self._mixer.mix(canvas.shown, painted, history, canvas.grid)
        canvas.shown = painted
        return painted

    def _cut(self, now: Scene, stability: float) -> Decision:
        """Store the scene; go on with an older one that looks like this frame, if any does."""
        if self._scene is not None:
            self._shots = [self._scene, *self._shots][: self._settings.shots_kept]
        for kept in self._shots:
            if shots.is_same_shot(now.look.cells, kept.look.cells):
                self._shots = [shot for shot in self._shots if shot is not kept]
                decision = self._go_on(now, kept, LONGEST_GAP_S, stability, False)
                return decision._replace(is_cut=True)
        self._scene = now
        return Decision(is_cut=True, canvas=now.canvas)

    def _go_on(
        self,
        now: Scene,
        scene: Scene,
        dt_s: float,
        stability: float,
        is_doubtful: bool,
        repaints: bool = False,
    ) -> Decision:
        noise = self._noise or gate.LEAST_NOISE
        changed = _changed(now.look, scene.reference, noise)
        quiet_s = np.where(changed, np.float32(0), scene.quiet_s + np.float32(dt_s))
        moving = changed | _recent(scene, quiet_s)
        everything = _camera_moves(now.look, moving, noise)
        changed |= _surrounded(moving)
        changed |= everything or repaints
        motion: Motion | None = None
        if is_doubtful and changed.any():
            motion = self._flow.estimate(now.look.luma, scene.look.luma, noise)
            if float((motion.confidence > 0.5).mean()) < DOUBTED_SHARE:
                return self._cut(now, stability)
        rest_s = np.where(changed, np.float32(0), scene.rest_s + np.float32(dt_s))
        is_open = changed | (rest_s < self._settings.settle_s)
        reference = _merged(now.look, scene.reference, changed)
        self._scene = replace(
            now, reference=reference, quiet_s=quiet_s, rest_s=rest_s, canvas=scene.canvas
        )
        if not is_open.any():
            return Decision(is_still=True, canvas=scene.canvas)
        kept = blend.history_weight(dt_s, stability, self._settings.memory)
        resting = rest_s / (rest_s + np.float32(dt_s))  # the running mean's n / (n + 1)
        cells = np.where(changed, kept, np.where(is_open, np.maximum(resting, kept), 1))
        trail = Trail(now.look.luma, scene.look.luma, noise, motion, changed, is_open, cells)
        return Decision(trail=trail, resting=~changed, canvas=scene.canvas)

    def _estimate_noise(self, look: gate.Look, before: gate.Look, dt_s: float) -> None:
        self._noise_age_s += dt_s
        if self._noise is not None and self._noise_age_s < NOISE_EVERY_S:
            return
        pixels = gate.pixel_change(look.luma, before.luma, look.grid)
        estimate = gate.sensor_noise(look.luma, pixels)
        fresh = 1 - float(np.exp(-self._noise_age_s / NOISE_TIME_S))
        self._noise = (
            estimate if self._noise is None else self._noise + fresh * (estimate - self._noise)
        )
        self._noise_age_s = 0.0


def is_same(now: Data, then: Data) -> bool:
    """Whether two pictures are equal; a few rows mostly tell that they are not."""
    rows = slice(None, None, 64)
    return np.array_equal(now[rows], then[rows]) and np.array_equal(now, then)


def _changed(look: gate.Look, reference: gate.Look, noise: float) -> NDArray[np.bool_]:
    """Cells that changed, and their neighbours: they are painted from one neighbourhood."""
    light = gate.exposure(look.cells, reference.cells)
    if gate.light_shift(light, reference.cells) > LIGHT_LEVELS:
        return np.ones(look.cells.shape[:2], bool)
    changed = gate.changed_cells(look, reference, noise, light).astype(np.uint8)
    return cv2.dilate(changed, np.ones((3, 3), np.uint8)).astype(bool)


def _camera_moves(look: gate.Look, moving: NDArray[np.bool_], noise: float) -> bool:
    textured = gate.texture(look.luma, look.grid) > LEAST_TEXTURE + 2 * noise
    count = int(textured.sum())
    return count > 0 and int((moving & textured).sum()) > CAMERA_SHARE * count


def _merged(now: gate.Look, then: gate.Look, changed: NDArray[np.bool_]) -> gate.Look:
    """The reference with the changed cells taken from now."""
    if changed.all():
        return now
    fine = cv2.resize(
        changed.astype(np.uint8), now.luma.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    return gate.Look(
        np.where(changed[..., np.newaxis], now.cells, then.cells),
        np.where(fine > 0, now.luma, then.luma),
    )


def _recent(scene: Scene, quiet_s: Floats) -> NDArray[np.bool_]:
    """Cells that changed a moment ago, and not only because the scene is new."""
    return np.asarray((quiet_s < RECENT_S) & (scene.rest_s < scene.quiet_s + 1e-6) & (quiet_s > 0))


def _surrounded(moving: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells amid moving ones: too smooth to tell themselves, they move along."""
    side = (AROUND_CELLS, AROUND_CELLS)
    share = cv2.blur(moving.astype(np.float32), side, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(share > SURROUNDED_SHARE)


def _history(motion: Motion | None, trail: Trail) -> History:
    """From cells to pixels: where the flow holds and how much of the history stays."""
    size = trail.now.shape[::-1] if motion is None else motion.confidence.shape[::-1]
    weight = np.asarray(cv2.resize(trail.kept.astype(np.float32), size), dtype=np.float32)
    flow: Floats | None = None
    sure: Floats | None = None
    if motion is not None:
        sure = np.minimum(cv2.blur(motion.confidence, (3, 3)), 1)
        flow = motion.flow
        if not trail.changed.all():
            mask = np.asarray(cv2.resize(trail.changed.astype(np.float32), size), dtype=np.float32)
            sure = 1 - mask * (1 - sure)
            flow = flow * mask[..., np.newaxis]
        weight *= sure
        weight *= blend.faded(flow)
    copied = None if trail.is_open.all() else (~trail.is_open).astype(np.uint8)
    return History(weight, flow, copied, sure)
