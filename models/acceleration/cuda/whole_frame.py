"""A whole frame, bytes to bytes, as one function over fixed buffers.

    data ──Opening──► latents ──noise, UNet body, step by step──► latents ──Closing──► data

All that a frame reads lies in tensors that never move: another prompt, strength, guidance or seed
is copied into the same memory. So what was captured of the function once (`graphs.py`) holds for
every style of as many steps. The three networks come in as `Parts`, which may be replaced by the
same made faster. Where streams are remembered (`models.temporal`), the memory of the stream whose
turn it is lies in such tensors too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from models.acceleration.split_predictor import SplitPredictor
from models.carried_noise import StemConditioning
from models.conditioning import Conditioning, for_batch, guided
from models.engine import Engine
from models.schedule import Schedule, add_noise, consistency
from models.steps import Step
from models.structure import Features
from models.temporal import COUNT, Memory, blended, looked, noise_of, remembering_of

Shape = tuple[int, int, int]
"""(batch, height, width) of frames."""

Form = tuple[int, int, int, tuple[str, ...], tuple[int, ...]]
"""Steps, tokens, calls of the UNet in one (2 with guidance, else 1), kinds of marks, and the shape
of the style pictures' tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """What frames are painted by beside their pixels; as `Engine.denoise` takes them."""

    noise: Tensor
    conditioning: Conditioning
    schedule: Schedule

    def is_same(self, other: "Recipe") -> bool:
        """Whether it is made of the same objects: styles are replaced whole, never written to."""
        return (
            self.noise is other.noise
            and self.conditioning is other.conditioning
            and self.schedule is other.schedule
        )

    @property
    def form(self) -> "Form":
        """What must be equal for two recipes to share buffers."""
        rows, tokens, _ = self.conditioning.prompt_embeds.shape
        stem = self.conditioning.stem
        kinds = () if stem is None else stem.kinds
        images = self.conditioning.image_tokens
        shown = () if images is None else tuple(images.shape)
        return self.schedule.num_inference_steps, tokens, rows, kinds, shown


class Opening(nn.Module):
    """uint8 data (B, H, W, 3) -> scaled latents (B, C, h, w), float32.

    Args:
        encode: `Networks.encode`.
    """

    def __init__(self, encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.encode = encode

    def forward(self, data: Tensor) -> Tensor:
        return self.encode(data.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


class Closing(nn.Module):
    """Scaled latents (B, C, h, w) -> uint8 data (B, H, W, 3), rounded and clamped.

    Args:
        decode: `Networks.decode`.
    """

    def __init__(self, decode: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.decode = decode

    def forward(self, latents: Tensor) -> Tensor:
        pixels = ((self.decode(latents) + 1) * 127.5).round().clamp(0, 255)
        return pixels.permute(0, 2, 3, 1).to(torch.uint8).contiguous()


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The networks of a frame: an `Opening`, a `UNetBody`, a `Closing`, or what equals them."""

    opening: Callable[..., Tensor]
    body: Callable[..., Tensor]
    closing: Callable[..., Tensor]


def make_parts(engine: Engine) -> Parts:
    """The networks of an engine whose UNet is split.

    Raises:
        ValueError: Its UNet is whole.
    """
    networks = engine.networks
    body = _split(engine).body
    return Parts(Opening(networks.encode), body, Closing(networks.decode))


class FrameFunction:
    """Paints the frames in `data` into `output`; both uint8 RGB (B, H, W, 3) on the device.

    Not thread-safe.

    Args:
        engine: Its UNet must be split (`models.acceleration.rewrites.split`).
        shape: (batch, height, width) of the frames.
        recipe: The first one; later ones (`adopt`) must be of the same form.
        parts: What computes; ``None`` takes the engine's own networks.
        memory: Where a stream's memory lies, on the device; ``None`` paints each frame for itself.

    Raises:
        ValueError: The engine's UNet is whole, or the size is no multiple of its `size_multiple`.
    """

    def __init__(
        self,
        engine: Engine,
        shape: Shape,
        recipe: Recipe,
        parts: Parts | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.parts = parts or make_parts(engine)
        self.shape = shape
        self._engine = engine
        self._conditions = _split(engine).conditions
        self._size = (shape[2], shape[1])
        engine.latent_shape(self._size)
        self.data = torch.zeros((*shape, 3), dtype=torch.uint8, device=engine.device)
        batch, height, width = shape
        scale = engine.output_scale
        painted = (batch, scale * height, scale * width, 3)
        self.output = torch.zeros(painted, dtype=torch.uint8, device=engine.device)
        self.memory = memory
        self._remembering = None if memory is None else remembering_of(engine, self._size)
        # all zero: whatever is painted, the memory stays as it is
        self.rows = torch.zeros(batch, COUNT, device=engine.device)
        self._schedule = recipe.schedule
        self._form = recipe.form
        self._held = [[tensor.clone() for tensor in held] for held in self._worked_out(recipe)]
        self._scalars = _scalars(recipe.schedule).to(engine.device)
        steps, batch = recipe.schedule.num_inference_steps, shape[0]
        self._noise = _for_each(recipe.noise, steps).expand(-1, batch, -1, -1, -1).clone()
        self._guidance_scale = _guidance_scale(recipe).to(engine.device)
        self._stem = _own_copy(recipe.conditioning.stem)
        self._added_names: tuple[str, ...] = ()
        self._told = [tensor.clone() for tensor in self._structure_inputs(recipe)]
        self._adopted = recipe

    @torch.inference_mode()
    def adopt(self, recipe: Recipe) -> None:
        """Paint by another recipe from now on: copies into the same memory.

        Raises:
            ValueError: It is of another form; that is another function.
        """
        if recipe.form != self._form:
            expected = f"expected {self._form}"
            raise ValueError(
                f"got (steps, tokens, calls, kinds, pictures) {recipe.form}, {expected}"
            )
        before, self._adopted = self._adopted, recipe
        if recipe.noise is not before.noise:
            self._noise.copy_(_for_each(recipe.noise, len(self._held)))
        is_same_style = recipe.conditioning is before.conditioning
        if is_same_style and recipe.schedule is before.schedule:
            return  # the noise alone moves with the picture, from frame to frame
        for places, tensors in zip(self._held, self._worked_out(recipe), strict=True):
            for place, tensor in zip(places, tensors, strict=True):
                place.copy_(tensor)
        self._scalars.copy_(_scalars(recipe.schedule))
        asked = recipe.conditioning.stem
        if self._stem is not None and asked is not None:
            self._stem.style.copy_(asked.style)
            self._stem.weights.copy_(asked.weights)
        self._guidance_scale.copy_(_guidance_scale(recipe))
        for place, tensor in zip(self._told, self._structure_inputs(recipe), strict=True):
            place.copy_(tensor)

    @torch.inference_mode()
    def remember_nothing(self) -> None:
        """Let what is painted leave the memory as it is, until `rows` are given anew."""
        self.rows.zero_()

    @torch.inference_mode()
    def run(self) -> None:
        """Paint `data` into `output`; the host neither waits nor reads a number back."""
        parts = self.parts
        latents = frame = parts.opening(self.data)
        noise, found = self._noise, []
        if self._remembering is not None and self.memory is not None:
            found = looked(self._remembering, self._image(), self.memory, self.rows)
            noise = noise_of(self._remembering, noise, found)
        features = self._features(noise[0])
        for index, held in enumerate(self._held):
            # numbers of this step as tensors: a capture keeps where they are, not what they are
            step = Step(0, *cast(Any, self._scalars[index].unbind()))
            z_t = add_noise(latents, noise[index], step)
            frame = self._engine.repainted(frame, latents) if index == 1 else frame
            seen = self._engine.seen(z_t, frame, features)
            is_guided = self._form[2] == 2
            seen = torch.cat([seen, seen]) if is_guided else seen
            prediction = parts.body(seen, *held, **self._residuals(features, seen, index))
            if is_guided:
                prediction = guided(prediction, self._guidance_scale)
            prediction = self._engine.completed(prediction, frame)
            latents = consistency(prediction, z_t, step, self._schedule)
        painted = parts.closing(latents)
        if self._remembering is not None and self.memory is not None:
            painted = blended(self._remembering, painted, found, self.memory, self.rows)
        self.output.copy_(painted)

    def _image(self) -> Tensor:
        return self.data.permute(0, 3, 1, 2).float() / 127.5 - 1

    def _features(self, noise: Tensor) -> Features | None:
        stem, structure = self._engine.networks.stem, self._engine.structure
        if structure is not None:
            return structure.shown(self._image())
        if stem is None or self._stem is None:
            return None
        return stem(self._image(), noise, self._stem)

    def _residuals(self, features: Features | None, seen: Tensor, index: int) -> dict[str, Any]:
        """What structure networks add in a step, as the body takes it."""
        structure = self._engine.structure
        if structure is None or not isinstance(features, tuple):
            return {}
        weights, timesteps, prompt_embeds, *added = self._told
        given = dict(zip(self._added_names, added, strict=True)) or None
        step = timesteps[index : index + 1]
        return {
            "residuals": structure.residuals(features, weights, seen, step, prompt_embeds, given)
        }

    def _structure_inputs(self, recipe: Recipe) -> list[Tensor]:
        """What structure networks are given beside the frame."""
        weights = recipe.conditioning.structure_weights
        if self._engine.structure is None or weights is None:
            return []
        batch = self.shape[0]
        added = self._engine.added(recipe.conditioning, self._size, batch=batch) or {}
        self._added_names = tuple(added)
        prompt_embeds = for_batch(recipe.conditioning.prompt_embeds, batch)
        return [weights, recipe.schedule.timesteps, prompt_embeds, *added.values()]

    @property
    def held_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the tensors that the body is given beside its latents."""
        return [tuple(tensor.shape) for tensor in self._held[0]]

    @torch.inference_mode()
    def _worked_out(self, recipe: Recipe) -> Sequence[tuple[Tensor, ...]]:
        """What the body holds in each step."""
        engine, batch = self._engine, self.shape[0]
        conditioning, schedule = recipe.conditioning, recipe.schedule
        return [
            self._conditions(
                schedule.timesteps[index : index + 1],
                for_batch(conditioning.prompt_embeds, batch),
                engine.timestep_cond(conditioning, schedule),
                engine.added(conditioning, self._size, batch=batch),
            )
            for index in range(schedule.num_inference_steps)
        ]


def _scalars(schedule: Schedule) -> Tensor:
    """The numbers of the steps, (steps, 5), float32 on the host."""
    return torch.tensor([step.scalars for step in schedule.steps])


def _for_each(noise: Tensor, steps: int) -> Tensor:
    """Noise of so many steps, (steps, B or 1, C, h, w)."""
    return noise[:steps] if noise.ndim == 5 else noise[:steps, None]


def _own_copy(asked: StemConditioning | None) -> StemConditioning | None:
    """The same in memory that later styles are copied into."""
    if asked is None:
        return None
    return replace(asked, style=asked.style.clone(), weights=asked.weights.clone())


def _guidance_scale(recipe: Recipe) -> Tensor:
    return torch.tensor(recipe.conditioning.guidance_scale or 1.0)


def _split(engine: Engine) -> SplitPredictor:
    predict = engine.networks.predict
    if not isinstance(predict, SplitPredictor):
        raise ValueError("got an engine with a whole UNet, expected a split one")
    return predict
