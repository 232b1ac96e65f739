"""RestyleOptions: the options of file jobs, and the checks of their values that need no model."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models import ModelError, Recipe, Style, recipe_of
from stream.offline.performance import Performance
from stream.sound_mode import SOUND_MODES, SoundMode
from stream.stylizer.masks import check_mask
from stream.stylizer.options import STDOUT, STYLE_OPTIONS, EngineOptions, check_report

if TYPE_CHECKING:
    from models import Engine, OnDownload

MOST_IN_BATCH = 32
"""Twice as many frames are held back, and a GPU has long been busy with fewer."""


MOST_WORKERS = 256

CLUSTER = re.compile(r"auto|ray://\S+:\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestyleOptions(EngineOptions):
    """Everything that `allaprima restyle` was asked; ``None`` = the model's own default.

    `performance` is what `automation`, a file's name, says, as whoever reads it has put there.
    """

    inputs: Sequence[str]
    output: str
    prompt: str | None = None
    strength: float | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    mask: str | None = None
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
    pixel_format: str | None = None
    input_size: str | None = None
    output_format: str | None = None
    overwrite: bool = False
    recipe: str | None = None
    workers: int | None = None
    cluster: str | None = None
    recursive: bool = False
    watch: bool = False
    automation: str | None = None
    performance: Performance | None = None
    json: str | None = None
    stats: bool = False
    quiet: bool = False

    def style(self, default: Style) -> Style:
        """`default` with everything that was given put in its place.

        Raises:
            ValueError: A value is outside its range.
        """
        given = {field: getattr(self, name) for field, name in STYLE_OPTIONS.items()}
        style = replace(default, **{k: v for k, v in given.items() if v is not None})
        return self.with_images(style)

    def load_engine(
        self, on_download: "OnDownload | None", recipe: Recipe | None = None
    ) -> "Engine":
        """As `EngineOptions.load_engine`, by the recipe that was given.

        Raises:
            ModelError: As there; or this machine paints other bytes than the recipe asks for.
        """
        if recipe is None and self.recipe is not None:
            recipe = Recipe.read(Path(self.recipe))
        # kernels that come while frames are painted would change the last bits of what follows
        compile = "off" if self.compile == "auto" else self.compile
        asked = replace(self, compile=compile)
        engine = EngineOptions.load_engine(asked, on_download, recipe)
        if recipe is not None:
            _check_recipe(recipe_of(engine, shares_frames=self.batch > 1), recipe)
        return engine

    def check(self) -> None:
        """Refuse what no model and no input could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        self.style(Style())
        self.check_engine()
        check_mask(self.mask)
        if self.every < 1:
            raise ValueError(f"got every={self.every}, expected 1 or more")
        if not 1 <= self.batch <= MOST_IN_BATCH:
            raise ValueError(f"got batch={self.batch}, expected 1 to {MOST_IN_BATCH}")
        if self.audio not in SOUND_MODES:
            raise ValueError(f"got audio={self.audio!r}, expected {', '.join(SOUND_MODES)}")
        self._check_framerate()
        if self.workers is not None and not 1 <= self.workers <= MOST_WORKERS:
            raise ValueError(f"got workers={self.workers}, expected 1 to {MOST_WORKERS}")
        if self.recipe is not None:
            Recipe.read(Path(self.recipe))
        if self.cluster is not None and not CLUSTER.fullmatch(self.cluster):
            raise ValueError(f"got cluster={self.cluster}, expected auto or ray://HOST:PORT")
        if self.fps_target is not None and not 0 < self.fps_target < math.inf:
            raise ValueError(f"got fps_target={self.fps_target:g}, expected more than 0")
        if self.json == STDOUT and self.output == STDOUT:
            raise ValueError("got json=-, which the pictures go to, expected a file name")
        check_report(self.json, [*self.inputs, self.output])

    def _check_framerate(self) -> None:
        if self.framerate is not None and not 0 < self.framerate < math.inf:
            raise ValueError(f"got framerate={self.framerate:g}, expected more than 0")
        if self.framerate is not None:
            from stream.sources import names_pictures

            if self.input_size is None and not any(map(names_pictures, self.inputs)):
                raise ValueError(
                    f"got framerate={self.framerate:g}, expected none: a video keeps its own rate"
                )


def _check_recipe(ours: Recipe, asked: Recipe) -> None:
    """
    Raises:
        ModelError: They differ.
    """
    have, want = ours.as_dict(), asked.as_dict()
    differing = [name for name in want if have[name] != want[name]]
    if differing:
        name = differing[0]
        raise ModelError(
            f"This machine would paint other bytes than the recipe asks for: its {name} is "
            f"{have[name]!r}, not {want[name]!r}; leave out the recipe, or paint where it was made."
        )
