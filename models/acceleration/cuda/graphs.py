"""CUDA graphs of whole frames, one for each size and number of steps: one launch paints a frame.

    data ──► FrameGraphs ──by shape, steps──► FrameGraph ──ring, replay──► data

A style is copied into the memory that a graph reads; nothing is captured again for it. The graphs
that were used last are kept, all in one pool of memory. Where faster kernels turn up for a shape
(`Compiled`), they are captured and take over between two frames.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import median
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.acceleration.cuda.device import Device, Work
from models.acceleration.cuda.fp16_accumulation import Shortcut, keeps_picture
from models.acceleration.cuda.frames_in_flight import FramesInFlight, Painting
from models.acceleration.cuda.memories import WorkingMemories
from models.acceleration.cuda.whole_frame import Form, FrameFunction, Parts, Recipe, Shape
from models.acceleration.rewrites import UNetBody
from models.conditioning import Conditioning
from models.engine import Engine
from models.errors import in_short
from models.painter import Painting as Picture
from models.plain import painted_frames
from models.schedule import Schedule
from models.temporal import Memory, Remembered

Data = NDArray[np.uint8]

WARM_UP_RUNS = 2
"""Before a capture, so that libraries have chosen their kernels and made their workspaces."""

TIMED_ROUNDS = 5

COMPILED = "paints with compiled kernels"

GRAPHS_KEPT = 6
"""Of the shapes and step counts that were used last: a governor moves among a few."""


class Pool:
    """Memory that captures share; a failed one leaves it as if it were still under way."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._handle = device.pool()

    def capture(self, work: Work) -> Work:
        """As `Device.capture`; after a failure the next capture has other memory."""
        try:
            return self._device.capture(work, self._handle)
        except RuntimeError:
            self._handle = self._device.pool()
            raise


class FrameGraph:
    """A `FrameFunction` captured: uint8 in, uint8 out, one launch between.

    Args:
        frame: What to capture; its recipe may change afterwards.
        device: Where.
        pool: Of all graphs that are replayed one at a time.
        on_failure: Called with the reason when it cannot be captured; it is launched kernel by
            kernel then.
        shortcut: Taken while kernels are chosen.
    """

    def __init__(
        self,
        frame: FrameFunction,
        device: Device,
        pool: "Pool",
        on_failure: Callable[[str], None],
        shortcut: Shortcut = nullcontext,
    ) -> None:
        self.frame = frame
        self._device = device
        self._pool = pool
        self._on_failure = on_failure
        self._shortcut = shortcut
        self._in_flight_frames = FramesInFlight(device, frame.data, frame.output, frame.rows)
        self._recipe: Recipe | None = None
        try:
            self._replay = self._captured()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as err:
            on_failure(f"a frame cannot be captured: {in_short(err)}")
            self._replay = self._run

    def begin(self, data: Data, recipe: Recipe, rows: Tensor | None = None) -> Painting:
        """Start to paint frames (B, H, W, 3) of the function's shape.

        Args:
            rows: What a memory is told with each, on the host.
        """
        if self._recipe is None or not recipe.is_same(self._recipe):
            self._device.launch(self._device.compute, partial(self.frame.adopt, recipe))
            self._recipe = recipe
        return self._in_flight_frames.begin(data, self._painted, rows)

    def _painted(self) -> None:
        """The replay; where that fails, kernel by kernel from now on."""
        try:
            self._replay()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as err:
            if self._replay == self._run:
                raise
            self._on_failure(f"a captured frame cannot be launched: {in_short(err)}")
            self._replay = self._run
            self._run()

    def take(self, parts: Parts, check: Callable[[FrameFunction], Shortcut]) -> bool:
        """Compute by other networks from the next frame on, if they can and are quicker.

        Args:
            parts: The networks.
            check: Which shortcut the picture bears with them.

        Returns:
            Whether they are taken.
        """
        self.finish()  # the check paints over the frame's buffers
        self._device.launch(self._device.compute, self.frame.remember_nothing)
        before = self.frame.parts, self._shortcut
        self.frame.parts = parts
        try:
            self._shortcut = check(self.frame)
            replay = self._captured()
        except RuntimeError as err:  # among them torch.OutOfMemoryError
            self._on_failure(f"faster kernels are there, but cannot be taken: {in_short(err)}")
        else:
            own_ms, other_ms = self._typical_ms(self._replay, replay)
            if other_ms <= own_ms:
                self._replay = replay
                return True
            said = f"{own_ms:.2f} ms a frame without, {other_ms:.2f} ms with them"
            self._on_failure(f"compiled kernels are no quicker here, so they are left: {said}")
        self.frame.parts, self._shortcut = before
        return False

    def _typical_ms(self, *replays: Work) -> list[float]:
        """Milliseconds on the device of each, the median of a few in turns."""
        spent_s = [[self._device.seconds(each) for each in replays] for _ in range(TIMED_ROUNDS)]
        return [1e3 * median(column) for column in zip(*spent_s, strict=True)]

    def finish(self) -> None:
        """Wait for the frames on their way."""
        self._in_flight_frames.finish()

    def _captured(self) -> Work:
        for _ in range(WARM_UP_RUNS):
            self._device.launch(self._device.compute, self._run)
        return self._pool.capture(self._run)

    def _run(self) -> None:
        with self._shortcut():
            self.frame.run()


class Compiled(Protocol):
    """Where faster networks come from (`models.acceleration.cuda.compiling`)."""

    def take(self, frame: FrameFunction) -> Parts | None:
        """The networks for a function's shape, once, when they are there; the first call asks."""

    def close(self) -> None:
        """Stop making them."""


class FrameGraphs:
    """`models.engine.Painter` by graphs, made when needed. Not thread-safe.

    Args:
        engine: Its UNet must be split.
        device: Where its networks are.
        compiled: ``None`` keeps to the engine's own kernels.
        shortcut: Taken in each graph whose picture it leaves as it is.
    """

    in_flight = 1

    def __init__(
        self,
        engine: Engine,
        device: Device,
        compiled: Compiled | None = None,
        shortcut: Shortcut | None = None,
    ) -> None:
        self._engine = engine
        self._device = device
        self._compiled = compiled
        self._shortcut = shortcut
        self._pool = Pool(device)
        self._left: set[Parts] = set()  # not taken where they could have been
        self._too_large: set[tuple[Shape, Form, bool]] = set()
        self._graphs: OrderedDict[tuple[Shape, Form, bool], FrameGraph] = OrderedDict()
        self._memories = WorkingMemories(engine, device)

    def begin(
        self,
        data: Data,
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        cell_px: int | None = None,
        remembered: Remembered | None = None,
    ) -> Picture:
        """As `Engine.begin`; pictures are always whole."""
        frames = data if data.ndim == 4 else data[None]
        recipe = Recipe(noise, conditioning, schedule)
        key = frames.shape[:3], recipe.form, remembered is not None
        if key not in self._too_large:
            try:
                painting = self._begin(frames, recipe, remembered)
                return painting if data.ndim == 4 else lambda: painting()[0]
            except torch.OutOfMemoryError as err:
                self._give_up(key, err)
        painted = painted_frames(self._engine, frames, noise, conditioning, schedule, remembered)
        return lambda: np.stack(painted) if data.ndim == 4 else painted[0]

    def _begin(self, frames: Data, recipe: Recipe, remembered: Remembered | None) -> Painting:
        if remembered is None:
            return self._graph(frames, recipe, None).begin(frames, recipe)
        size = frames.shape[2], frames.shape[1]
        memory = self._memories.of(size, remembered.memory)
        return self._graph(frames, recipe, memory).begin(frames, recipe, remembered.rows())

    def _give_up(self, key: tuple[Shape, Form, bool], error: Exception) -> None:
        """Let all graphs go, for room; frames of this kind are painted call by call from now on."""
        self._too_large.add(key)
        for graph in self._graphs.values():
            graph.finish()  # who began a frame still gets its picture
        self._graphs.clear()
        self._memories.release()
        self._device.record(self._device.compute).synchronize()  # what follows is at once
        self._pool = Pool(self._device)
        torch.cuda.empty_cache()  # nothing without a GPU
        _, height, width = key[0]
        self._engine.note(
            f"frames of {width}x{height} are painted call by call: no room for a graph of them "
            f"({in_short(error)})"
        )

    def close(self) -> None:
        """Wait for the frames on their way; compile no more."""
        for graph in self._graphs.values():
            graph.finish()
        if self._compiled is not None:
            self._compiled.close()

    def _graph(self, frames: Data, recipe: Recipe, memory: Memory | None) -> FrameGraph:
        batch, height, width, _ = frames.shape
        shape = batch, height, width
        key = shape, recipe.form, memory is not None
        if key not in self._graphs:
            if len(self._graphs) == GRAPHS_KEPT:
                self._graphs.popitem(last=False)[1].finish()
            frame = FrameFunction(self._engine, shape, recipe, memory=memory)
            self._choose_attention(frame)
            parts = self._faster(frame)
            if parts is not None and parts not in self._left:
                frame.parts = parts
                self._engine.note(COMPILED, logging.INFO)
            self._graphs[key] = FrameGraph(
                frame, self._device, self._pool, self._engine.note, self._checked(frame)
            )
        elif (parts := self._faster(self._graphs[key].frame)) is not None:
            if self._graphs[key].take(parts, self._checked):
                self._engine.note(COMPILED, logging.INFO)
            else:
                self._left.add(parts)
        self._graphs.move_to_end(key)
        return self._graphs[key]

    def _choose_attention(self, frame: FrameFunction) -> None:
        body = frame.parts.body
        if isinstance(body, UNetBody):
            body.attention.choose(frame.run, self._device.seconds)

    def _checked(self, frame: FrameFunction) -> Shortcut:
        if self._shortcut is None or not keeps_picture(frame, self._shortcut):
            return nullcontext
        self._engine.note("adds in float16, which this picture bears", logging.INFO)
        return self._shortcut

    def _faster(self, frame: FrameFunction) -> Parts | None:
        return None if self._compiled is None else self._compiled.take(frame)
