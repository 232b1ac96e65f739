"""Conditioning: the UNet's inputs besides the latents (prompt embeddings, pooled text, guidance).

`PromptEncoder` holds the tokenizers and text encoders of a checkpoint (one for SD 1.5 and 2.1, two
for SDXL); `Engine.encode_prompt` calls it once a style, never per frame.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.carried_noise import StemConditioning


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """All that the UNet needs for one style, on the engine's device; immutable, replaced whole.

    Attributes:
        prompt_embeds: (1, tokens, width) hidden states of the text encoder(s); with guidance (2,
            tokens, width), first those of no prompt.
        text_embeds: (1, width) pooled text of SDXL's second encoder, with guidance (2, width); else
            ``None``.
        timestep_cond: (1, width) embedding of guidance w - 1 for full LCMs, else ``None`` (a UNet
            that sees the frame is told the strength instead, by `Engine.timestep_cond`).
        notes: What was left out or ignored (a prompt too long, guidance without effect).
        guidance_scale: w of classifier-free guidance; ``None`` where a step is one call.
        stem: What the prompt asks of a stem; ``None`` for a model without one.
        image_tokens: (1, pictures, tokens, width) of the style's pictures, with guidance (2, ...);
            ``None`` without pictures.
        image_weights: (1, pictures), with guidance (2, pictures), how much each counts.
        structure_weights: (networks,) float32, how much each structure network counts.
    """

    prompt_embeds: Tensor
    text_embeds: Tensor | None = None
    timestep_cond: Tensor | None = None
    notes: tuple[str, ...] = ()
    guidance_scale: float | None = None
    stem: StemConditioning | None = None
    image_tokens: Tensor | None = None
    image_weights: Tensor | None = None
    structure_weights: Tensor | None = None


class TextStage(NamedTuple):
    """A tokenizer and the text encoder it feeds (transformers' own classes)."""

    tokenizer: Any
    text_encoder: Any


class EncodedText(NamedTuple):
    """Hidden states (1, tokens, width), pooled (1, width) or ``None``, and what was cut off."""

    prompt_embeds: Tensor
    text_embeds: Tensor | None
    notes: tuple[str, ...]


MOST_TEXTS = 16
"""Embeddings that are kept."""


class PromptEncoder:
    """Turns text into embeddings as diffusers' pipelines do. Not thread-safe.

    Args:
        stages: One stage (SD): last hidden state. Two stages (SDXL): the hidden states before the
            last layer of both, side by side, and the second encoder's pooled projection. One stage
            with `pooled` (SDXL's refiner and the like): the same of that one.
        pooled: Whether the UNet wants the pooled text (``addition_embed_type`` is "text_time").
    """

    def __init__(self, stages: tuple[TextStage, ...], *, pooled: bool) -> None:
        if not stages:
            raise ValueError("got no text encoder, expected one or two")
        self.stages = stages
        self.pooled = pooled
        self._known: dict[tuple[int, str], EncodedText] = {}

    def encode(self, text: str, revision: int = 0) -> EncodedText:
        """Embed one prompt; what passes the tokenizer's length is cut off and noted.

        The last few are kept: a prompt that travels mixes them frame by frame.

        Args:
            revision: Of the weights; a text is embedded once for each.
        """
        key = revision, text
        if key not in self._known:
            while len(self._known) >= MOST_TEXTS:
                del self._known[next(iter(self._known))]
            self._known[key] = self._encode(text)
        return self._known[key]

    def _encode(self, text: str) -> EncodedText:
        states: list[Tensor] = []
        notes: tuple[str, ...] = ()
        pooled: Tensor | None = None
        for tokenizer, text_encoder in self.stages:
            # a tokenizer saved without its length says 1e30
            limit = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
            notes += _overlong(tokenizer, text, limit)
            tokens = tokenizer(
                text,
                padding="max_length",
                max_length=limit,
                truncation=True,
                return_tensors="pt",
            )
            output = text_encoder(
                tokens.input_ids.to(text_encoder.device),
                attention_mask=_attention_mask(tokens, text_encoder),
                output_hidden_states=self.pooled,
            )
            if self.pooled:
                states.append(output.hidden_states[-2])
                pooled = output[0]
            else:
                states.append(output[0])
        return EncodedText(torch.cat(states, dim=-1), pooled, notes)


MOST_REPEATED = 8
"""Tensors that are kept repeated: a few conditions of one style, and of the one before it."""


def below(empty: Tensor, asked: Tensor, is_zeros: bool) -> Tensor:
    """Embeddings (1, ...) below those of no prompt, (2, ...), for guidance.

    Args:
        empty: What the empty prompt gives.
        is_zeros: Take zeros in its place.
    """
    return torch.cat([torch.zeros_like(asked) if is_zeros else empty.to(asked), asked])


def for_batch(tensor: Tensor, batch: int) -> Tensor:
    """Each row of a conditioning's tensor `batch` times, one after the other."""
    if batch == 1:
        return tensor
    if len(tensor) == 1:
        return tensor.expand(batch, *tensor.shape[1:])
    return tensor.repeat_interleave(batch, dim=0)


class RepeatedRows:
    """`for_batch` that gives the same tensor for the same rows, while they are among the last few.

    What is worked out from a condition is kept by its address. Not thread-safe.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    def __call__(self, tensor: Tensor, batch: int) -> Tensor:
        key = tensor.data_ptr(), tensor.shape, batch
        if key not in self._known:
            while len(self._known) >= MOST_REPEATED:
                del self._known[next(iter(self._known))]
            # the tensor is kept beside the key: while it lives, its address is its alone
            self._known[key] = tensor, for_batch(tensor, batch)
        return self._known[key][1]


def guided(predictions: Tensor, guidance_scale: float | Tensor) -> Tensor:
    """Classifier-free guidance (arXiv 2207.12598, equation 6): (2 B, ...) -> (B, ...).

    Args:
        predictions: First those without a prompt, then those with it.
        guidance_scale: w; 1 gives the latter.
    """
    without, asked = predictions.chunk(2)
    return without + guidance_scale * (asked - without)


def guidance_embedding(guidance_scale: float, width: int) -> Tensor:
    """Embedding (1, width) of w = guidance_scale - 1 at 1000 w (2310.04378, section 4.3)."""
    return sinusoidal_embedding(torch.tensor([1000.0 * (guidance_scale - 1)]), width)


def time_ids(size: tuple[int, int]) -> Tensor:
    """SDXL's micro-conditioning for frames of (width, height), (1, 6): original size, crop, target
    size (arXiv 2307.01952, section 2.2).
    """
    width, height = size
    return torch.tensor([[height, width, 0, 0, height, width]])


def sinusoidal_embedding(values: Tensor, width: int) -> Tensor:
    """Sines, then cosines of (N,) numbers, (N, width) float32 (arXiv 1706.03762, section 3.5)."""
    half = width // 2
    frequencies = torch.exp(
        torch.arange(half, dtype=torch.float32, device=values.device)
        * (-math.log(10000.0) / (half - 1))
    )
    angles = values.float().unsqueeze(1) * frequencies  # (N, width / 2)
    embedding = torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.nn.functional.pad(embedding, (0, width % 2))


def mix(parts: list[tuple[float, Tensor]]) -> Tensor:
    """The linear mixture of tensors of one shape."""
    if len(parts) == 1:
        return parts[0][1]
    return torch.stack([weight * tensor for weight, tensor in parts]).sum(dim=0)


def mix_pooled(
    parts: list[tuple[float, Tensor | None]], device: torch.device, dtype: torch.dtype
) -> Tensor | None:
    """The mixture of pooled text; ``None`` where the model has none."""
    present = [(weight, tensor) for weight, tensor in parts if tensor is not None]
    return mix(present).to(device, dtype) if present else None


def _attention_mask(tokens: Any, text_encoder: Any) -> Tensor | None:
    # the same test as diffusers': only text encoders that say so in their config see the mask
    if not getattr(text_encoder.config, "use_attention_mask", False):
        return None
    mask: Tensor = tokens.attention_mask.to(text_encoder.device)
    return mask


def _overlong(tokenizer: Any, text: str, limit: int) -> tuple[str, ...]:
    count = len(tokenizer(text, truncation=False, verbose=False).input_ids)
    if count <= limit:
        return ()
    return (f"the prompt {text[:40]!r}… has {count} tokens; the model reads the first {limit}",)
