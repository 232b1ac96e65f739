"""What a stream batch would bring: the steps of several frames in one call of the UNet.

    python benchmarks/stream_batch.py [--quick] [--size N ...] [--steps N ...] [--acceleration A]

With n steps a frame, n frames are on their way, each one step further than the next, and the UNet
is called once a frame at batch n instead of n times at batch 1 (arXiv 2312.12491). Pictures come
n - 1 frames late. In turns with each step by itself, and with `--batch n`, which holds back up to
2 n - 1 frames. The bundled model on a CPU. Prints tables; the last line is JSON.
"""

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from contest import Contestant, Data, Paint, contest, make_frames, rows
from machine import commit, machine, versions
from painters import painter
from table import show
from torch import Tensor

from models import Engine, Style, load_engine
from models.schedule import add_noise, consistency
from models.steps import Step


class StreamBatch:
    """Paints frame after frame; a picture is that of the frame n - 1 calls before.

    Args:
        engine: Its UNet must be split.
        style, size: Of all frames.
    """

    def __init__(self, engine: Engine, style: Style, size: tuple[int, int]) -> None:
        self._engine, self._conditioning = engine, engine.encode_prompt(style)
        self._schedule = schedule = engine.schedule(style)
        count = schedule.num_inference_steps
        self._noise = engine.noise(style, size)[:count]
        self._held = _held(engine, style, size)
        scalars = torch.tensor([step.scalars for step in schedule.steps], device=engine.device)
        columns: Any = scalars.T[..., None, None, None].unbind()
        self._step = Step(0, *columns)
        shape = engine.latent_shape(size)
        # where each frame on its way stands, and what it was: the newest first
        self._states = [torch.zeros(1, *shape, device=engine.device)] * (count - 1)
        self._frames = self._states
        self._features: list[Tensor] | None = None  # of a stem, beside the frames

    @torch.inference_mode()
    def __call__(self, data: Data) -> Data:
        """uint8 RGB (H, W, 3) in, and painted out."""
        engine, networks = self._engine, self._engine.networks
        predict: Any = networks.predict
        image = engine.to_image(data)
        latents = networks.encode(image)
        states, frames = [latents, *self._states], [latents, *self._frames]
        z_t = add_noise(torch.cat(states), self._noise, self._step)
        if len(frames) > 1:
            frames[1] = engine.repainted(frames[1], states[1])
        features = self._with_features(engine.features(image, self._noise, self._conditioning))
        seen = engine.seen(z_t, torch.cat(frames), features)
        prediction = engine.completed(predict.body(seen, *self._held), torch.cat(frames))
        denoised = consistency(prediction, z_t, self._step, self._schedule)
        *self._states, done = denoised.split(1)
        self._frames = frames[:-1]
        return engine.to_data(networks.decode(done))

    def _with_features(self, newest: Tensor | None) -> Tensor | None:
        """Those of all frames on their way, the newest first."""
        if newest is None:
            return None
        count = self._schedule.num_inference_steps
        held = [newest] * count if self._features is None else [newest, *self._features]
        self._features = held[: count - 1]
        return torch.cat(held[:count])


@torch.inference_mode()
def _held(engine: Engine, style: Style, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """What the UNet's body is given, a row for each step."""
    conditioning, schedule = engine.encode_prompt(style), engine.schedule(style)
    predict: Any = engine.networks.predict
    steps = [
        predict.conditions(
            schedule.timesteps[index : index + 1],
            conditioning.prompt_embeds,
            engine.timestep_cond(conditioning, schedule),
            engine.added(conditioning, size, batch=1),
        )
        for index in range(schedule.num_inference_steps)
    ]
    return tuple(torch.cat(each).contiguous() for each in zip(*steps, strict=True))


def contestants(
    make_engine: Callable[[], Engine], style: Style, size: tuple[int, int]
) -> list[Contestant]:
    """Each paints as many frames a call as there are steps."""
    count = style.num_inference_steps

    def one_by_one(engine: Engine) -> Paint:
        paint = painter(engine, style, size)
        return lambda data: np.stack([paint(frame) for frame in data])

    def streamed(engine: Engine) -> Paint:
        paint = StreamBatch(engine, style, size)
        return lambda data: np.stack([paint(frame) for frame in data])

    late = f"{count - 1} frame(s) late"
    return [
        Contestant("step by step", make_engine, one_by_one),
        Contestant("stream batch", make_engine, streamed, note=late, compare=_in_order),
        Contestant(f"--batch {count}", make_engine, lambda engine: painter(engine, style, size)),
    ]


def _in_order(paint: Paint) -> Paint:
    """Painted again and again, the first picture comes last."""

    return lambda data: np.roll(paint(data), 1, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a stream batch would bring.")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--size", nargs="+", type=int, default=[256, 384])
    parser.add_argument("--steps", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--acceleration", choices=["auto", "openvino", "eager"], default="auto")
    args = parser.parse_args()
    result: dict[str, Any] = {
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "load_before": os.getloadavg(),
        "tables": [],
    }

    def make_engine() -> Engine:
        return load_engine("bundled", device="cpu", acceleration=args.acceleration)

    default = make_engine().default_style
    for side in args.size:
        for steps in args.steps:
            style = replace(default, num_inference_steps=steps)
            found, data = (
                contestants(make_engine, style, (side, side)),
                make_frames(side, side, steps),
            )
            contest(found, data, rounds=4 if args.quick else 12, count=4)
            table = {"title": f"{side}x{side}, {steps} steps", "rows": rows(found, data, None)}
            result["tables"].append(table)
            show(table)
    result["load_after"] = os.getloadavg()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
