"""Speed trials: tests whether a faster computation keeps the picture, and is faster here."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.engine import Engine
from models.networks import Networks

ROUNDS = 5
"""Paintings by each of the two, after one that compiles."""

WORTH_IT = 1.1
"""How many times less it must take: a coin shall not decide, and what is decided is kept."""


def trial_picture(shape: Sequence[int]) -> Tensor:
    """Soft shapes and some grain, uint8 (B, H, W, C), always the same."""
    generator = torch.Generator().manual_seed(0)
    batch, height, width, channels = shape
    coarse = torch.rand(batch, channels, 6, 6, generator=generator)
    soft = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    grain = 0.05 * torch.randn(soft.shape, generator=generator)
    return ((soft + grain).clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)


def is_alike(picture: Tensor, exact: Tensor, least_psnr_db: float) -> bool:
    """Whether two pictures of 0 to 255 differ by no more than that."""
    error = (picture.float() - exact.float()).square().mean().item()
    return error <= 255**2 / 10 ** (least_psnr_db / 10)


def is_better(engine: Engine, other: Networks, least_psnr_db: float) -> bool:
    """Whether an engine paints the trial picture by other networks as by its own, and for less.

    At its native size, in its default style, in turns; by the processors' time, which others' work
    on the machine changes little.

    Raises:
        RuntimeError, ModelMemoryError: One of the two cannot paint it.
    """
    side, style, own = engine.native_size, engine.default_style, engine.networks
    data = trial_picture((1, side, side, 3))[0].contiguous().numpy()
    given = engine.noise(style, (side, side)), engine.encode_prompt(style), engine.schedule(style)
    spent_s = [0.0, 0.0]
    pictures: list[NDArray[np.uint8]] = []
    try:
        for turn in range(ROUNDS + 1):
            for index, networks in enumerate((own, other)):
                engine.networks = networks
                start_s = time.process_time()
                pictures.append(engine.paint(data, *given))
                taken_s = time.process_time() - start_s
                spent_s[index] += taken_s if turn else 0.0  # the first compiles
    finally:
        engine.networks = own
    exact, picture = (torch.from_numpy(each) for each in pictures[:2])
    own_s, other_s = spent_s
    return other_s * WORTH_IT < own_s and is_alike(picture, exact, least_psnr_db)
