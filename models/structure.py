"""Structure: networks that hold a painting to the edges, lines or surfaces of its frame.

    image ──hint──► T2I-Adapter ──once a frame──► features  ─┐
                └─► ControlNet ──every step────► residuals ─┴─► weighted, summed ──► the UNet

T2I-Adapter (arXiv 2302.08453) adds to what the UNet's down blocks give, ControlNet (arXiv
2302.05543) to its skips and its middle. Both are diffusers' own classes; several are summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.depth import DepthEstimator
from models.structure_hints import DEPTH, HINTS
from models.style import Style

Shown = tuple[tuple[Tensor, ...], ...]
"""Of each network what it was shown or found in a frame: a hint, or an adapter's features."""

Features = Tensor | Shown
"""What is worked out of a frame beside its latents, by a stem or by structure networks."""


class Residuals(NamedTuple):
    """What is added within a UNet.

    Attributes:
        inner: To what its down blocks give, one after the other; one more is for the middle.
        skips: To each of its skips.
        middle: To what its middle block gives; ``None`` without a ControlNet.
    """

    inner: tuple[Tensor, ...] = ()
    skips: tuple[Tensor, ...] = ()
    middle: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StructurePart:
    """One network.

    Attributes:
        kind: Of its hint, one of `KINDS`.
        network: diffusers' ControlNetModel or T2IAdapter.
        weight: How much it counts; 1 is as trained.
    """

    kind: str
    network: Any
    weight: float = 1.0

    @property
    def is_adapter(self) -> bool:
        """Whether it is a T2I-Adapter, which works once a frame."""
        return not hasattr(self.network, "controlnet_cond_embedding")


class Structure:
    """The structure networks of one engine, in order.

    Args:
        parts: One or more, on the engine's device.
        depth: Makes hints of the kind "depth", where a part wants such.
    """

    def __init__(self, parts: Sequence[StructurePart], depth: DepthEstimator | None = None) -> None:
        self.parts = tuple(parts)
        self._depth = depth
        self._dtypes = [part.network.dtype for part in self.parts]

    def to(self, dtype: torch.dtype) -> None:
        """Have the networks compute in another dtype."""
        convert: Any = torch.nn.Module.to  # diffusers' own warns of layers where there are none
        for part in self.parts:
            convert(part.network, dtype=dtype)
        if self._depth is not None:
            self._depth.to(dtype)
        self._dtypes = [dtype] * len(self.parts)

    def weights(self, factor: float, device: torch.device) -> Tensor:
        """How much each counts, (parts,), float32."""
        return torch.tensor([factor * part.weight for part in self.parts], device=device)

    def shown(self, image: Tensor) -> Shown:
        """What is worked out once a frame, of an image (B, 3, H, W) in [-1, 1]."""
        hints = {kind: self._hint(kind, image.float()) for kind in {p.kind for p in self.parts}}
        return tuple(
            self._seen(part, hints[part.kind].to(dtype))
            for part, dtype in zip(self.parts, self._dtypes, strict=True)
        )

    def residuals(
        self,
        shown: Shown,
        weights: Tensor,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        added: dict[str, Tensor] | None,
    ) -> Residuals:
        """What is to be added in one call of the UNet.

        Args:
            shown: Of its frames (B).
            weights: As `weights` gives them.
            latents: (B, ...), with guidance (2 B, ...): z_t of all frames, once or twice.
            timestep, prompt_embeds, added: As the UNet is given them.
        """
        total = Residuals()
        for index, (part, held) in enumerate(zip(self.parts, shown, strict=True)):
            dtype = self._dtypes[index]
            weight = weights[index].to(dtype)
            held = tuple(_rows(each, len(latents)) for each in held)
            if part.is_adapter:
                total = _summed(total, Residuals(tuple(each * weight for each in held)))
                continue
            skips, middle = part.network(
                latents.to(dtype),
                timestep,
                encoder_hidden_states=prompt_embeds,
                controlnet_cond=held[0],
                added_cond_kwargs=added,
                return_dict=False,
            )
            weighted = tuple(skip * weight for skip in skips)
            total = _summed(total, Residuals((), weighted, middle * weight))
        return total

    def _hint(self, kind: str, image: Tensor) -> Tensor:
        if kind == DEPTH:
            assert self._depth is not None
            return self._depth(image)
        return HINTS[kind](image)

    def _seen(self, part: StructurePart, hint: Tensor) -> tuple[Tensor, ...]:
        if not part.is_adapter:
            return (hint,)
        if part.network.config.in_channels == 1:
            hint = hint[:, :1]
        return tuple(part.network(hint))


def structure_weights(
    structure: Structure | None, style: Style, device: torch.device
) -> Tensor | None:
    """How much each network counts in a style; ``None`` without any."""
    return None if structure is None else structure.weights(style.structure_weight, device)


def residuals_of(
    structure: Structure | None,
    features: Features | None,
    weights: Tensor | None,
    given: tuple[Tensor, Tensor, Tensor],
    added: dict[str, Tensor] | None,
) -> tuple[Residuals, ...]:
    """What is to be added in a call of the UNet, if anything; `given` is as it is called."""
    if structure is None or weights is None or not isinstance(features, tuple):
        return ()
    return (structure.residuals(features, weights, *given, added),)


def _rows(each: Tensor, rows: int) -> Tensor:
    """The same for all frames once, or twice where guidance calls for it."""
    return each if len(each) == rows else torch.cat([each] * (rows // len(each)))


def _summed(one: Residuals, other: Residuals) -> Residuals:
    def both(some: tuple[Tensor, ...], more: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if not (some and more):
            return some or more
        return tuple(a + b for a, b in zip(some, more, strict=True))

    middle = one.middle if other.middle is None else other.middle
    if one.middle is not None and other.middle is not None:
        middle = one.middle + other.middle
    return Residuals(both(one.inner, other.inner), both(one.skips, other.skips), middle)
