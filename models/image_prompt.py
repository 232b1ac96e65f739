"""Image prompts: a UNet whose cross-attention also reads pictures (IP-Adapter, arXiv 2308.06721).

    attended = attention(q, k_text, v_text) + sum over pictures of weight * attention(q, k_i, v_i)

Keys and values of the pictures depend on no frame. A weight is folded into the values, in which
attention is linear, so that neither a picture nor its weight is anything new to a captured frame.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import ModelFormatError

TOKENS, WEIGHTS = "image_tokens", "image_weights"
"""Names among the added conditions of a UNet: (B, pictures, tokens, width), (B, pictures)."""


class ShownImages:
    """What the plain UNet's cross-attentions read in the call that is in work."""

    def __init__(self) -> None:
        self.tokens: Tensor | None = None
        self.weights: Tensor | None = None

    def show(self, added: Mapping[str, Tensor] | None) -> None:
        """Take the pictures among the added conditions, or none."""
        added = added or {}
        self.tokens, self.weights = added.get(TOKENS), added.get(WEIGHTS)


class ImageCrossAttention(nn.Module):
    """An attention processor of diffusers' kind, for text and pictures.

    Args:
        to_k, to_v: The adapter's own projections of picture tokens, (channels, width).
        shown: Where the pictures are.
    """

    def __init__(self, to_k: Tensor, to_v: Tensor, shown: ShownImages) -> None:
        super().__init__()
        self.to_k, self.to_v = _linear(to_k), _linear(to_v)
        self.shown = shown

    def held(self, tokens: Tensor, weights: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Keys and weighted values, each (B, pictures, heads, tokens, width of a head)."""
        key, value = (
            project(tokens).unflatten(-1, (heads, -1)).transpose(2, 3)
            for project in (self.to_k, self.to_v)
        )
        return key.contiguous(), (value * weights[:, :, None, None, None]).contiguous()

    def forward(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        states = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            project(given).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project, given in (
                (attn.to_q, hidden_states),
                (attn.to_k, states),
                (attn.to_v, states),
            )
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        tokens, weights = self.shown.tokens, self.shown.weights
        if tokens is not None and weights is not None:
            attended = attended + attend_images(query, *self.held(tokens, weights, attn.heads))
        output: Tensor = attn.to_out[0](attended.transpose(1, 2).flatten(2))
        return output


def attend_images(query: Tensor, keys: Tensor, values: Tensor) -> Tensor | float:
    """The sum of what is attended to in each picture, (B, heads, N, width).

    Args:
        query: (B, heads, N, width).
        keys, values: (B, pictures, heads, tokens, width).
    """
    batch, pictures = keys.shape[:2]
    if not pictures:
        return 0.0
    asked = query[:, None].expand(-1, pictures, -1, -1, -1)
    seen = F.scaled_dot_product_attention(
        asked.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1)
    )
    return torch.sum(seen.view(batch, pictures, *seen.shape[1:]), dim=1)


def install(unet: Any, weights: Mapping[str, Tensor], name: str) -> None:
    """Give a UNet the projections of an IP-Adapter, in place.

    Args:
        weights: The "ip_adapter" part of its file: ``1.to_k_ip.weight``, ``1.to_v_ip.weight``, and
            so on with odd numbers, in the order of the UNet's cross-attentions.
        name: For messages.

    Raises:
        ModelFormatError: It is made for another UNet.
    """
    attentions = list(cross_attentions(unet))
    pairs = [
        [weights.get(f"{2 * index + 1}.to_{part}_ip.weight") for part in ("k", "v")]
        for index in range(len(attentions))
    ]
    shown = ShownImages()
    if len(weights) != 2 * len(attentions):
        raise _misfit(name)
    for attention, (to_k, to_v) in zip(attentions, pairs, strict=True):
        if to_k is None or to_v is None or to_k.shape != attention.to_k.weight.shape:
            raise _misfit(name)
        like = attention.to_k.weight
        attention.processor = ImageCrossAttention(to_k.to(like), to_v.to(like), shown)


def shown_images(unet: Any) -> ShownImages | None:
    """Where a UNet's cross-attentions read pictures; ``None`` without an adapter."""
    for attention in cross_attentions(unet):
        if isinstance(attention.processor, ImageCrossAttention):
            return attention.processor.shown
    return None


def cross_attentions(unet: Any) -> Iterator[Any]:
    """In the order of the modules: down, up, middle, as the files of adapters count them."""
    from diffusers.models.attention_processor import Attention

    yield from (m for m in unet.modules() if isinstance(m, Attention) and m.is_cross_attention)


def _linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return layer


def _misfit(name: str) -> ModelFormatError:
    return ModelFormatError(
        f"The IP-Adapter {name} was made for another UNet; take one of the model's own kind "
        "(SD 1.5 or SDXL)."
    )
