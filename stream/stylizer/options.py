"""EngineOptions: the choices about model and machine that file jobs and live sessions share, with
their checks, and the error for a choice that cannot be used. Imports nothing heavy.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from models import Engine, OnDownload, Recipe, Style

FPS_TARGET = 24.0
STDOUT = "-"
STYLE_OPTIONS = {
    "prompt": "prompt",
    "strength": "strength",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "seed": "seed",
}
"""Field of `Style` -> the option's name."""

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
DEPTH = re.compile(r"depth(?=[:=]|$)")
COMPILE = ("off", "auto", "now")


class OptionError(ValueError):
    """The value of an option cannot be used; the message is ``got NAME=VALUE, expected ...``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """``None`` = the model's own default; `size` is its short side in px.

    `style_images` are names of pictures, each with a weight behind it if need be.
    """

    model: str = "bundled"
    loras: Sequence[str] = ()
    vae: str | None = None
    offline: bool = False
    device: str = "auto"
    compile: str = "auto"
    size: int | None = None
    stability: float | None = None
    blend: str = "auto"
    style_images: Sequence[str] = ()
    ip_adapter: str | None = None
    structures: Sequence[str] = ()
    depth_model: str | None = None
    switch_loras: bool = False

    def with_images(self, style: "Style") -> "Style":
        """The style with the pictures that were named.

        Raises:
            SourceError: One cannot be read.
            ValueError: A weight is outside its range, or two have one name.
        """
        if not self.style_images:
            return style
        from stream.stylizer.style_images import load_style_images

        return replace(style, images=load_style_images(tuple(self.style_images)))

    def check_engine(self) -> None:
        """Refuse what no model could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        if self.stability is not None and not 0 <= self.stability <= 1:
            raise ValueError(f"got stability={self.stability:g}, expected 0 to 1")
        check_blend(self.blend)
        if self.size is not None and self.size < 1:
            raise ValueError(f"got size={self.size}, expected a short side such as 512")
        if not DEVICE.fullmatch(self.device):
            raise ValueError(f"got device={self.device}, expected auto, cpu, mps, cuda or cuda:N")
        if self.depth_model is not None and not any(map(DEPTH.match, self.structures)):
            raise ValueError(
                f"got depth_model={self.depth_model}, expected it with a structure of depth"
            )
        if self.switch_loras and not self.loras:
            raise ValueError("got switch_loras=True, expected a lora or more to switch")
        if self.compile not in COMPILE:
            raise ValueError(f"got compile={self.compile}, expected {', '.join(COMPILE)}")

    def load_engine(
        self, on_download: "OnDownload | None", recipe: "Recipe | None" = None
    ) -> "Engine":
        """The engine that was asked for; `on_download` is called with the progress of downloads,
        and a `recipe` says by what it is to compute, as far as this machine can.

        Raises:
            ModelError: It cannot be found, loaded or run.
            ValueError: This machine has no such device, or compiles nothing for it.
        """
        from models import load_engine

        return load_engine(
            self.model,
            device=None if self.device == "auto" else self.device,
            loras=self.loras,
            vae=self.vae,
            compile=cast(Literal["off", "auto", "now"], self.compile),
            offline=self.offline,
            on_download=on_download,
            recipe=recipe,
            image_adapter=self.ip_adapter or bool(self.style_images),
            structures=self.structures,
            depth_model=self.depth_model,
            switchable_loras=self.switch_loras,
        )


def check_blend(blend: str) -> None:
    """
    Raises:
        ValueError: There is no such way of blending.
    """
    from models import BLENDS

    if blend not in BLENDS:
        raise ValueError(f"got blend={blend}, expected {', '.join(BLENDS)}")


def check_report(where: str | None, taken: Sequence[str]) -> None:
    """Refuse a report for programs that cannot be written where it was asked for.

    Args:
        where: A file name, `STDOUT`, or ``None`` for no report.
        taken: Names that the command uses otherwise.

    Raises:
        ValueError: It is no file name in a folder that exists, or is taken.
    """
    if where is None or where == STDOUT:
        return
    path = Path(where)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"got json={path}, expected a file name in a folder that exists")
    if path.resolve() in {Path(other).resolve() for other in taken}:
        raise ValueError(f"got json={path}, which is also an input or an output")


@contextmanager
def option_errors() -> Iterator[None]:
    """Mark an argument error as one of an option's value, in the option's name.

    Raises:
        OptionError: Instead of a ValueError.
    """
    try:
        yield
    except ValueError as err:
        raise OptionError(option_words(str(err))) from err


def option_words(sentence: str) -> str:
    """The sentence of an argument error with the option's name for the field of `Style`."""
    for field, name in STYLE_OPTIONS.items():
        sentence = sentence.replace(f"got {field}=", f"got {name}=")
    return sentence
