"""Blend: mixes the last picture, moved along, into what the decoder gives. Pure.

    O_t = a · W(O_{t-1}, w) + (1 - a) · D(x_t),     a = confidence · exp(-dt / tau)

As `stream.temporal.blend` has it, in float32 and on the device; see there for why each guard is
there.
"""

import torch
from torch import Tensor

from models.temporal.planes import box, brought, grown, pulled, repeated, scaled, shrunk

FADE_SHARE = 0.15
AGREE_SOFTNESS = 8.0
LEAST_LOSS = 0.01
FINE_PX = 5
UNSHARP_GAIN = 1.8
LEAST_WEIGHT = 0.1
NO_CONTRAST = 0.05


def faded(flow: Tensor) -> Tensor:
    """What the way of this frame leaves of the history's weight, (1, 1, h, w)."""
    way = (flow * flow).sum(1, keepdim=True).sqrt()
    return torch.exp(-way / (FADE_SHARE * min(flow.shape[2:])))


def moved_picture(shown: Tensor, flow: Tensor) -> Tensor:
    """The picture (1, 3, H, W) pulled along a flow of a reduced size, bilinear."""
    height, width = shown.shape[2], shown.shape[3]
    large = grown(flow, (height, width))
    return pulled(shown, scaled(large, width / flow.shape[3], height / flow.shape[2]))


def agreement(old: Tensor, new: Tensor, grid: tuple[int, int], levels: Tensor) -> Tensor:
    """How much of the old paint may stay by its looks alone, (1, 1, h, w) in [0, 1]."""
    apart = (shrunk(old, grid) - shrunk(new, grid)).abs().amax(1, keepdim=True)
    excess = (apart - levels).clamp(min=0) / AGREE_SOFTNESS
    return torch.exp(-excess * excess)


def mixed(old: Tensor, new: Tensor, weight: Tensor) -> Tensor:
    """new + weight (old - new); the weight of a smaller size."""
    share = brought(weight, (new.shape[2], new.shape[3]))
    return new + share * (old - new)


def restored(mixture: Tensor, new: Tensor, weight: Tensor, most: Tensor) -> Tensor:
    """The mixture with the fine contrast that averaging took from it.

    All that has history in it is sharpened alike, by what it has lost as a whole.
    """
    counts = (brought(weight, (new.shape[2], new.shape[3])) >= LEAST_WEIGHT).float()
    soft = box(mixture, FINE_PX)
    wanted, got = new - box(new, FINE_PX), mixture - soft
    size = (3 * counts.sum()).clamp(min=1)
    loss = torch.zeros_like(size)
    for measure in (torch.abs, torch.square):
        pair = [(measure(each) * counts).sum() / size for each in (wanted, got)]
        if measure is torch.square:
            pair = [each.sqrt() for each in pair]
        loss = loss + ((pair[0] + NO_CONTRAST) / (pair[1] + NO_CONTRAST) - 1) / 2
    more = torch.minimum(UNSHARP_GAIN * loss, most)
    more = torch.where(more < LEAST_LOSS, torch.zeros_like(more), more)
    return mixture + counts * more * got


def over(mixture: Tensor, shown: Tensor, is_open: Tensor) -> Tensor:
    """Bytes (1, 3, H, W): the mixture in open cells, elsewhere the bytes that were shown.

    Args:
        mixture: Levels.
        shown: uint8.
        is_open: bool (1, 1, h, w).
    """
    mask = repeated(is_open.float(), (shown.shape[2], shown.shape[3])) > 0
    return torch.where(mask, mixture.round().clamp(0, 255).to(torch.uint8), shown)
