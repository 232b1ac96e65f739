"""LearnOptions: the options of learning, and the checks of their values. Imports nothing heavy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".safetensors"
STEPS, MINUTES = 1500, 10.0
LEAST_SIZE, MOST_SIZE = 224, 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnOptions:
    """Everything that `allaprima learn` was asked; ``None`` = as the model likes it.

    Attributes:
        frames, paintings: Pictures or folders of pictures.
        output: The LoRA file.
        prompt: The look's word; the name of the output by default.
    """

    frames: Sequence[str]
    paintings: Sequence[str]
    output: str
    prompt: str | None = None
    size: int | None = None
    steps: int = STEPS
    minutes: float = MINUTES
    seed: int = 0
    model: str = "bundled"
    offline: bool = False
    overwrite: bool = False
    quiet: bool = False

    @property
    def word(self) -> str:
        """What a prompt says for the look."""
        given = Path(self.output).stem if self.prompt is None else self.prompt
        return " ".join(given.split())

    def check(self) -> None:
        """Refuse what nothing could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        if Path(self.output).suffix.lower() != SUFFIX:
            raise ValueError(f"got output={self.output}, expected a name that ends in {SUFFIX}")
        if not self.word or set(self.word) & set(":|"):
            raise ValueError(f"got prompt={self.word!r}, expected a word or two without : and |")
        if self.size is not None and not LEAST_SIZE <= self.size <= MOST_SIZE:
            raise ValueError(f"got size={self.size}, expected {LEAST_SIZE} to {MOST_SIZE}")
        if self.steps < 1:
            raise ValueError(f"got steps={self.steps}, expected 1 or more")
        if not self.minutes > 0:
            raise ValueError(f"got minutes={self.minutes:g}, expected more than 0")
        if self.seed < 0:
            raise ValueError(f"got seed={self.seed}, expected 0 or more")
