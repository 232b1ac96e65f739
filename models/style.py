"""Style: what the user asks of the picture. Plain data; imports nothing heavy."""

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.prompt import parse_prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_IMAGE_WEIGHT = 2.0
MOST_STRUCTURE_WEIGHT = 2.0
MOST_LORA_WEIGHT = 4.0
NO_LORAS = "none"
"""What `Style.loras` says for none of them."""


class StyleImage:
    """A picture to paint in the manner of; two of the same pixels, name and weight are equal.

    Args:
        data: uint8 RGB (H, W, 3); write not to it.
        name: What `Style.image_mix` calls it.
        weight: How much it counts, 0 to 2; 1 is as its adapter was trained.

    Raises:
        ValueError: The weight is outside its range.
    """

    __slots__ = ("data", "digest", "name", "weight")

    def __init__(self, data: "NDArray[np.uint8]", name: str, weight: float = 1.0) -> None:
        if not 0 <= weight <= MOST_IMAGE_WEIGHT:
            raise ValueError(
                f"got weight {weight:g} of {name}, expected 0 to {MOST_IMAGE_WEIGHT:g}"
            )
        self.data, self.name, self.weight = data, name, weight
        self.digest = hashlib.sha256(repr(data.shape).encode() + data.tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StyleImage) and self._told == other._told

    def __hash__(self) -> int:
        return hash(self._told)

    def __repr__(self) -> str:
        return f"<StyleImage {self.name} {self.digest[:16]} weight={self.weight:g}>"

    @property
    def _told(self) -> tuple[str, str, float]:
        return self.name, self.digest, self.weight


@dataclass(frozen=True, slots=True)
class Style:
    """What to paint and how far to go. Immutable: a live change replaces it whole.

    Attributes:
        prompt: Text. ``""`` asks for the photograph itself. Several weighted prompts are written
            ``"oil painting:0.7 | neon:0.3"``; their embeddings are mixed.
        strength: How far from the frame, in (0, 1]; the share of the noise schedule that the
            frame is pushed up before it is painted back (SDEdit, arXiv 2108.01073).
        num_inference_steps: LCM steps, 1 to 8.
        guidance_scale: w of classifier-free guidance, >= 1: full LCMs take it as an embedding of
            w - 1 (arXiv 2310.04378, section 4.3), models with an LCM-LoRA at the cost of a second
            call of the UNet (1 to 2 suits them); the others ignore it.
        seed: Of the fixed noise, >= 0.
        images: Pictures to paint in the manner of, for an engine with an image encoder.
        image_weight: Factor on the weights of all of them, 0 to 2.
        image_mix: Which of them count and how much, by name, as in ``"ink:0.7 | sea:0.3"``; such
            weights are scaled to sum 1. ``""`` takes each with its own weight. Without pictures it
            says nothing.
        structure_weight: Factor on the weights of all structure networks, 0 to 2.
        loras: Which of the engine's switchable LoRAs are on, by name, as in ``"ink:0.7 | sea"``,
            without one at its own weight; ``""`` all as they were loaded, ``"none"`` none. Where
            none can be switched it says nothing.
        lora_names: Those that can be switched.

    Raises:
        ValueError: A value is outside its range (the message has got and expected).
    """

    prompt: str = ""
    strength: float = 0.6
    num_inference_steps: int = 1
    guidance_scale: float = 1.0
    seed: int = 0
    images: tuple[StyleImage, ...] = ()
    image_weight: float = 1.0
    image_mix: str = ""
    structure_weight: float = 1.0
    loras: str = ""
    lora_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ValueError(f"got strength={self.strength}, expected (0, 1]")
        if not 1 <= self.num_inference_steps <= 8:
            raise ValueError(f"got num_inference_steps={self.num_inference_steps}, expected 1 to 8")
        if not 1 <= self.guidance_scale <= 30:
            raise ValueError(f"got guidance_scale={self.guidance_scale}, expected 1 to 30")
        if self.seed < 0:
            raise ValueError(f"got seed={self.seed}, expected 0 or more")
        if not 0 <= self.image_weight <= MOST_IMAGE_WEIGHT:
            raise ValueError(
                f"got image_weight={self.image_weight}, expected 0 to {MOST_IMAGE_WEIGHT:g}"
            )
        if not 0 <= self.structure_weight <= MOST_STRUCTURE_WEIGHT:
            most = f"{MOST_STRUCTURE_WEIGHT:g}"
            raise ValueError(f"got structure_weight={self.structure_weight}, expected 0 to {most}")
        self._check_images()
        unknown = {name for name, _ in parse_loras(self.loras)} - set(self.lora_names)
        if self.lora_names and unknown:
            known = ", ".join(self.lora_names)
            raise ValueError(f"got loras={self.loras!r}, expected names of {known}, or {NO_LORAS}")

    @property
    def image_weights(self) -> tuple[float, ...]:
        """How much each of `images` counts."""
        if not self.image_mix:
            return tuple(self.image_weight * image.weight for image in self.images)
        asked = {part.text: part.weight for part in parse_prompt(self.image_mix)}
        return tuple(self.image_weight * asked.get(image.name, 0.0) for image in self.images)

    def _check_images(self) -> None:
        names = [image.name for image in self.images]
        if len(set(names)) < len(names):
            raise ValueError(f"got images named {', '.join(names)}, expected each name once")
        asked = [part.text for part in parse_prompt(self.image_mix)] if self.image_mix else []
        if names and not set(asked) <= set(names):
            known = ", ".join(names)
            raise ValueError(f"got image_mix={self.image_mix!r}, expected names of {known}")


def parse_loras(text: str) -> tuple[tuple[str, float | None], ...]:
    """Split ``"ink:0.7 | sea"`` into names and weights, ``None`` where there is no weight.

    Weights are not scaled; a weight may be negative. ``""`` and ``"none"`` are none.

    Raises:
        ValueError: A weight is not between -4 and 4.
    """
    found: list[tuple[str, float | None]] = []
    for part in text.split("|"):
        name, colon, number = part.rpartition(":")
        weight: float | None = None
        try:
            weight = float(number) if colon else None
        except ValueError:
            name, colon = part, ""
        if weight is not None and not (math.isfinite(weight) and abs(weight) <= MOST_LORA_WEIGHT):
            raise ValueError(
                f"got loras={text!r}, expected weights of -{MOST_LORA_WEIGHT:g} to "
                f"{MOST_LORA_WEIGHT:g}"
            )
        found.append(((name if colon else part).strip(), weight))
    if text.strip() == NO_LORAS:
        return ()
    return tuple((name, weight) for name, weight in found if name)
