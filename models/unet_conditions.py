"""UNetConditions: what a UNet is told beside latents, timestep and prompt, ready for a batch."""

import torch
from torch import Tensor

from models.conditioning import Conditioning, RepeatedRows, sinusoidal_embedding, time_ids
from models.image_prompt import TOKENS, WEIGHTS
from models.networks import Networks

Size = tuple[int, int]


class UNetConditions:
    """Keeps what does not change from frame to frame. Not thread-safe.

    Args:
        networks: Whose UNet it is.
        device: Where it computes.
    """

    def __init__(self, networks: Networks, device: torch.device) -> None:
        self.repeat = RepeatedRows()
        self._strength_width = networks.strength_width
        self._wants_text_time = networks.wants_text_time
        self._device = device
        self._time_ids: dict[tuple[Size, torch.dtype], Tensor] = {}
        self._strength_embeds: dict[tuple[int, torch.dtype], Tensor] = {}

    def added(
        self, conditioning: Conditioning, size: Size, dtype: torch.dtype, *, batch: int
    ) -> dict[str, Tensor] | None:
        """SDXL's added conditions for frames of size (width, height), and the tokens of pictures;
        ``None`` where there are neither.
        """
        added: dict[str, Tensor] = {}
        if self._wants_text_time and conditioning.text_embeds is not None:
            key = size, dtype
            if key not in self._time_ids:
                self._time_ids[key] = time_ids(size).to(self._device, dtype)
            rows = batch * len(conditioning.text_embeds)
            added["text_embeds"] = self.repeat(conditioning.text_embeds, batch)
            added["time_ids"] = self.repeat(self._time_ids[key], rows)
        if conditioning.image_tokens is not None and conditioning.image_weights is not None:
            added[TOKENS] = self.repeat(conditioning.image_tokens, batch)
            added[WEIGHTS] = self.repeat(conditioning.image_weights, batch)
        return added or None

    def timestep_cond(
        self, conditioning: Conditioning, first_timestep: int, dtype: torch.dtype
    ) -> Tensor | None:
        """What the UNet is told beside the timestep, (1, width): guidance, strength or nothing.

        A UNet that sees the frame learns the strength as the embedding of the first step's
        timestep: in its later steps it could not tell light paint from a photograph without it.
        """
        width = self._strength_width
        if width is None:
            return conditioning.timestep_cond
        key = first_timestep, dtype
        if key not in self._strength_embeds:
            embedding = sinusoidal_embedding(torch.tensor([first_timestep]), width)
            self._strength_embeds[key] = embedding.to(self._device, dtype)
        return self._strength_embeds[key]
