"""Plain frames: painted call after call, each step by the engine's own networks. The reference of
every painter.
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.conditioning import Conditioning
from models.schedule import Schedule
from models.temporal import Remembered, blended, looked, noise_of, remembering_of

Data = NDArray[np.uint8]


class Paints(Protocol):
    """An engine, as far as frames call it."""

    device: torch.device
    output_scale: int
    carries_noise: bool

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, int, int]: ...

    def to_image(self, data: Data) -> Tensor: ...

    def picture(self, latents: Tensor, cell_px: int | None = None) -> Data: ...

    def encode(self, image: Tensor) -> Tensor: ...

    def features(self, image: Tensor, noise: Tensor, conditioning: Conditioning) -> Any: ...

    def denoise(
        self,
        latents: Tensor,
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        features: Any,
    ) -> Tensor: ...

    def decode(self, latents: Tensor) -> Tensor: ...


def painted_frames(
    engine: Paints,
    frames: Data,
    noise: Tensor,
    conditioning: Conditioning,
    schedule: Schedule,
    remembered: Remembered | None,
    cell_px: int | None = None,
) -> list[Data]:
    """Paint frames, uint8 RGB (B, H, W, 3); as `Engine.begin` takes them.

    With a memory, pictures are always whole.
    """
    image = torch.cat([engine.to_image(frame) for frame in frames])
    if remembered is None:
        latents, features = engine.encode(image), engine.features(image, noise, conditioning)
        latents = engine.denoise(latents, noise, conditioning, schedule, features=features)
        return [engine.picture(one, cell_px) for one in torch.split(latents, 1)]
    remembering = remembering_of(engine, (image.shape[3], image.shape[2]))
    rows = remembered.rows().to(image.device)
    found = looked(remembering, image, remembered.memory, rows)
    moved = noise_of(remembering, noise, found)
    features = engine.features(image, moved, conditioning)
    latents = engine.denoise(engine.encode(image), moved, conditioning, schedule, features=features)
    levels = ((engine.decode(latents) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    painted = levels.permute(0, 2, 3, 1)
    shown = blended(remembering, painted, found, remembered.memory, rows)
    return list(shown.contiguous().cpu().numpy())
