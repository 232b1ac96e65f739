"""Result: what became of a film that is painted in parts. Plain data."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """What became of a film.

    Attributes:
        kept_frames, kept_parts: That an earlier run had painted.
        frames: In the output.
        damaged: Something of the input is missing in the output.
        finished: The output is whole.
        losses: What is missing, in sentences that are among the notes too.
        parts_bytes: What the parts take that wait for the rest.
    """

    kept_frames: int = 0
    kept_parts: int = 0
    frames: int = 0
    damaged: bool = False
    finished: bool = False
    parts_bytes: int = 0
    notes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
