"""A few frames in flight: while one is painted, the next goes up and the last comes down.

    host ──upload──► device ──compute: in, paint, out──► device ──download──► host

Each frame in flight has a slot with buffers of its own; three streams joined by events keep them
apart. The host waits once a frame, for the finished picture.
"""

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.acceleration.cuda.device import Device, Event, Work

Data = NDArray[np.uint8]

SLOTS = 3
"""Frames in flight: one up, one painted, one down."""


class FramesInFlight:
    """Brings frames to a function over fixed buffers and its pictures back. Not thread-safe.

    Args:
        device: Whose streams are used.
        data, output: The function's own buffers, uint8 (B, H, W, 3) on the device.
        rows: Its numbers beside the frames, float32 (B, N) on the device.
    """

    def __init__(self, device: Device, data: Tensor, output: Tensor, rows: Tensor) -> None:
        self._device = device
        self._data = data
        self._output = output
        self._rows = rows.view(torch.uint8)
        self._slots = deque(_Slot(device, data, output, self._rows) for _ in range(SLOTS))
        # the memory that the slots were given may still be read by what was queued before
        device.wait(device.upload, device.record(device.compute))

    def begin(self, data: Data, paint: Work, rows: Tensor | None = None) -> "Painting":
        """Start one frame; it may be waited for any time later, also never.

        Args:
            data: uint8 (B, H, W, 3); free to be written to afterwards.
            paint: Queues what turns the function's `data` into its `output`.
            rows: float32 (B, N) on the host, for the function's `rows`, which otherwise stay.
        """
        device, slot = self._device, self._slots[0]
        self._slots.rotate(-1)
        slot.finish()
        np.copyto(slot.given.numpy(), data)
        device.launch(device.upload, lambda: _copy(slot.above, slot.given))
        device.wait(device.compute, device.record(device.upload))
        device.launch(device.compute, lambda: _copy(self._data, slot.above))
        if rows is not None:
            slot.given_rows.copy_(rows.view(torch.uint8))
            device.launch(device.compute, lambda: _copy(self._rows, slot.given_rows))
        device.launch(device.compute, paint)
        device.launch(device.compute, lambda: _copy(slot.painted, self._output))
        device.wait(device.download, device.record(device.compute))
        device.launch(device.download, lambda: _copy(slot.taken, slot.painted))
        slot.painting = Painting(slot.taken, device.record(device.download))
        return slot.painting

    def finish(self) -> None:
        """Wait until no frame is in flight."""
        for slot in self._slots:
            slot.finish()


class Painting:
    """A picture to come: call it for uint8 (B, H, W, 3); the first call waits for it."""

    def __init__(self, taken: Tensor, done: Event) -> None:
        self._taken = taken
        self._done: Event | None = done
        self._picture: Data | None = None

    def __call__(self) -> Data:
        if self._picture is None:
            assert self._done is not None
            self._done.synchronize()
            self._picture = self._taken.numpy().copy()
            self._done = None
        return self._picture


class _Slot:
    """Buffers of one frame in flight: on the host and on the device, before and after."""

    def __init__(self, device: Device, data: Tensor, output: Tensor, rows: Tensor) -> None:
        self.given_rows = device.host(tuple(rows.shape))
        self.given, self.taken = device.host(tuple(data.shape)), device.host(tuple(output.shape))
        self.above, self.painted = torch.empty_like(data), torch.empty_like(output)
        self.painting: Painting | None = None

    def finish(self) -> None:
        """Take the picture out, so that the buffers are free."""
        if self.painting is not None:
            self.painting()
            self.painting = None


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source, non_blocking=True)
