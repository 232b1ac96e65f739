"""The decoder's exit on OpenVINO: bytes in place of floats, and no more of them than are wanted.

    features ──convolution──► b*b pixels of 3 channels a place ──► bytes ──pixel shuffle──► picture

What the last convolution gives is linear in its weights, so averaging each place's b*b pixels over
k*k areas is the same convolution with averaged weights (`shrunk`): a picture that will be shown
smaller is painted smaller, in less time, its pixels the means of areas. The graph rounds to bytes,
as `models.pixels.to_data` does, and pixels are shuffled as bytes, a row of a block at a time.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.acceleration.cpu.openvino import OpenVinoCall
from models.acceleration.cpu.quantization import WEIGHT_LEVELS
from models.pixels import to_data

Floats = NDArray[np.float32]
Data = NDArray[np.uint8]

CHANNELS = 3
SHUFFLES = {"DepthToSpace", "Reshape", "Transpose", "Convert"}
"""What may lie between the last convolution and the picture, beside its bias."""


class OpenVinoExit:
    """`models.networks.Exit` through OpenVINO. Not thread-safe.

    Args:
        decode: The decoder.

    Raises:
        ValueError: It is of another make.
    """

    def __init__(self, decode: OpenVinoCall) -> None:
        block = exit_block(decode.model)
        if block is None:
            raise ValueError("this decoder does not end in one convolution and a pixel shuffle")
        self.block = block
        self._decode = decode
        self._calls: dict[int, OpenVinoCall] = {}

    def __call__(self, latents: Tensor, block: int) -> Data:
        """As `Exit`."""
        return picture(self.call(block)(latents), block)

    def call(self, block: int) -> OpenVinoCall:
        """Latents (1, C, h, w) to what `picture` takes."""
        if block not in self._calls:
            decode = self._decode

            def plain(latents: Tensor) -> Tensor:
                return torch.from_numpy(
                    apart(_at_size(decode.plain(latents), self.block, block), block)
                )

            self._calls[block] = decode.instead(to_bytes(decode.model, block), plain)
        return self._calls[block]


def exit_of(decode: OpenVinoCall) -> OpenVinoExit | None:
    """A decoder's exit; ``None`` where it is of another make."""
    return None if exit_block(decode.model) is None else OpenVinoExit(decode)


def picture(levels: Tensor, block: int) -> Data:
    """uint8 (1, h, w, block * block * 3), as the graph gives it, to (block h, block w, 3)."""
    height, width = levels.shape[1:3]
    row = np.dtype((np.void, CHANNELS * block))  # of one place: moved as a whole
    rows = levels.numpy().reshape(height, width, block, -1).view(row)[..., 0]
    data = np.ascontiguousarray(rows.transpose(0, 2, 1)).view(np.uint8)
    return data.reshape(block * height, block * width, CHANNELS)


def apart(data: Data, block: int) -> Data:
    """The way back: (block h, block w, 3) to (1, h, w, block * block * 3)."""
    height, width = data.shape[0] // block, data.shape[1] // block
    rows = data.reshape(height, block, width, block * CHANNELS).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(rows).reshape(1, height, width, -1)


def _at_size(image: Tensor, whole: int, block: int) -> Data:
    """The picture of an image, its blocks of `whole` pixels averaged to `block`."""
    data, share = to_data(image), areas(whole, block)
    height, width = data.shape[0] // whole, data.shape[1] // whole
    blocks = data.reshape(height, whole, width, whole, CHANNELS).astype(np.float32)
    mean = np.einsum("yi,xj,hiwjc->hywxc", share, share, blocks, optimize=True)
    shape = block * height, block * width, CHANNELS
    return np.asarray(np.rint(mean).reshape(shape), dtype=np.uint8)


def exit_block(model: Any) -> int | None:
    """b, the side of the block of pixels that each place of the last convolution becomes.

    ``None`` for a decoder of another make.
    """
    found = _exit(model)
    return None if found is None else found[2]


def to_bytes(model: Any, block: int) -> Any:
    """A copy of a decoder that gives uint8 (B, h, w, block * block * 3): rows of blocks of pixels.

    Args:
        model: Latents to image; its last convolution may be in 8-bit integers.
        block: 1 to `exit_block` of it.

    Raises:
        ValueError: It is a decoder of another make, or `block` is none.
    """
    from openvino import Model, Type
    from openvino import opset13 as ops

    model = model.clone()
    found = _exit(model)
    if found is None:
        raise ValueError("this decoder does not end in one convolution and a pixel shuffle")
    convolution, bias, whole = found
    if not 1 <= block <= whole:
        raise ValueError(f"got block={block}, expected 1 to {whole}")
    weights, is_rounded = _weights(convolution)
    weights, bias = shrunk(weights, whole, block), shrunk(bias, whole, block)
    kernel: Any = ops.constant(weights)
    if is_rounded is not None:
        bound = np.abs(weights).max(axis=(1, 2, 3), keepdims=True) * is_rounded
        bounds = [ops.constant(np.asarray(sign * bound, np.float32)) for sign in (-1, 1, -1, 1)]
        kernel = ops.fake_quantize(kernel, *bounds, levels=WEIGHT_LEVELS)
    drawn: Any = ops.convolution(
        convolution.input_value(0),
        kernel,
        convolution.get_strides(),
        convolution.get_pads_begin(),
        convolution.get_pads_end(),
        convolution.get_dilations(),
    )
    drawn.set_friendly_name(convolution.get_friendly_name())
    drawn = ops.add(drawn, ops.constant(bias.reshape(1, -1, 1, 1)))
    ends = [ops.constant(np.float32(value)) for value in (-1, 1, 0, 255)]
    levels = ops.convert(ops.fake_quantize(drawn, *ends, levels=256), Type.u8)
    levels = ops.transpose(levels, ops.constant(np.array([0, 2, 3, 1], np.int64)))
    return Model([ops.result(levels)], model.get_parameters(), model.get_friendly_name())


def shrunk(values: Floats, whole: int, block: int) -> Floats:
    """Weights or bias of 3 * whole * whole channels, as pixel shuffle has them, to those of
    block * block * 3 with the colour fastest: each pixel the mean of an area.
    """
    share = areas(whole, block)
    rest = values.shape[1:]
    apart = values.reshape(CHANNELS, whole, whole, -1)
    mean = np.einsum("yi,xj,cijr->yxcr", share, share, apart, optimize=True)
    return np.ascontiguousarray(mean.reshape(-1, *rest), dtype=np.float32)


def areas(whole: int, block: int) -> Floats:
    """(block, whole): the share of each of `whole` pixels in each of `block` that cover them."""
    edges = np.arange(block + 1) * (whole / block)
    low, high = edges[:-1, np.newaxis], edges[1:, np.newaxis]
    at = np.arange(whole)
    covered = (np.minimum(high, at + 1) - np.maximum(low, at)).clip(min=0)
    return np.asarray(covered * (block / whole), dtype=np.float32)


def _exit(model: Any) -> tuple[Any, Floats, int] | None:
    """The last convolution, its bias and the side of its block of pixels."""
    node, bias = model.get_results()[0].input_value(0).get_node(), None
    while node.get_type_name() != "Convolution":
        if node.get_type_name() == "Add" and bias is None:
            bias = _constant(node.input_value(1))
            if bias is None:
                return None
        elif node.get_type_name() not in SHUFFLES:
            return None
        node = node.input_value(0).get_node()
    count = node.get_output_partial_shape(0)[1]
    if bias is None or count.is_dynamic:
        return None
    block = round((count.get_length() / CHANNELS) ** 0.5)
    if CHANNELS * block**2 != bias.size or bias.size != count.get_length():
        return None
    return (node, bias.reshape(-1), block) if _weights(node)[0] is not None else None


def _weights(convolution: Any) -> tuple[Any, float | None]:
    """Its weights, and where they are rounded to integers, their bound over the largest of them."""
    source = convolution.input_value(1)
    if source.get_node().get_type_name() != "FakeQuantize":
        return _constant(source), None
    rounded = source.get_node()
    weights = _constant(rounded.input_value(0))
    bound = _constant(rounded.input_value(2))
    if weights is None or bound is None:
        return None, None
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    return weights, float((bound / np.maximum(largest, 1e-8)).max())


def _constant(output: Any) -> Floats | None:
    node = output.get_node()
    while node.get_type_name() in ("Convert", "Reshape"):
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant":
        return None
    return np.asarray(node.get_data(), dtype=np.float32)
