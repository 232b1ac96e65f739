"""The bundled model's parts called one by one, so that they can be looked at and swapped.

The engine (`models.load_engine`) is what users call; it has no door for somebody else's latents or
for fields that are withheld. Sheets of a run that is still going, and the swap tests that show
which part paints, need both. The mathematics is the engine's: `models.schedule`.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from models.autoencoder import AutoencoderPatch
from models.conditioning import sinusoidal_embedding
from models.fields import KINDS, PLANES, CarriedFields, noise_plane
from models.schedule import ScheduleConfig, add_noise, consistency, make_schedule
from models.stem import Stem
from models.training.batches import to_latent_noise
from models.training.denoiser import STRENGTH_WIDTH
from models.training.looks import SCHEDULER, to_images, to_latents
from models.training.text import tokenize

CARRIED_CHANNELS = 16
"""The channels of the latents' noise that are carried as one plane (`models.fields`)."""


@dataclass(frozen=True, slots=True)
class Look:
    """An encoded prompt: states (1, tokens, width), the stem's style (1, N), marks (1, kinds)."""

    states: Tensor
    style: Tensor
    marks: Tensor


@dataclass(slots=True)
class Painter:
    """The networks of a model with a stem."""

    unet: UNet2DConditionModel
    stem: Stem
    autoencoder: AutoencoderPatch
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    schedule: ScheduleConfig
    _looks: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, text: Path | None = None) -> "Painter":
        """A model folder, or a run's: its text encoder is then in `text`."""
        words = text or folder
        config = folder / "scheduler" / "scheduler_config.json"
        read = json.loads(config.read_text()) if config.is_file() else SCHEDULER
        networks = (
            UNet2DConditionModel.from_pretrained(folder / "unet"),
            Stem.from_pretrained(folder / "stem"),
            AutoencoderPatch.from_pretrained(folder / "vae"),
        )
        for network in networks:
            network.float().eval().requires_grad_(False).to(memory_format=torch.channels_last)
        return cls(
            *networks,
            CLIPTokenizer.from_pretrained(words / "tokenizer"),
            CLIPTextModel.from_pretrained(words / "text_encoder").float().eval(),
            ScheduleConfig.from_config(read),
        )

    @torch.no_grad()
    def look(self, prompt: str) -> Look:
        if prompt not in self._looks:
            states = self.text_encoder(tokenize(self.tokenizer, [prompt])).last_hidden_state
            self._looks[prompt] = Look(states, self.stem.style(states), self.stem.marks(states))
        return self._looks[prompt]

    def noise(self, seed: int, size: tuple[int, int], steps: int = 1) -> Tensor:
        """The noise of a seed for a frame of (width, height): (steps, C, h, w)."""
        generator = torch.Generator().manual_seed(seed)
        shape = int(self.autoencoder.config.latent_channels), size[1] // 8, size[0] // 8
        return torch.stack([torch.randn(shape, generator=generator) for _ in range(steps)])

    def carrying(self, carried: Tensor, seed: int = 0, steps: int = 1) -> Tensor:
        """Noise (steps, C, h, w) whose first step carries a given (1, 16, h, w)."""
        generator = torch.Generator().manual_seed(seed)
        channels = int(self.autoencoder.config.latent_channels)
        first = to_latent_noise(noise_plane(carried), channels, generator)
        others = torch.randn(steps - 1, *first.shape[1:], generator=generator)
        return torch.cat([first, others])

    @torch.no_grad()
    def planes(self, image: Tensor, look: Look, noise: Tensor) -> Tensor:
        """The carried fields (B, P, H/2, W/2) that a look wants."""
        active = [index for index in range(len(KINDS)) if look.marks[0, index] > 0]
        plane = noise_plane(noise[:1, :CARRIED_CHANNELS]).expand(len(image), -1, -1, -1)
        fields = CarriedFields([KINDS[index] for index in active])
        made: Tensor = fields(image, plane, look.marks[:, active].expand(len(image), -1))
        return made

    def no_planes(self, image: Tensor) -> Tensor:
        batch, _, height, width = image.shape
        return image.new_zeros(batch, PLANES, height // 2, width // 2)

    @torch.no_grad()
    def latents(
        self,
        image: Tensor,
        look: Look,
        noise: Tensor,
        *,
        strength: float = 0.6,
        planes: Tensor | None = None,
    ) -> Tensor:
        """The painting's latents of images (B, 3, H, W), in as many steps as there is noise.

        Args:
            planes: In place of the fields that the look wants.
        """
        frame = self.encode(image)
        planes = self.planes(image, look, noise) if planes is None else planes
        batch = len(image)
        features = self.stem(image, planes, look.style.expand(batch, -1))
        schedule = make_schedule(self.schedule, len(noise), strength)
        first = torch.tensor([schedule.steps[0].timestep] * batch)
        cond = sinusoidal_embedding(first, STRENGTH_WIDTH)
        x = frame
        for index, step in enumerate(schedule.steps):
            z = add_noise(x, noise[index], step)
            prediction = self.unet(
                torch.cat([z, frame, features], 1),
                schedule.timesteps[index],
                encoder_hidden_states=look.states.expand(batch, -1, -1),
                timestep_cond=cond,
            ).sample
            x = consistency(frame + prediction, z, step, schedule)
        return x

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """Image -> latents as the UNet sees them."""
        return to_latents(self.autoencoder, image)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents -> image of twice the frame's sides, in [-1, 1]."""
        return to_images(self.autoencoder, latents).clamp(-1, 1)

    def paint(self, image: Tensor, prompt: str, noise: Tensor, *, strength: float = 0.6) -> Tensor:
        """Images (B, 3, H, W) -> paintings (B, 3, 2 H, 2 W)."""
        return self.decode(self.latents(image, self.look(prompt), noise, strength=strength))
