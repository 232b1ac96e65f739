"""SplitPredictor: runs a UNet that `rewrites.py` has split in two, with either runtime."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from models.structure import Residuals


class SplitPredictor:
    """`Networks.predict` on a split UNet: conditions are worked out when they change, not before.

    A condition has changed when it is another tensor: styles are replaced whole, never written to.

    Args:
        conditions: As `models.acceleration.rewrites.Conditions` says, whatever runs it.
        body: Latents and held tensors to prediction: its `UNetBody`, or the same made faster.
        kept: How many steps' conditions are kept; a style has one a step.
    """

    def __init__(
        self, conditions: Callable[..., tuple[Tensor, ...]], body: Any, kept: int = 8
    ) -> None:
        self.conditions = conditions
        self.body = body
        self._kept = kept
        # the tensors are kept beside the key: while they live, their addresses are theirs alone
        self._known: dict[tuple[object, ...], tuple[list[Tensor], tuple[Tensor, ...]]] = {}

    def __call__(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        timestep_cond: Tensor | None = None,
        added: dict[str, Tensor] | None = None,
        residuals: Residuals | None = None,
        /,
    ) -> Tensor:
        held = self.held(timestep, prompt_embeds, timestep_cond, added)
        within = {} if residuals is None else {"residuals": residuals}
        prediction: Tensor = self.body(latents, *held, **within)
        return prediction

    def held(
        self,
        timestep: Tensor,
        prompt_embeds: Tensor,
        timestep_cond: Tensor | None,
        added: dict[str, Tensor] | None,
    ) -> tuple[Tensor, ...]:
        """What the body is held to by these conditions."""
        tensors = [timestep, prompt_embeds, *(added or {}).values()]
        tensors += [] if timestep_cond is None else [timestep_cond]
        key = tuple((tensor.data_ptr(), tensor.shape) for tensor in tensors)
        if key not in self._known:
            while len(self._known) >= self._kept:
                del self._known[next(iter(self._known))]
            held = self.conditions(timestep, prompt_embeds, timestep_cond, added)
            self._known[key] = tensors, held
        return self._known[key][1]
