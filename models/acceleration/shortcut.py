"""A shortcut in arithmetic, taken only where it leaves the picture as it is.

GeForce cards multiply float16 matrices twice as quickly when they also add in float16. What that
does to a picture depends on the model, so it is painted both ways first. The switch is torch's, for
the whole process; it is on only while kernels are chosen, never between frames.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from models.acceleration.frame import FrameFunction

LEAST_PSNR_DB = 40.0
"""What the picture must keep: differences of some 2.5 levels, root mean square."""

Shortcut = Callable[[], AbstractContextManager[None]]


@contextmanager
def fp16_accumulation(matmul: Any = torch.backends.cuda.matmul) -> Iterator[None]:
    """Add in float16 where float16 matrices are multiplied inside the block."""
    before = matmul.allow_fp16_accumulation
    matmul.allow_fp16_accumulation = True
    try:
        yield
    finally:
        matmul.allow_fp16_accumulation = before


def shortcut_for(gpu: str, dtype: torch.dtype) -> Shortcut | None:
    """What a GPU of that name offers; ``None`` where there is nothing to gain."""
    return fp16_accumulation if "GeForce" in gpu and dtype == torch.float16 else None


def keeps_picture(frame: FrameFunction, shortcut: Shortcut) -> bool:
    """Whether a frame painted with the shortcut is within `LEAST_PSNR_DB` of the same without."""
    frame.data.copy_(_picture(frame.data.shape))
    frame.run()
    exact = frame.output.float()
    with shortcut():
        frame.run()
    error = (frame.output.float() - exact).square().mean().item()
    return error <= 255**2 / 10 ** (LEAST_PSNR_DB / 10)


def _picture(shape: torch.Size) -> Tensor:
    """Soft shapes and some grain, uint8, always the same."""
    generator = torch.Generator().manual_seed(0)
    batch, height, width, channels = shape
    coarse = torch.rand(batch, channels, 6, 6, generator=generator)
    soft = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    grain = 0.05 * torch.randn(soft.shape, generator=generator)
    return ((soft + grain).clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)
