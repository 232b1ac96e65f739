"""RestyleOptions: the options of file jobs, and the checks of their values that need no model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models import Style
from stream.sound_mode import SOUND_MODES, SoundMode
from stream.stylizer.options import STYLE_OPTIONS, EngineOptions, check_report

MOST_IN_BATCH = 32
"""Twice as many frames are held back, and a GPU has long been busy with fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestyleOptions(EngineOptions):
    """Everything that `allaprima restyle` was asked; ``None`` = the model's own default."""

    inputs: Sequence[str]
    output: str
    prompt: str | None = None
    strength: float | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    look_ahead: bool = True
    every: int = 1
    batch: int = 1
    output_size: str = "source"
    fps_target: float | None = None
    codec: str | None = None
    crf: int | None = None
    encoder_preset: str | None = None
    audio: SoundMode = "copy"
    framerate: float | None = None
    overwrite: bool = False
    json: str | None = None
    stats: bool = False
    quiet: bool = False

    def style(self, default: Style) -> Style:
        """`default` with everything that was given put in its place.

        Raises:
            ValueError: A value is outside its range.
        """
        given = {field: getattr(self, name) for field, name in STYLE_OPTIONS.items()}
        return replace(default, **{k: v for k, v in given.items() if v is not None})

    def check(self) -> None:
        """Refuse what no model and no input could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        self.style(Style())
        self.check_engine()
        if self.every < 1:
            raise ValueError(f"got every={self.every}, expected 1 or more")
        if not 1 <= self.batch <= MOST_IN_BATCH:
            raise ValueError(f"got batch={self.batch}, expected 1 to {MOST_IN_BATCH}")
        if self.audio not in SOUND_MODES:
            raise ValueError(f"got audio={self.audio!r}, expected {', '.join(SOUND_MODES)}")
        if self.framerate is not None and not 0 < self.framerate < math.inf:
            raise ValueError(f"got framerate={self.framerate:g}, expected more than 0")
        if self.fps_target is not None and not 0 < self.fps_target < math.inf:
            raise ValueError(f"got fps_target={self.fps_target:g}, expected more than 0")
        check_report(self.json, [*self.inputs, self.output])
