"""Style: what the user asks of the picture. Plain data; imports nothing heavy."""

from dataclasses import dataclass


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

    Raises:
        ValueError: A value is outside its range (the message has got and expected).
    """

    prompt: str = ""
    strength: float = 0.6
    num_inference_steps: int = 1
    guidance_scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ValueError(f"got strength={self.strength}, expected (0, 1]")
        if not 1 <= self.num_inference_steps <= 8:
            raise ValueError(f"got num_inference_steps={self.num_inference_steps}, expected 1 to 8")
        if not 1 <= self.guidance_scale <= 30:
            raise ValueError(f"got guidance_scale={self.guidance_scale}, expected 1 to 30")
        if self.seed < 0:
            raise ValueError(f"got seed={self.seed}, expected 0 or more")
