"""What the public API can be asked: its options as typed dictionaries, and those of a style."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models import Blend, Engine, Style, StyleImage
    from stream.stylizer.regions import Region

Compile = Literal["off", "auto", "now"]
OutputSize = Literal["source", "model"] | tuple[int, int]

Mask = str | PathLike[str] | NDArray[np.uint8]
"""``"person"``, ``"background"``, the path of a picture or film, or uint8 (H, W)."""

StylePicture: TypeAlias = "str | PathLike[str] | NDArray[np.uint8] | StyleImage"
"""The path of a picture, with ``:weight`` behind it if need be; uint8 RGB (H, W, 3); or a
`models.StyleImage`, which has a name and a weight.
"""

STEERING = {name: name for name in ("image_mix", "image_weight", "structure_weight")}
"""Fields of `Style` that are called the same here."""

KINDS = {
    "prompt": str,
    "strength": Real,
    "steps": Integral,
    "guidance": Real,
    "seed": Integral,
    "image_mix": str,
    "image_weight": Real,
    "structure_weight": Real,
}
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
    structures: Sequence[str]
    depth_model: str | None
    compile: Compile
    offline: bool


class RestylerOptions(StyleOptions, total=False):
    """What `Restyler` takes besides its prompt."""

    stability: float
    mask: "Mask | None"
    style_images: "Sequence[StylePicture]"
    image_mix: str | None
    image_weight: float | None
    structure_weight: float | None
    ip_adapter: str | bool
    blend: "Blend"
    output_size: OutputSize
    fps: float
    model: "str | PathLike[str] | Engine"
    device: str | None


class FileOptions(StyleOptions, total=False):
    """What `restyle_file` takes besides names and prompt; as the command's options."""

    stability: float | None
    mask: str | None
    style_images: Sequence[str]
    ip_adapter: str | None
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
        asked: Values by their names in this API: prompt, strength, steps, guidance, seed,
            image_mix, image_weight, structure_weight; and `images` as `Style` has them.

    Raises:
        TypeError: A value is of another kind than it should be.
        ValueError: A value is outside its range, or the prompt makes no sense.
    """
    from models import parse_prompt
    from stream.stylizer.options import STYLE_OPTIONS

    given: dict[str, Any] = {}
    if asked.get("images") is not None:
        given["images"] = asked["images"]
    for field, name in (STYLE_OPTIONS | STEERING).items():
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


def make_images(pictures: "Sequence[StylePicture]") -> "tuple[StyleImage, ...]":
    """Pictures of a style; arrays are called ``picture1`` and so on.

    Raises:
        TypeError: One is none of what a picture can be.
        ValueError: An array is not uint8 RGB (H, W, 3), or a weight is outside its range.
        SourceError: A file cannot be read (`stream.SourceError`).
    """
    from models import StyleImage
    from stream.stylizer.style_images import load_style_images

    if isinstance(pictures, str | PathLike | np.ndarray):
        raise TypeError("got one picture as style_images, expected a list of them")
    images: list[StyleImage] = []
    for number, picture in enumerate(pictures, 1):
        if isinstance(picture, StyleImage):
            images.append(picture)
        elif isinstance(picture, str | PathLike):
            images += load_style_images((fspath(picture),))
        elif not isinstance(picture, np.ndarray):
            raise TypeError(f"got the picture {picture!r}, expected a path, array or StyleImage")
        elif picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                f"got a picture of {picture.dtype} {picture.shape}, expected uint8 RGB (H, W, 3)"
            )
        else:
            images.append(StyleImage(picture.copy(), f"picture{number}"))
    return tuple(images)


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


def check_stability(stability: float) -> None:
    """
    Raises:
        ValueError: It is outside its range.
    """
    if not isinstance(stability, Real) or not 0 <= stability <= 1:
        raise ValueError(f"got stability={stability!r}, expected 0 to 1")


def check_rest(blend: str, size: int | None, output_size: Any) -> None:
    """
    Raises:
        ValueError: One cannot be.
    """
    from stream.geometry import check_output_size
    from stream.stylizer.options import check_blend

    check_blend(blend)
    if size is not None and (not isinstance(size, Integral) or size < 1):
        raise ValueError(f"got size={size!r}, expected a short side such as 512")
    check_output_size(output_size)


def positive(name: str, value: float) -> float:
    """
    Raises:
        ValueError: It is no number above 0.
    """
    if not isinstance(value, Real) or not 0 < value < math.inf:
        raise ValueError(f"got {name}={value}, expected more than 0")
    return float(value)


def next_time(times_s: Iterator[float]) -> float:
    """
    Raises:
        ValueError: There is none.
    """
    for time_s in times_s:
        return time_s
    raise ValueError("got fewer times_s than frames, expected one for each frame")
