"""Statistics lock: the paint's mean and spread, relative to the frame's, held over seconds.

Studied beside `stability.py`'s other ways. Per channel of the latents, z of the frame, x painted:

    x' = (x - mu_x) / sd_x * r * sd_z + mu_z + d,    d = EMA(mu_x - mu_z),  r = EMA(sd_x / sd_z)

The offset to the frame is held and not the statistics themselves (as Rerender-A-Video does, arXiv
2306.07954, section 4.2), so that light that really changes is followed.
"""

import numpy as np
from stability_methods import RememberingEngine, asked, styles
from stability_sequences import Clip, Picture
from torch import Tensor

from models import Style
from stream.temporal import shots

WEIGHT, TIME_S = 0.7, 2.0
LEAST_SPREAD = 1e-3


def statistics_lock(engine: RememberingEngine, clip: Clip, style: Style) -> list[Picture]:
    """The pictures of a clip; what is held starts anew at cuts and with another style."""
    keep = float(np.exp(-1 / (clip.rate * TIME_S)))
    held: tuple[Tensor, Tensor] | None = None
    before: tuple[Picture, Style] | None = None
    painted = []
    for data, now in zip(clip.pictures, styles(clip, style), strict=True):
        if before is None or before[1] != now or is_cut(data, before[0]):
            held = None
        x, z = engine.predict(data, *asked(engine, now, data)), engine.latents(data)
        (mu_x, sd_x), (mu_z, sd_z) = _statistics(x), _statistics(z)
        offset, ratio = mu_x - mu_z, sd_x / sd_z
        if held is not None:
            offset = keep * held[0] + (1 - keep) * offset
            ratio = keep * held[1] + (1 - keep) * ratio
        held, before = (offset, ratio), (data, now)
        locked = (x - mu_x) / sd_x * ratio * sd_z + mu_z + offset
        painted.append(engine.shown(x + WEIGHT * (locked - x)))
    return painted


def is_cut(now: Picture, then: Picture) -> bool:
    """As the stylizer sees it, without the flow."""
    looks = shots.thumbnail(now), shots.thumbnail(then)
    return shots.content_difference(*looks) > shots.CUT_DIFFERENCE


def _statistics(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel, (1, C, 1, 1)."""
    mean = latents.mean((2, 3), keepdim=True)
    return mean, latents.std((2, 3), keepdim=True).clamp(min=LEAST_SPREAD)
