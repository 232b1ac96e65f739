"""Accumulation in float16: faster on some cards, used only where the picture stays the same.

GeForce cards multiply float16 matrices twice as quickly when they also add in float16. What that
does to a picture depends on the model, so it is painted both ways first. The switch is torch's, for
the whole process; it is on only while kernels are chosen, never between frames.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from models.acceleration.cuda.whole_frame import FrameFunction
from models.acceleration.speed_trial import is_alike, trial_picture

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


def approximation_for(gpu: str, dtype: torch.dtype) -> Shortcut | None:
    """What a GPU of that name offers; ``None`` where there is nothing to gain."""
    return fp16_accumulation if "GeForce" in gpu and dtype == torch.float16 else None


def keeps_picture(frame: FrameFunction, shortcut: Shortcut) -> bool:
    """Whether a frame painted with the shortcut is within `LEAST_PSNR_DB` of the same without."""
    frame.data.copy_(trial_picture(frame.data.shape))
    frame.run()
    exact = frame.output.clone()
    with shortcut():
        frame.run()
    return is_alike(frame.output, exact, LEAST_PSNR_DB)
