"""Quantization: convolutions in 8-bit integers, two to four times as fast as in wider types.

    OpenVINO model, activation ranges ──► the same model, every known convolution between
                                          FakeQuantize nodes, which OpenVINO turns into integers

What a model's convolutions are fed was measured when it was made (`models.training.calibrate`) and
lies in its folder. Weights get a scale for each output channel, activations one for all channels;
channels that are wider than others are narrowed first and their weights widened by the same factor
(SmoothQuant, arXiv 2211.10438, equations 3 and 4).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Floats = NDArray[np.float32]
Ranges = Mapping[str, Floats]
"""By a convolution's name in its network ("unet.conv_in"): the least and the largest value of each
input channel, float32 (2, C)."""

RANGES_NAME = "activation_ranges.safetensors"
"""In a model's folder."""

SMOOTHING = 0.85
"""alpha of SmoothQuant: 0 makes the channels' weights alike, 1 their activations."""

ACTIVATION_LEVELS, WEIGHT_LEVELS = 256, 255
HALF = 127 / 63
"""By how much coarser weights are where products are added in pairs in 16 bits (x86 without VNNI):
255 * 63 * 2 fits, 255 * 127 * 2 does not."""

LEAST = 1e-8
"""What counts as no width: a channel that is always 0."""


def read_ranges(folder: Path) -> dict[str, Floats]:
    """The ranges in a model's folder; {} where there are none.

    Raises:
        ValueError: They are none.
        SafetensorError: The file is damaged.
    """
    path = folder / RANGES_NAME
    ranges = load_file(path) if path.is_file() else {}
    for name, values in ranges.items():
        if values.dtype != np.float32 or values.ndim != 2 or len(values) != 2:
            raise ValueError(f"{name} is {values.dtype} {values.shape}, expected float32 (2, C)")
        if not (np.isfinite(values).all() and (values[0] <= values[1]).all()):
            raise ValueError(f"{name} holds no ranges")
    return ranges


def save_ranges(ranges: Ranges, folder: Path) -> None:
    """Write the ranges into a model's folder."""
    save_file({name: np.ascontiguousarray(values) for name, values in ranges.items()},
              folder / RANGES_NAME)  # fmt: skip


def quantized(model: Any, ranges: Ranges, *, adds_in_16_bits: bool = False) -> Any:
    """A copy of an OpenVINO model with its convolutions in 8 bits.

    Args:
        model: Converted from torch: its nodes have the names of torch's modules.
        ranges: Convolutions that it does not name stay as they are.
        adds_in_16_bits: Use half of the weights' range, so that no sum overflows.

    Raises:
        ValueError: It names none of them, or one of another number of channels, or one whose
            weights are no constant.
    """
    from openvino import opset13 as ops

    model = model.clone()
    known = [(node, ranges[name]) for name, node in _convolutions(model) if name in ranges]
    if not known:
        raise ValueError("the ranges are of no convolution of this model")
    for node, (least, largest) in known:
        weights = _constant(node)
        least, largest = np.minimum(least, 0), np.maximum(largest, 0)
        if least.shape != (weights.shape[1],):
            raise ValueError(f"got ranges of {len(least)} channels, expected {weights.shape[1]}")
        share = _shares(np.maximum(-least, largest), np.abs(weights).max(axis=(0, 2, 3)))
        low, high = _grid((least / share).min(), (largest / share).max())
        share = share[np.newaxis, :, np.newaxis, np.newaxis]
        fed = ops.fake_quantize(
            node.input_value(0), *_constants(low * share, high * share, low, high),
            levels=ACTIVATION_LEVELS,
        )  # fmt: skip
        node.input(0).replace_source_output(fed.output(0))
        weights = weights * share
        bound = np.maximum(np.abs(weights).max(axis=(1, 2, 3), keepdims=True), LEAST)
        bound *= HALF if adds_in_16_bits else 1
        rounded = ops.fake_quantize(
            *_constants(weights, -bound, bound, -bound, bound), levels=WEIGHT_LEVELS
        )
        node.input(1).replace_source_output(rounded.output(0))
    model.validate_nodes_and_infer_types()
    return model


def _convolutions(model: Any) -> Iterator[tuple[str, Any]]:
    """Each convolution with the name of torch's module, e.g. "unet.conv_in"."""
    for node in model.get_ordered_ops():
        found = re.match(r"__module\.([^/]+)/", node.get_friendly_name())
        if node.get_type_name() == "Convolution" and found:
            yield found[1], node


def _constant(node: Any) -> Floats:
    """A convolution's weights (out, in, height, width)."""
    source = node.input_value(1).get_node()
    while source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant":
        raise ValueError(f"the weights of {node.get_friendly_name()} are no constant")
    return np.asarray(source.get_data(), dtype=np.float32)


def _shares(activations: Floats, weights: Floats) -> Floats:
    """By what each input channel's activations are divided and its weights multiplied: (C,)."""
    share = np.maximum(activations, LEAST) ** SMOOTHING
    share /= np.maximum(weights, LEAST) ** (1 - SMOOTHING)
    return np.asarray(share / share.max(), dtype=np.float32).clip(min=LEAST)


def _grid(least: np.float32, largest: np.float32) -> tuple[float, float]:
    """The range widened so that 0 is one of the levels."""
    step = max(float(largest - least), LEAST) / (ACTIVATION_LEVELS - 1)
    zero = round(-float(least) / step)
    return -zero * step, (ACTIVATION_LEVELS - 1 - zero) * step


def _constants(*values: Any) -> list[Any]:
    from openvino import opset13 as ops

    return [ops.constant(np.asarray(value, dtype=np.float32)) for value in values]
