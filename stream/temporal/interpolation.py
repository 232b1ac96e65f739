"""Interpolation: makes a frame that was not painted from the painted frames before and after it.

    b = W(k_0, w_0) · c_0 (1 - t) + W(k_1, w_1) · c_1 t,     normalised

k_0 and k_1 are the painted pictures, w_0 and w_1 the flow from the frame to each, c_0 and c_1 how
sure that is, t the frame's place between them in time. What is hidden in one of them is taken from
the other; what rests in both keeps its bytes. Where much is found in neither, the frame has to be
painted.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.temporal import blend, gate
from stream.temporal.motion import FlowEstimator

Data = NDArray[np.uint8]
Floats = NDArray[np.float32]

LEAST_SURE = 0.02
"""What a flow counts at least: where neither leads anywhere, the two pictures are cross-faded."""

LOST_SHARE = 0.02
"""Of a frame's pixels, with less than `LEAST_FOUND` of confidence into both keys, above which a
picture between them would show things that were never there."""

LEAST_FOUND = 0.5


class Key(NamedTuple):
    """A painted picture, uint8 RGB (H, W, 3), and the frame that it was painted from."""

    shown: Data
    look: gate.Look


class Interpolator:
    """Makes pictures between keys of one size. Keeps buffers, no history."""

    def __init__(self) -> None:
        self._flow = FlowEstimator()

    def is_lost(self, before: gate.Look, after: gate.Look, look: gate.Look) -> bool:
        """Whether much of a frame is in neither of the two that would be its keys."""
        noise = gate.sensor_noise(look.luma, gate.pixel_change(look.luma, before.luma, look.grid))
        changed = _changed(before, [look], noise) & _changed(after, [look], noise)
        if float(changed.mean()) <= LOST_SHARE:
            return False
        found = np.maximum(
            self._flow.estimate(look.luma, before.luma, noise).confidence,
            self._flow.estimate(look.luma, after.luma, noise).confidence,
        )
        return float((found < LEAST_FOUND).mean()) > LOST_SHARE

    def between(self, before: Key, after: Key, look: gate.Look, share: float) -> Data:
        """The picture of a frame, uint8 RGB (H, W, 3).

        Args:
            before, after: The keys on both sides.
            look: The frame.
            share: Its place in time, 0 (before) to 1 (after).
        """
        pixels = gate.pixel_change(look.luma, before.look.luma, look.grid)
        noise = gate.sensor_noise(look.luma, pixels)
        resting = ~_changed(before.look, [look, after.look], noise)
        if resting.all():
            return before.shown
        old, old_sure = self._pulled(before, look, noise, 1 - share)
        new, new_sure = self._pulled(after, look, noise, share)
        mixed = blend.blend(old, new, old_sure / (old_sure + new_sure))
        if resting.any():
            mask = cv2.resize(
                resting.astype(np.uint8), old.shape[1::-1], interpolation=cv2.INTER_NEAREST
            )
            cv2.copyTo(before.shown, mask, mixed)
        return mixed

    def _pulled(self, key: Key, look: gate.Look, noise: float, share: float) -> tuple[Data, Floats]:
        """The key's picture as of a frame, and what each pixel of that counts."""
        flow, confidence = self._flow.estimate(look.luma, key.look.luma, noise)
        sure = np.clip(cv2.blur(confidence, (3, 3)), LEAST_SURE, 1)
        moved = blend.pulled(key.shown, flow, how=cv2.INTER_CUBIC)  # as sharp as the keys
        return moved, np.asarray(share * sure, dtype=np.float32)


def _changed(reference: gate.Look, looks: list[gate.Look], noise: float) -> NDArray[np.bool_]:
    """Cells (h, w) that do not look the same in all of them, and their neighbours."""
    changed = np.zeros(reference.cells.shape[:2], np.uint8)
    for look in looks:
        changed |= gate.changed_cells(look, reference, noise)
    return cv2.dilate(changed, np.ones((3, 3), np.uint8)).astype(bool)
