"""The bundled model's networks with additions: one prediction and its picture, differentiable.

    frame ──encode──► latents ─────────────┐
    frame, planes, word ──stem──► features ┴──UNet──► painting's latents ──decode──► picture

The encoder is left as it is. Additions to the decoder sharpen marks that it never saw; it is still
told neither look nor noise, and goes on restoring photographs from their own latents.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.autoencoder import AutoencoderPatch
from models.engine import Engine
from models.errors import ModelFormatError
from models.fields import KINDS, CarriedFields
from models.learning.additions import Additions
from models.networks import LatentEncoder, Predictor
from models.stem import Stem
from models.training.batches import to_latent_noise
from models.training.denoiser import Denoiser
from models.training.looks import GRID, to_images, to_latents
from models.training.loop import autocast

FULL_PLACE = 29
"""In the grid of timesteps: from here on a look is whole (strength 0.6)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a prompt says: states (1, tokens, width), kinds of marks and how much of each (1, k)."""

    states: Tensor
    kinds: tuple[str, ...]
    weights: Tensor


class _StyledStem(nn.Module):
    """(image, planes, states) -> features: both of the stem's calls as one."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.stem = stem

    def forward(self, image: Tensor, planes: Tensor, states: Tensor) -> Tensor:
        features: Tensor = self.stem(image, planes, self.stem.style(states))
        return features


class Networks:
    """The parts of a plain engine of the bundled kind.

    Raises:
        ModelFormatError: It is of another kind.
    """

    def __init__(self, engine: Engine) -> None:
        networks: Any = engine.networks
        vae = networks.encode.vae if isinstance(networks.encode, LatentEncoder) else None
        if (
            networks.stem is None
            or not networks.stem.adds_frame
            or not isinstance(vae, AutoencoderPatch)
            or not isinstance(networks.predict, Predictor)
        ):
            raise ModelFormatError(
                f"{engine.name} sees no carried noise, so no look can be taught to it from a "
                "painted frame; use the bundled model, or one that was trained from it."
            )
        self.unet = networks.predict.unet
        self.autoencoder = vae
        self.stem = networks.stem.features.stem
        self._styled = _StyledStem(self.stem)
        self.text = engine.prompt_encoder.stages[0]
        self._denoiser = Denoiser(torch.device("cpu"))
        self.grid = torch.tensor(GRID)
        self._fields: dict[tuple[str, ...], CarriedFields] = {}
        for network in (self.unet, self.stem, vae):
            network.to(memory_format=torch.channels_last)

    @property
    def trained(self) -> dict[str, nn.Module]:
        """What gets additions, by the names of a LoRA file."""
        return {"unet": self.unet, "stem": self.stem, "vae": self.autoencoder}

    @staticmethod
    def takes(role: str, layer: str) -> bool:
        """Whether a layer gets an addition."""
        if role == "vae":
            return layer.startswith("decoder.")
        return layer != "mark_head"  # which marks the planes carry stays the text's

    @torch.no_grad()
    def asked(self, states: Tensor) -> Asked:
        """What states (1, tokens, width) ask for."""
        marks = self.stem.marks(states)
        wanted = [index for index, mark in enumerate(marks[0].tolist()) if mark > 0]
        return Asked(states, tuple(KINDS[index] for index in wanted), marks[:, wanted])

    @torch.no_grad()
    def planes(self, frame: Tensor, noise: Tensor, asked: Asked) -> Tensor:
        """Field planes (B, 4, H/2, W/2) of frames under noise (B, 1, H/2, W/2)."""
        if asked.kinds not in self._fields:
            self._fields[asked.kinds] = CarriedFields(asked.kinds)
        weights = asked.weights.expand(len(frame), -1) if asked.kinds else None
        made: Tensor = self._fields[asked.kinds](frame, noise, weights)
        return made

    @torch.no_grad()
    def encode(self, frame: Tensor) -> Tensor:
        """Latents (B, C, h, w)."""
        return to_latents(self.autoencoder, frame.contiguous(memory_format=torch.channels_last))

    def latents(
        self,
        additions: Additions | None,
        frame: Tensor,
        noise: Tensor,
        asked: Asked,
        random: torch.Generator,
        *,
        first: Tensor | None = None,
        encoded: Tensor | None = None,
        origin: Tensor | None = None,
        place: Tensor | None = None,
    ) -> Tensor:
        """The painting's latents in one step, float32 (B, C, h, w).

        Args:
            additions: ``None`` for the model as it is.
            noise: (B, 1, H/2, W/2), which is carried; the other planes of the latents' noise are
                drawn from `random`.
            first: int64 (B,), places in the grid of the first step; strength 0.6 by default.
            encoded: The frame's latents, where they are known.
            origin, place: Where later steps stand: latents that are noised anew, and their places.
        """
        batch = len(frame)
        states = asked.states.expand(batch, -1, -1)
        planes = self.planes(frame, noise, asked)
        with autocast(frame.device):
            given = frame.contiguous(memory_format=torch.channels_last), planes, states
            features = _call(self._styled, _weights(additions, "stem", "stem."), *given)
        latents = self.encode(frame) if encoded is None else encoded
        first = torch.full((batch,), FULL_PLACE) if first is None else first
        place = first if place is None else place
        drawn = to_latent_noise(noise, latents.shape[1], random)
        if origin is not None:  # a later step sees another noise than the one that is carried
            other = torch.randn(drawn.shape, generator=random)
            drawn = torch.where((place == first).view(-1, 1, 1, 1), drawn, other)
        timesteps = self.grid[place]
        z = self._denoiser.noised(latents if origin is None else origin, drawn, timesteps)
        unet: Any = _Bound(self.unet, _weights(additions, "unet"))
        return self._denoiser.clean(unet, z, latents, features, timesteps, states, self.grid[first])

    def decode(self, additions: Additions | None, latents: Tensor) -> Tensor:
        """The picture, (B, 3, 16 h, 16 w)."""
        if additions is None:
            return to_images(self.autoencoder, latents)
        config = self.autoencoder.config
        raw = latents / config.scaling_factor + config.shift_factor
        weights = _weights(additions, "vae")
        decoder = {key.removeprefix("decoder."): value for key, value in weights.items()}
        with autocast(latents.device):
            return _call(self.autoencoder.decoder, decoder, raw).float()

    @torch.no_grad()
    def paint(self, additions: Additions | None, frame: Tensor, asked: Asked, seed: int) -> Tensor:
        """A whole frame (1, 3, H, W) as the engine paints it by default: (1, 3, 2 H, 2 W)."""
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(1, 1, frame.shape[2] // 2, frame.shape[3] // 2, generator=random)
        latents = self.latents(additions, frame, noise, asked, random)
        return self.decode(additions, latents).clamp(-1, 1)


class _Bound:
    """A network that is called with other weights."""

    def __init__(self, network: nn.Module, weights: dict[str, Tensor]) -> None:
        self._network, self._weights = network, weights

    def __call__(self, *given: Any, **named: Any) -> Any:
        return functional_call(self._network, self._weights, given, named)


def _call(network: nn.Module, weights: dict[str, Tensor], *given: Tensor) -> Tensor:
    made: Tensor = functional_call(network, weights, given)
    return made


def _weights(additions: Additions | None, role: str, prefix: str = "") -> dict[str, Tensor]:
    return {} if additions is None else additions.weights(role, prefix)
