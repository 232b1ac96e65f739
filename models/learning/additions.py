"""Low-rank additions to the layers of a few networks: what is learned, averaged and saved.

W + up @ down for every linear and convolution (arXiv 2106.09685), taken into the weights before
each call: these networks are small, and so a step costs what training the whole of them would.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class Additions:
    """The additions; at first they change nothing.

    Args:
        networks: By the names that a LoRA file has for them ("unet", "stem", "vae").
        rank: Of each, at most: small layers have less.
        takes: Whether a layer gets one, by network and name.
        seed: Of the first weights.

    Attributes:
        down, up: By "network.layer": (rank, inputs) and (outputs, rank).
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        rank: int,
        seed: int,
        takes: Callable[[str, str], bool] = lambda network, layer: True,
    ) -> None:
        random = torch.Generator().manual_seed(seed)
        self._bases: dict[str, dict[str, Tensor]] = {}
        self.down: dict[str, Tensor] = {}
        self.up: dict[str, Tensor] = {}
        for role, network in networks.items():
            bases = self._bases[role] = {}
            for name, layer in network.named_modules():
                if isinstance(layer, nn.Linear | nn.Conv2d) and takes(role, name):
                    weight = layer.weight.detach()
                    bases[name] = weight
                    outputs, inputs = len(weight), weight[0].numel()
                    own = min(rank, outputs, inputs)
                    key = f"{role}.{name}"
                    self.down[key] = torch.randn(own, inputs, generator=random) / inputs**0.5
                    self.up[key] = torch.zeros(outputs, own)

    def parameters(self) -> list[Tensor]:
        """All that is learned."""
        return [*self.down.values(), *self.up.values()]

    def require_grad(self) -> None:
        for parameter in self.parameters():
            parameter.requires_grad_()

    def copy(self) -> "Additions":
        """The same numbers, on their own, without gradients."""
        other = object.__new__(Additions)
        other._bases = self._bases
        other.down = {key: value.detach().clone() for key, value in self.down.items()}
        other.up = {key: value.detach().clone() for key, value in self.up.items()}
        return other

    @torch.no_grad()
    def follow(self, other: "Additions", decay: float) -> None:
        """self <- decay * self + (1 - decay) * other."""
        for mine, theirs in zip(self.parameters(), other.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)

    def weights(self, role: str, prefix: str = "") -> dict[str, Tensor]:
        """A network's changed weights by parameter, for `torch.func.functional_call`."""
        return {
            f"{prefix}{name}.weight": base + (self.up[key] @ self.down[key]).view_as(base)
            for name, base in self._bases[role].items()
            for key in (f"{role}.{name}",)
        }

    def tensors(self) -> dict[str, Tensor]:
        """As a LoRA file has them, in diffusers' layout and half precision."""
        tensors = {}
        for role, bases in self._bases.items():
            for name, base in bases.items():
                key = f"{role}.{name}"
                down = self.down[key].detach().view(-1, *base.shape[1:])
                up = self.up[key].detach()
                tensors[f"{key}.lora_A.weight"] = down.half().contiguous()
                tensors[f"{key}.lora_B.weight"] = (
                    up.view(*up.shape, *[1] * (base.ndim - 2)).half().contiguous()
                )
        return tensors
