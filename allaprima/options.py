"""What the public API can be asked: its options as typed dictionaries, and those of a style."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models import Blend, Engine, Style
    from stream.stylizer.regions import Region

Compile = Literal["off", "auto", "now"]
OutputSize = Literal["source", "model"] | tuple[int, int]

Mask = str | PathLike[str] | NDArray[np.uint8]
"""``"person"``, ``"background"``, the path of a picture or film, or uint8 (H, W)."""

KINDS = {"prompt": str, "strength": Real, "steps": Integral, "guidance": Real, "seed": Integral}
WORDS = {str: "text", Real: "a number", Integral: "a whole number"}


class StyleOptions(TypedDict, total=False):
    """How far from the frame, and how; ``None`` takes the model's default."""

    strength: float | None
    steps: int | None
    guidance: float | None
    seed: int | None
    size: int | None
    loras: Sequence[str]
    vae: str | None
    compile: Compile
    offline: bool


class RestylerOptions(StyleOptions, total=False):
    """What `Restyler` takes besides its prompt."""

    stability: float
    mask: "Mask | None"
    blend: "Blend"
    output_size: OutputSize
    fps: float
    model: "str | PathLike[str] | Engine"
    device: str | None


class FileOptions(StyleOptions, total=False):
    """What `restyle_file` takes besides names and prompt; as the command's options."""

    stability: float | None
    mask: str | None
    blend: "Blend"
    output_size: str
    model: str
    device: str
    look_ahead: bool
    every: int
    batch: int
    codec: str | None
    crf: int | None
    encoder_preset: str | None


class LearnOptions(TypedDict, total=False):
    """What `learn` takes besides pictures, output and word; as the command's options."""

    size: int | None
    steps: int
    minutes: float
    seed: int
    model: str
    offline: bool


def changed(style: "Style", asked: Mapping[str, Any]) -> "Style":
    """The style with everything put in its place that is asked for and not ``None``.

    Args:
        asked: Values by their names in this API: prompt, strength, steps, guidance, seed.

    Raises:
        TypeError: A value is of another kind than it should be.
        ValueError: A value is outside its range, or the prompt makes no sense.
    """
    from models import parse_prompt
    from stream.stylizer.options import STYLE_OPTIONS

    given: dict[str, Any] = {}
    for field, name in STYLE_OPTIONS.items():
        value, kind = asked.get(name), KINDS[name]
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"got {name}={value!r}, expected {WORDS[kind]}")
        if value is not None:
            given[field] = value
    with own_words():
        parse_prompt(given.get("prompt", ""))
        return replace(style, **given)


@contextmanager
def own_words() -> Iterator[None]:
    """Let argument errors name the arguments of this API."""
    try:
        yield
    except ValueError as err:
        from stream.stylizer.options import option_words

        raise ValueError(option_words(str(err))) from err


def make_region(mask: Mask | None) -> "Region | None":
    """Where the painting shows.

    Raises:
        TypeError: It is none of what a mask can be.
        ValueError: There is no such file, or an array is not uint8 (H, W).
        SourceError: The file cannot be read (`stream.SourceError`).
    """
    from stream.stylizer import regions
    from stream.stylizer.masks import check_mask

    if mask is None:
        return None
    if isinstance(mask, np.ndarray):
        if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
            raise ValueError(f"got a mask of {mask.dtype} {mask.shape}, expected uint8 (H, W)")
        return regions.make_region(mask)
    if not isinstance(mask, str | PathLike):
        raise TypeError(f"got mask={mask!r}, expected a name, a path or an array")
    check_mask(fspath(mask))
    return regions.make_region(fspath(mask))
