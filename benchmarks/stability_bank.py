"""Feature bank: self-attention that also looks at frames before this one.

    A = softmax(Q [K, K_bank] / sqrt(d)) [V, V_bank]

Extended attention as in StreamV2V (arXiv 2405.15757, section 3.2) with a bank of two frames, the
first of the shot and a recent one, concatenated and never merged. Banks are plain tensors that a
layer reads and writes, one a layer and step. Studied beside `stability.py`'s other ways.
"""

from typing import Any

import torch
from stability_methods import reduced, styles
from stability_sequences import Clip, Picture
from stability_statistics import is_cut
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from models import Engine, Style

EVERY = 4
"""Frames between two that are banked."""

Bank = tuple[Tensor, Tensor]


class BankedAttention:
    """A diffusers attention processor: plain attention, to banked keys and values as well.

    Attributes:
        anchor, recent: Keys and values (B, N, C) of the first frame and of a recent one.
        is_banking: What it sees now becomes `recent`, and `anchor` where there is none.
    """

    def __init__(self) -> None:
        self.anchor: Bank | None = None
        self.recent: Bank | None = None
        self.is_banking = False

    def forget(self) -> None:
        self.anchor = self.recent = None

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        query = attn.to_q(hidden_states)
        own = attn.to_k(hidden_states), attn.to_v(hidden_states)
        banks = [own, *(bank for bank in (self.anchor, self.recent) if bank is not None)]
        key, value = (torch.cat(parts, dim=1) for parts in zip(*banks, strict=True))
        heads = [
            states.unflatten(2, (attn.heads, -1)).transpose(1, 2) for states in (query, key, value)
        ]
        seen = scaled_dot_product_attention(*heads, scale=attn.scale)
        if self.is_banking:
            self.recent = own
            self.anchor = self.anchor or own
        return attn.to_out[0](seen.transpose(1, 2).flatten(2))


class FeatureBank:
    """An engine whose self-attention is banked; remembers from frame to frame.

    Args:
        engine: On the plain path; it paints with banks from now on.
        layers: Its processors, one a self-attention.
    """

    def __init__(self, engine: Engine, layers: list[BankedAttention]) -> None:
        self._engine = engine
        self._layers = layers

    @classmethod
    def of(cls, engine: Engine) -> "FeatureBank | None":
        """Put banks into an engine's UNet; ``None`` where it has no self-attention."""
        unet = engine.networks.predict.unet  # type: ignore[attr-defined]
        processors = dict(unet.attn_processors)
        names = [name for name in processors if name.endswith("attn1.processor")]
        banked = {name: BankedAttention() for name in names}
        if not banked:
            return None
        unet.set_attn_processor({**processors, **banked})
        return cls(engine, list(banked.values()))

    def run(self, clip: Clip, style: Style) -> list[Picture]:
        """The pictures of a clip, in one step each; at cuts the banks are emptied."""
        engine, painted = self._engine, []
        since, before = 0, None
        for data, now in zip(clip.pictures, styles(clip, style), strict=True):
            if before is None or before[1] != now or is_cut(data, before[0]):
                since = 0
                for layer in self._layers:
                    layer.forget()
            for layer in self._layers:
                layer.is_banking = since % EVERY == 0
            size = data.shape[1], data.shape[0]
            given = engine.noise(now, size), engine.encode_prompt(now), engine.schedule(now)
            painted.append(reduced(engine.paint(data, *given), engine.output_scale))
            since, before = since + 1, (data, now)
        return painted
