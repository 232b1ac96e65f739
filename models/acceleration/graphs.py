"""A whole frame, bytes to bytes: as one function over fixed buffers, and as one CUDA graph of it.

    data ──► image ──encode──► latents ──noise, UNet, step by step──► x0 ──decode──► data

`FrameFunction` runs on any device and holds all that a frame reads; a new style is copied into the
same memory. So a graph captured of it (`FrameGraph`) stays true for every style of as many steps:
one launch a frame, no Python between the kernels, and never a second capture. Temporal state has no
place in it: it is for frames painted each for itself.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.acceleration.predictor import SplitPredictor
from models.engine import Engine, Size
from models.schedule import Schedule, Step, add_noise, consistency
from models.style import Style

WARM_UP_RUNS = 3
"""Before a capture, so that libraries have chosen their kernels and made their workspaces."""


class FrameFunction:
    """Paints the frame in `data` into `output`; both uint8 RGB (H, W, 3) on the device.

    Not thread-safe.

    Args:
        engine: Its UNet must be split (`models.acceleration.rewrites.split`).
        size: (width, height) of the frames.
        style: The first style; later ones (`adopt`) must have as many steps.

    Raises:
        ValueError: The engine's UNet is whole, or the size is no multiple of its `size_multiple`.
    """

    def __init__(self, engine: Engine, size: Size, style: Style) -> None:
        predict = engine.networks.predict
        if not isinstance(predict, SplitPredictor):
            raise ValueError("got an engine with a whole UNet, expected a split one")
        self.size = size
        self._engine = engine
        self._conditions = predict.conditions
        self._body = predict.body
        shape = (size[1], size[0], 3)
        self.data = torch.zeros(shape, dtype=torch.uint8, device=engine.device)
        self.output = torch.zeros_like(self.data)
        self._schedule, tensors = self._worked_out(style)
        self._held = [[tensor.clone() for tensor in step] for step in tensors.held]
        self._scalars, self._noise = tensors.scalars.clone(), tensors.noise.clone()

    @torch.inference_mode()
    def adopt(self, style: Style) -> None:
        """Paint in another style from now on: copies into the same memory.

        Raises:
            ValueError: It has another number of steps; that is another function.
        """
        if style.num_inference_steps != len(self._held):
            raise ValueError(
                f"got num_inference_steps={style.num_inference_steps}, expected {len(self._held)}"
            )
        _, tensors = self._worked_out(style)
        self._scalars.copy_(tensors.scalars)
        self._noise.copy_(tensors.noise)
        for ours, new in zip(self._held, tensors.held, strict=True):
            for place, tensor in zip(ours, new, strict=True):
                place.copy_(tensor)

    @torch.inference_mode()
    def run(self) -> None:
        """Paint `data` into `output`; the host neither waits nor reads a number back."""
        networks = self._engine.networks
        image = self.data.permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1  # (1, 3, H, W)
        latents = networks.encode(image)
        frame = self._engine.frame_input(latents)
        denoised = latents
        for index, held in enumerate(self._held):
            # numbers of this step as tensors: a capture keeps where they are, not what they are
            step = Step(0, *cast(Any, self._scalars[index].unbind()))
            z_t = add_noise(denoised, self._noise[index], step)
            seen = z_t if frame is None else torch.cat([z_t, frame], dim=1)
            denoised = consistency(self._body(seen, *held), z_t, step, self._schedule)
        painted = networks.decode(denoised)[0]
        pixels = ((painted + 1) * 127.5).round().clamp(0, 255)
        self.output.copy_(pixels.permute(1, 2, 0))  # converts to uint8

    def _worked_out(self, style: Style) -> "tuple[Schedule, _StyleTensors]":
        engine = self._engine
        conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)
        added = engine.added(conditioning, self.size, batch=1)
        with torch.inference_mode():
            held = [
                self._conditions(
                    schedule.timesteps[index : index + 1],
                    conditioning.prompt_embeds,
                    conditioning.timestep_cond,
                    added,
                )
                for index in range(schedule.num_inference_steps)
            ]
            numbers = [step.scalars for step in schedule.steps]
            scalars = torch.tensor(numbers, device=engine.device)
            return schedule, _StyleTensors(held, scalars, engine.noise(style, self.size))


class FrameGraph:
    """A `FrameFunction` captured as a CUDA graph; uint8 in, uint8 out, one launch between.

    Args:
        frame: What to capture; its style may change afterwards.
        pool: Memory shared with other graphs of which one runs at a time
            (`torch.cuda.graph_pool_handle`); ``None`` takes its own.
    """

    def __init__(self, frame: FrameFunction, pool: Any = None) -> None:
        self.frame = frame
        cuda: Any = torch.cuda  # partly without types
        self._graph = cuda.CUDAGraph()
        self._staged = torch.empty_like(frame.data, device="cpu", pin_memory=True)
        self._painted = torch.empty_like(frame.data, device="cpu", pin_memory=True)
        self._done = cuda.Event()
        side = cuda.Stream(frame.data.device)
        side.wait_stream(cuda.current_stream(frame.data.device))
        with cuda.stream(side):
            for _ in range(WARM_UP_RUNS):
                frame.run()
        cuda.current_stream(frame.data.device).wait_stream(side)
        with torch.inference_mode(), cuda.graph(self._graph, pool=pool):
            frame.run()

    def replay(self) -> None:
        """Paint the frame's `data` into its `output`, on the current stream."""
        self._graph.replay()

    @torch.inference_mode()
    def __call__(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Paint one frame; waits once, for the finished picture."""
        self._staged.numpy()[...] = data
        self.frame.data.copy_(self._staged, non_blocking=True)
        self.replay()
        self._painted.copy_(self.frame.output, non_blocking=True)
        self._done.record()
        self._done.synchronize()
        return self._painted.numpy().copy()


class FrameGraphs:
    """Graphs of one engine by size and number of steps, in one pool of memory; made when needed.

    Args:
        engine: Its UNet must be split.
        style: What is painted; set it whole with `adopt`.
    """

    def __init__(self, engine: Engine, style: Style) -> None:
        self._engine = engine
        self._style = style
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[tuple[Size, int], FrameGraph] = {}
        self._styles: dict[tuple[Size, int], Style] = {}

    def adopt(self, style: Style) -> None:
        """Paint in another style from the next frame on."""
        self._style = style

    def __call__(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Paint one frame of any size that the engine takes."""
        size = (data.shape[1], data.shape[0])
        key = size, self._style.num_inference_steps
        if key not in self._graphs:
            frame = FrameFunction(self._engine, size, self._style)
            self._graphs[key] = FrameGraph(frame, self._pool)
        elif self._styles[key] != self._style:
            self._graphs[key].frame.adopt(self._style)
        self._styles[key] = self._style
        return self._graphs[key](data)


class _StyleTensors:
    """What a style comes to on the device: per step held tensors, scalars and noise."""

    def __init__(self, held: Sequence[tuple[Tensor, ...]], scalars: Tensor, noise: Tensor) -> None:
        self.held = held
        self.scalars = scalars
        self.noise = noise
