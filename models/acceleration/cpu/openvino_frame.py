"""One step of one frame as a single OpenVINO model: what lies between the networks is in the graph.

    frame, bytes ──► image ──► stem ──► features ──┐
                       └──► encoder ──► latents ──┴─► z_t ──► body ──► x_0 ──► exit ──► bytes

Networks that are called one by one hand whole tensors of floats to Python between them, five times
a frame. Here nothing leaves the graph but bytes. The numbers of the step are inputs, so that
another strength compiles nothing. For one step, of models whose UNet sees the frame.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.acceleration.cpu.openvino import OpenVinoCall
from models.schedule import Schedule

NUMBERS = 4
"""Of a step: `step_numbers`."""


class Parts(NamedTuple):
    """The networks of a frame, as OpenVINO's calls; `stem` is ``None`` for a model without one."""

    encode: OpenVinoCall
    stem: OpenVinoCall | None
    body: OpenVinoCall
    exit: OpenVinoCall


def step_numbers(schedule: Schedule, index: int = 0) -> Tensor | None:
    """float32 (4,): what z_t takes of the latents and of the noise, and what the step's result
    takes of z_t and of the prediction. ``None`` where that is not all that there is to it.
    """
    if schedule.clip_sample_range is not None:
        return None
    step = schedule.steps[index]
    of_z_t, of_prediction = {
        "epsilon": (1 / step.alpha, -step.sigma / step.alpha),
        "v_prediction": (step.alpha, -step.sigma),
        "sample": (0.0, 1.0),
    }[schedule.prediction_type]
    kept = step.c_skip + step.c_out * of_z_t
    return torch.tensor([step.alpha, step.fresh, kept, step.c_out * of_prediction])


def frame_model(parts: Parts, *, adds_frame: bool) -> Any:
    """The model of a frame.

    Its inputs: uint8 (1, H, W, 3); `step_numbers`; the noise (1, C, h, w); with a stem the planes
    and the style; then what the body is held to. What it gives is the exit's.

    Args:
        adds_frame: The frame's latents are added to what the body predicts.
    """
    from openvino import Model, Type
    from openvino import opset13 as ops

    data = ops.parameter([1, -1, -1, 3], Type.u8)
    numbers = ops.parameter([NUMBERS], Type.f32)
    noise = ops.parameter([1, -1, -1, -1], Type.f32)
    image = image_of(data)
    encoder, encoded = _opened(parts.encode)
    _feed(encoder[0], image)
    of_latents, of_noise, of_z_t, of_prediction = _apart(numbers)
    z_t = ops.add(ops.multiply(encoded, of_latents), ops.multiply(noise, of_noise))
    shown, inputs = [z_t.output(0), encoded], [data, numbers, noise]
    if parts.stem is not None:
        (seen, planes, style), features = _opened(parts.stem)
        _feed(seen, image)
        shown.append(features)
        inputs += [planes, style]
    (sample, *held), prediction = _opened(parts.body)
    _feed(sample, ops.concat(shown, 1))
    if adds_frame:
        prediction = ops.add(prediction, encoded).output(0)
    painted = ops.add(ops.multiply(z_t, of_z_t), ops.multiply(prediction, of_prediction))
    (latents,), levels = _opened(parts.exit)
    _feed(latents, painted)
    return Model([ops.result(levels)], [*inputs, *held], "frame")


def fields_model(fields: OpenVinoCall) -> Any:
    """The model of the field planes, fed with bytes, uint8 (1, H, W, 3), in place of an image."""
    from openvino import Model, Type
    from openvino import opset13 as ops

    data = ops.parameter([1, -1, -1, 3], Type.u8)
    (image, *rest), planes = _opened(fields)
    _feed(image, image_of(data))
    return Model([ops.result(planes)], [data, *rest], "fields")


def image_of(data: Any) -> Any:
    """The image (1, 3, H, W) in [-1, 1] of bytes, as `models.pixels.to_image` makes it."""
    from openvino import Type
    from openvino import opset13 as ops

    planes = ops.transpose(data, ops.constant(np.array([0, 3, 1, 2], np.int64)))
    levels = ops.convert(planes, Type.f32)
    return ops.subtract(ops.divide(levels, ops.constant(np.float32(127.5))), _one())


def _one() -> Any:
    from openvino import opset13 as ops

    return ops.constant(np.float32(1))


def _apart(numbers: Any) -> Sequence[Any]:
    from openvino import opset13 as ops

    axis = ops.constant(np.int64(0))
    return [
        ops.gather(numbers, ops.constant(np.array([i], np.int64)), axis) for i in range(NUMBERS)
    ]


def _opened(call: OpenVinoCall) -> tuple[list[Any], Any]:
    """A copy of a call's model: its parameters, and what its result is made of."""
    model = call.model.clone()
    parameters = [port.get_node() for port in model.inputs]
    return parameters, model.get_results()[0].input_value(0)


def _feed(parameter: Any, value: Any) -> None:
    """Have a value, a node or one of its outputs, in a parameter's place."""
    source = value.output(0) if hasattr(value, "output") else value
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(source)
