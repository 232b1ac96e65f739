"""Engine: paints one frame by a latent consistency model, image in, image out.

    data ──to_image──► image ──encode──► latents ──denoise──► latents ──decode──► image ──to_data──►

The plain path: every fast path is held against it. It follows diffusers' own pipeline number for
number (tests/models/test_parity.py) without its per-call host syncs. It knows no time, no thread.
"""

import logging
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import pixels
from models.carried_noise import fixed_noise
from models.conditioning import (
    Conditioning,
    PromptEncoder,
    below,
    guidance_embedding,
    guided,
    mix,
    mix_pooled,
)
from models.errors import explained_memory_errors
from models.image_encoder import ImageEncoder, encode_images
from models.networks import Networks
from models.notes import Detail
from models.painter import LoraSwitch, Painter, Painting
from models.plain import painted_frames
from models.prompt import parse_prompt, understood
from models.recipe import Computation
from models.schedule import Schedule, ScheduleConfig, add_noise, consistency, make_schedule
from models.structure import Features, Structure, residuals_of, structure_weights
from models.style import Style
from models.temporal import Remembered
from models.unet_conditions import UNetConditions

logger = logging.getLogger(__name__)

Size = tuple[int, int]


class Engine:
    """A loaded model. Not thread-safe: load it, warm it up and call it in one thread.

    *Image* is float32 (B, 3, H, W) in [-1, 1], *latents* float32 (B, C, h, w), scaled as the UNet
    wants them; both on `device`. `dtype` is what the networks compute in. Tensors that come out
    were made in inference mode: change them by functions, not in place, outside of it.

    Attributes:
        name: What it was loaded by.
        device, dtype: Where and in what the networks compute.
        default_style: How this model likes to be used.
        native_size: Short side in px that it was trained for.
        size_multiple: The sides of an image must be multiples of it.
        notes: What it runs on, what was assumed, raised or ignored, each sentence once; it grows.
        networks: The three calls of a frame; a fast path puts others here.
        output_scale: Side of a painted picture over the frame's.
        carries_noise: Whether strokes follow the noise (`models.moved_noise`).
        painter: What paints whole frames; ``None`` where the networks are called one by one.
        side_by_side: What paints several whole frames at a time, each for longer, if anything.
        revision: How often its weights were changed: what was encoded before is out of date.
        prompt_encoder: Text to embeddings.
        looks: What it can be asked for, where that is not everything; () where prompts are free.
        schedule_config: The noise process that the model was trained on.
        frame_is_scaled: Whether a UNet sees the frame's latents scaled (not instruct-pix2pix's).
        no_prompt_is_zeros: Whether guidance leads away from zeros instead of the empty prompt.
        activation_ranges: What its convolutions are fed, where that was measured; else {}.
        computation: How frames are computed; part of the recipe (`models.recipe`).
        image_encoder: Reads the pictures of a style; ``None`` without an IP-Adapter.
        structure: Holds paintings to their frames' edges and the like, if anything.
        loras: Those that a style may switch, if any.
    """

    def __init__(
        self,
        networks: Networks,
        prompt_encoder: PromptEncoder,
        schedule_config: ScheduleConfig,
        *,
        name: str,
        device: torch.device,
        dtype: torch.dtype,
        default_style: Style,
        native_size: int,
        frame_is_scaled: bool = True,
        no_prompt_is_zeros: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.networks = networks
        self.painter: Painter | None = None
        self.side_by_side: Painter | None = None
        self.revision = 0
        self.prompt_encoder = prompt_encoder
        self.looks: tuple[str, ...] = ()
        self.schedule_config = schedule_config
        self.name, self.device, self.dtype = name, device, dtype
        self.default_style, self.native_size = default_style, native_size
        self.size_multiple = networks.size_multiple
        self.output_scale = networks.output_scale
        self.carries_noise = networks.stem is not None
        self.frame_is_scaled, self.no_prompt_is_zeros = frame_is_scaled, no_prompt_is_zeros
        self.activation_ranges: Mapping[str, NDArray[np.float32]] = {}
        self.computation = Computation(f"plain, {dtype}")
        self.notes: list[str] = []
        self.image_encoder: ImageEncoder | None = None
        self.structure: Structure | None = None
        self.loras: LoraSwitch | None = None
        self._conditions = UNetConditions(networks, device)
        for note in notes:
            self.note(note)

    def latent_shape(self, size: Size) -> tuple[int, int, int]:
        """(C, h, w) of the latents of an image of size (width, height).

        Raises:
            ValueError: A side is not a multiple of `size_multiple`.
        """
        width, height = size
        if any(side <= 0 or side % self.size_multiple for side in size):
            raise ValueError(f"got size={size}, expected multiples of {self.size_multiple}")
        factor = self.networks.spatial_factor
        return self.networks.latent_channels, height // factor, width // factor

    def schedule(self, style: Style) -> Schedule:
        """The steps of a style; a strength too small for one is raised and noted."""
        schedule = make_schedule(
            self.schedule_config, style.num_inference_steps, style.strength, self.device
        )
        if schedule.note is not None:
            self.note(schedule.note)
        return schedule

    @torch.inference_mode()
    def noise(self, style: Style, size: Size) -> Tensor:
        """The fixed noise of a style, (num_inference_steps, C, h, w): the same on every device."""
        shape, steps = self.latent_shape(size), style.num_inference_steps
        return fixed_noise(style.seed, steps, shape).to(self.device)

    @torch.inference_mode()
    def encode_prompt(self, style: Style) -> Conditioning:
        """Embed a style's prompt and guidance; once a style, not per frame.

        Raises:
            ValueError: The weights in the prompt make no sense, or pictures are asked for of an
                engine without an image encoder.
        """
        encode, revision = self.prompt_encoder.encode, self.revision
        asked = parse_prompt(style.prompt)
        read = [(part.weight, *understood(part.text, self.looks)) for part in asked]
        parts = [(weight, encode(text, revision)) for weight, text, _ in read]
        pooled = [(weight, text.text_embeds) for weight, text in parts]
        notes = tuple(note for _, text in parts for note in text.notes)
        notes += tuple(sentence for *_, sentence in read if sentence is not None)
        states = mix([(w, t.prompt_embeds) for w, t in parts]).to(self.device, self.dtype)
        text_embeds = mix_pooled(pooled, self.device, self.dtype)
        timestep_cond: Tensor | None = None
        guidance_scale, stem = None, self.networks.stem
        # an LCM-LoRA's, as diffusers' pipelines do
        is_guided_twice = self.schedule_config.rule == "lcm" and not self.networks.sees_frame
        if self.networks.guidance_width is not None:
            timestep_cond = guidance_embedding(style.guidance_scale, self.networks.guidance_width)
            timestep_cond = timestep_cond.to(self.device, self.dtype)
        elif style.guidance_scale != 1 and is_guided_twice:
            guidance_scale = style.guidance_scale
            empty, zeros = encode("", revision), self.no_prompt_is_zeros
            states = below(empty.prompt_embeds, states, zeros)
            if text_embeds is not None and empty.text_embeds is not None:
                text_embeds = below(empty.text_embeds, text_embeds, zeros)
        elif style.guidance_scale != 1:
            notes += (f"guidance_scale {style.guidance_scale:g} is ignored: this model takes none",)
        images = encode_images(self.image_encoder, style, states, self.name)
        for note in notes:
            self.note(note)
        return Conditioning(
            prompt_embeds=states,
            text_embeds=text_embeds,
            timestep_cond=timestep_cond,
            notes=notes,
            guidance_scale=guidance_scale,
            stem=None if stem is None else stem.conditioning(states[-1:]),
            image_tokens=None if images is None else images[0],
            image_weights=None if images is None else images[1],
            structure_weights=structure_weights(self.structure, style, self.device),
        )

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """The image's latents: the mode of the posterior, never a sample."""
        self.latent_shape((image.shape[-1], image.shape[-2]))
        with explained_memory_errors(self.device):
            return self.networks.encode(image)

    @torch.inference_mode()
    def denoise(
        self,
        latents: Tensor,
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        frame_latents: Tensor | None = None,
        features: Features | None = None,
    ) -> Tensor:
        """Noise the latents to the first timestep and paint them back in LCM steps.

        Args:
            latents: (B, C, h, w), where the painting starts.
            noise: (steps or more, C, h, w), or (steps, B, C, h, w) where each frame has its own.
            conditioning, schedule: From `encode_prompt` and `schedule`.
            frame_latents: The frame's own, for a UNet that sees them too; `latents` by default.
            features: From `features`, for a model with a stem or structure networks.
        """
        batch, _, height, width = latents.shape
        factor = self.networks.spatial_factor
        frame = latents if frame_latents is None else frame_latents
        added = self.added(conditioning, (width * factor, height * factor), batch=batch)
        timestep_cond = self.timestep_cond(conditioning, schedule)
        prompt_embeds = self._conditions.repeat(conditioning.prompt_embeds, batch)
        guidance_scale = conditioning.guidance_scale
        denoised = latents
        with explained_memory_errors(self.device):
            for index, step in enumerate(schedule.steps):
                z_t = add_noise(denoised, noise[index], step)
                frame = self.repainted(frame, denoised) if index == 1 else frame
                seen = [self.seen(z_t, frame, features)] * (1 if guidance_scale is None else 2)
                given = torch.cat(seen), schedule.timesteps[index : index + 1], prompt_embeds
                held = self.structure, features, conditioning.structure_weights
                residuals = residuals_of(*held, given, added)
                prediction = self.networks.predict(*given, timestep_cond, added, *residuals)
                if guidance_scale is not None:
                    prediction = guided(prediction, guidance_scale)
                denoised = consistency(self.completed(prediction, frame), z_t, step, schedule)
        return denoised

    @torch.inference_mode()
    def features(self, image: Tensor, noise: Tensor, conditioning: Conditioning) -> Features | None:
        """What a stem or structure networks show the UNet of an image; ``None`` for most models."""
        if self.structure is not None:
            with explained_memory_errors(self.device):
                return self.structure.shown(image)
        stem = self.networks.stem
        if stem is None or conditioning.stem is None:
            return None
        with explained_memory_errors(self.device):
            return stem(image, noise[0], conditioning.stem)

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """The image of latents; values may pass [-1, 1] a little (`to_data` clamps)."""
        with explained_memory_errors(self.device):
            return self.networks.decode(latents)

    @property
    def cell_sizes(self) -> tuple[int, ...]:
        """Pixels a latent cell, a side, that pictures can have (`Networks.cell_sizes`)."""
        return self.networks.cell_sizes[-1:] if self.painter else self.networks.cell_sizes

    @torch.inference_mode()
    def picture(self, latents: Tensor, cell_px: int | None = None) -> NDArray[np.uint8]:
        """uint8 RGB (H, W, 3) of latents (1, C, h, w): `to_data` of `decode`, or a smaller one."""
        with explained_memory_errors(self.device):
            return self.networks.picture(latents, cell_px)

    def paint(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
    ) -> NDArray[np.uint8]:
        """Paint a frame, or several, each for itself: uint8 RGB in, uint8 RGB out.

        What comes out has `output_scale` times the sides of what goes in. It is what `to_image`,
        `encode`, `denoise`, `decode` and `to_data` give, by the fastest way that there is.

        Args:
            data: (H, W, 3), or (B, H, W, 3).
            noise, conditioning, schedule: As `denoise` takes them; replace them, write not to them.

        Raises:
            ValueError: The size is no multiple of `size_multiple`.
            ModelMemoryError: The device has too little memory for this size.
        """
        return self.begin(data, noise, conditioning, schedule)()

    def begin(
        self,
        data: NDArray[np.uint8],
        noise: Tensor,
        conditioning: Conditioning,
        schedule: Schedule,
        *,
        ahead: bool = False,
        cell_px: int | None = None,
        remembered: Remembered | None = None,
    ) -> Painting:
        """Start what `paint` does, and return at once where a GPU works by itself.

        What comes back gives the picture, whenever it is called. `data` is free to be written to.

        Args:
            ahead: Frames will be begun before earlier pictures are asked for: return at once.
            cell_px: One of `cell_sizes`, for a smaller picture; ``None`` is the last.
            remembered: The memory of the frames' stream, for stability; frames come in order.
        """
        given, painter = (noise, conditioning, schedule), self.painter
        if ahead and painter is None and data.ndim == 3 and remembered is None:
            painter = self.side_by_side
        with explained_memory_errors(self.device):
            if painter is not None:
                return painter.begin(data, *given, cell_px=cell_px, remembered=remembered)
            frames = data if data.ndim == 4 else data[None]
            painted = painted_frames(self, frames, *given, remembered, cell_px)
        return lambda: np.stack(painted) if data.ndim == 4 else painted[0]

    def close(self) -> None:
        """End what runs beside the engine (a compiler); it paints on. May be called again."""
        for painter in filter(None, (self.painter, self.side_by_side)):
            painter.close()

    def in_flight(self, ahead: bool = False) -> int:
        """How many frames are worth having on their way: 0 where `begin` paints them itself."""
        painter = self.painter or (self.side_by_side if ahead else None)
        return 0 if painter is None else painter.in_flight

    @torch.inference_mode()
    def to_image(self, data: NDArray[np.uint8]) -> Tensor:
        """uint8 RGB (H, W, 3) -> image (1, 3, H, W) on the device; one upload, of bytes."""
        return pixels.to_image(data, self.device)

    @torch.inference_mode()
    def to_data(self, image: Tensor) -> NDArray[np.uint8]:
        """image (1, 3, H, W) -> uint8 RGB (H, W, 3) on the host; rounded, clamped, one download."""
        return pixels.to_data(image)

    def warm_up(
        self, size: Size, batch: int = 1, *, ahead: bool = False, cell_px: int | None = None
    ) -> None:
        """Run whole frames of size (width, height), so that the first real ones are no slower.

        Args:
            batch: How many will be painted in one call.
            ahead, cell_px: As `begin` will be told.

        Raises:
            ModelMemoryError: The device has too little memory for this size.
        """
        style = self.default_style
        with explained_memory_errors(self.device):
            shape = size[1], size[0], 3
            data = np.zeros(shape if batch == 1 else (batch, *shape), dtype=np.uint8)
            given = self.noise(style, size), self.encode_prompt(style), self.schedule(style)
        count = max(1, self.in_flight(ahead)) if batch == 1 else 1
        asked = [self.begin(data, *given, ahead=ahead, cell_px=cell_px) for _ in range(count)]
        for painting in asked:
            painting()

    def seen(self, z_t: Tensor, frame: Tensor, features: Features | None = None) -> Tensor:
        """What the UNet sees: z_t, with the frame's latents and features where it takes them."""
        if not self.networks.sees_frame:
            return z_t
        frame = frame if self.frame_is_scaled else self.networks.unscale(frame)
        return torch.cat([z_t, frame, *([features] if isinstance(features, Tensor) else [])], 1)

    def completed(self, prediction: Tensor, frame: Tensor) -> Tensor:
        """What was predicted, with the frame's latents where the UNet only adds to them."""
        stem = self.networks.stem
        return prediction + frame if stem is not None and stem.adds_frame else prediction

    def repainted(self, frame: Tensor, denoised: Tensor) -> Tensor:
        """The frame's latents as the steps after the first see them: with what that one made."""
        share = self.schedule_config.self_conditioning
        return torch.lerp(frame, denoised, share) if share else frame

    def added(
        self, conditioning: Conditioning, size: Size, *, batch: int
    ) -> dict[str, Tensor] | None:
        """As `UNetConditions.added`."""
        return self._conditions.added(conditioning, size, self.dtype, batch=batch)

    def timestep_cond(self, conditioning: Conditioning, schedule: Schedule) -> Tensor | None:
        """As `UNetConditions.timestep_cond`."""
        first = schedule.steps[0].timestep
        return self._conditions.timestep_cond(conditioning, first, self.dtype)

    def note(self, sentence: str, level: int = logging.WARNING) -> None:
        """Add a sentence to `notes` and log it, the first time that it is said."""
        if sentence not in self.notes:
            self.notes.append(Detail(sentence) if level == logging.INFO else sentence)
            logger.log(level, "%s: %s", self.name, sentence)
