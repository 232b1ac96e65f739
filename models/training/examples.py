"""One training example of the diffusion stages, batched: frame, painting, prompt, in latents.

Six in a hundred ask for no look (the painting is the photograph itself), fifteen in a hundred for
two at once (the latents and the prompts of both are mixed by one share).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.autoencoder import AutoencoderPatch
from models.training.batches import Batches
from models.training.looks import PromptBank, to_latents
from models.training.loop import generator

PLAIN_SHARE = 0.06
MIXED_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Example:
    """`frame`, `painting`: latents (B, C, h, w). `photo`, `target`: images (B, 3, H, W) in
    [-1, 1]. `states`: prompt states (B, 16, D). `looks`: int64 (B,), the dominant class.
    `corners`: int64 (B, 2), where the window lies in its crop, in pixels."""

    frame: Tensor
    painting: Tensor
    photo: Tensor
    target: Tensor
    states: Tensor
    looks: Tensor
    corners: Tensor


class Examples:
    """Draws examples; the same seed and step give the same one.

    Args:
        twins: So many rows are followed by as many that show the same a few pixels away.
    """

    def __init__(
        self,
        batches: Batches,
        autoencoder: AutoencoderPatch,
        bank: PromptBank,
        seed: int,
        twins: int = 0,
    ) -> None:
        self._batches = batches
        self._autoencoder = autoencoder
        self._bank = bank
        self._seed = seed
        self._twins = twins
        self._last: tuple[tuple[int, int], Example] | None = None

    def draw(self, step: int, window: int) -> Example:
        """The example of this step; asked for the last one again, it costs nothing."""
        key = step, window
        if self._last is None or self._last[0] != key:
            self._last = key, self._make(step, window)
        return self._last[1]

    def _make(self, step: int, window: int) -> Example:
        batch = self._batches.paired(step, window=window, twins=self._twins)
        random = generator(self._seed + 1, step)
        count, device = len(batch.photos), batch.photos.device
        kind = like_twins(torch.rand(count, generator=random), self._twins)
        plain = (kind < PLAIN_SHARE).to(device)
        mix = torch.where(
            kind > 1 - MIXED_SHARE, 0.3 + 0.4 * torch.rand(count, generator=random), 1.0
        )
        mix = like_twins(mix, self._twins)
        classes = torch.where(plain[:, None], 0, batch.looks + 1)
        share = mix.to(device).view(-1, 1, 1)
        states = torch.lerp(
            self._bank.draw(classes[:, 1], random), self._bank.draw(classes[:, 0], random), share
        )
        share = share.unsqueeze(-1)
        painted = torch.lerp(batch.second, batch.first, share)
        target = torch.where(plain.view(-1, 1, 1, 1), batch.photos, painted)
        mixed = (mix < 1).to(device)  # only these need the second painting's latents
        latents = to_latents(
            self._autoencoder, torch.cat([batch.photos, batch.first, batch.second[mixed]])
        )
        frame, painting, second = torch.split(latents, [count, count, int(mixed.sum())])
        painting = painting.clone()
        painting[mixed] = torch.lerp(second, painting[mixed], share[mixed])
        painting = torch.where(plain.view(-1, 1, 1, 1), frame, painting)
        return Example(frame, painting, batch.photos, target, states, classes[:, 0], batch.corners)


def like_twins(values: Tensor, twins: int) -> Tensor:
    """The values (B, ...), with those of the first rows repeated in their twins'."""
    return torch.cat([values[:twins], values[:twins], values[2 * twins :]])
