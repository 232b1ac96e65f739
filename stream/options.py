"""The options of `allaprima restyle`: how they are declared to typer, the record that they end up
in, and the checks that need no model. Imports nothing heavy at the top: `--help` passes through.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from models import Style
from stream.engine_options import EngineOptions

FPS_TARGET = 24.0
STDOUT = "-"
MOST_IN_BATCH = 32
"""Twice as many frames are held back, and a GPU has long been busy with fewer."""
STYLE_OPTIONS = {
    "prompt": "prompt",
    "strength": "strength",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "seed": "seed",
}
"""Field of `Style` -> the option's name."""
MACHINE_OPTIONS = {"device": "device", "compile": "compile"}
"""Argument of `load_engine` -> the option's name."""

PAINT = "What to paint"
OUT = "What comes out"
MACHINE = "Model and machine"
TALK = "What is said"


def whole_number(text: str) -> int:
    """Read an option's value that must be a whole number."""
    try:
        return int(text)
    except ValueError as err:
        raise typer.BadParameter(f"got {text}, expected a whole number") from err


def number(text: str) -> float:
    """Read an option's value that must be a number."""
    try:
        return float(text)
    except ValueError as err:
        raise typer.BadParameter(f"got {text}, expected a number") from err


def option(
    panel: str,
    name: str,
    *,
    metavar: str,
    help: str,
    parser: Callable[[str], Any] | None = None,
) -> Any:
    """An option that is None unless given."""
    return typer.Option(
        name, metavar=metavar, help=help, parser=parser, rich_help_panel=panel, show_default=False
    )


def flag(panel: str, name: str, help: str) -> Any:
    """An option without a value."""
    return typer.Option(name, help=help, rich_help_panel=panel)


Inputs = Annotated[
    list[str],
    typer.Argument(metavar="IN...", help="Video files, folders of pictures, pictures, or testsrc."),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="A video file, picture, folder/ of pictures or null; a folder for several inputs.",
    ),
]
Prompt = Annotated[
    str | None,
    option(PAINT, "--prompt", metavar="TEXT", help='The look, such as "oil painting".'),
]
Strength = Annotated[
    float | None,
    option(
        PAINT,
        "--strength",
        metavar="0..1",
        parser=number,
        help="How far from the frame, above 0 to 1.",
    ),
]
Steps = Annotated[
    int | None,
    option(PAINT, "--steps", metavar="N", parser=whole_number, help="LCM steps a frame, 1 to 8."),
]
Guidance = Annotated[
    float | None,
    option(
        PAINT,
        "--guidance",
        metavar="W",
        parser=number,
        help="Guidance scale, for models that take one; with an LCM-LoRA it doubles the work.",
    ),
]
Seed = Annotated[
    int | None,
    option(PAINT, "--seed", metavar="N", parser=whole_number, help="Of the fixed noise."),
]
Stability = Annotated[
    float | None,
    option(
        PAINT,
        "--stability",
        metavar="0..1",
        parser=number,
        help="How much the paint clings; 0 is off.",
    ),
]
LookAhead = Annotated[
    bool,
    typer.Option(
        "--look-ahead/--no-look-ahead",
        help="Smooth each frame by those after it as well.",
        rich_help_panel=PAINT,
    ),
]
Every = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=whole_number,
        help="Paint one frame in N; make the others from those beside them.",
        rich_help_panel=PAINT,
    ),
]
Batch = Annotated[
    int,
    typer.Option(
        metavar="N",
        parser=whole_number,
        help="Paint N frames in one call of the model: more at a time, and more memory.",
        rich_help_panel=MACHINE,
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="A name of `allaprima models`, a folder or file of a model, or a hub id.",
        rich_help_panel=MACHINE,
    ),
]
Loras = Annotated[
    list[str] | None,
    option(MACHINE, "--lora", metavar="LORA[:W]", help="A LoRA and its weight; may be repeated."),
]
Vae = Annotated[
    str | None,
    option(MACHINE, "--vae", metavar="VAE", help="Another autoencoder: folder, file or id."),
]
Offline = Annotated[
    bool, flag(MACHINE, "--offline", "Ask no model hub: what is needed must be on this machine.")
]
Device = Annotated[
    str,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MACHINE),
]
Compile = Annotated[
    str,
    typer.Option(
        metavar="WHEN",
        help="Compile a GPU's kernels: off, auto (beside, once it pays), now (before painting).",
        rich_help_panel=MACHINE,
    ),
]
ShortSide = Annotated[
    int | None,
    option(
        MACHINE,
        "--size",
        metavar="PX",
        parser=whole_number,
        help="Short side that the model works at.",
    ),
]
OutputSize = Annotated[
    str,
    typer.Option(metavar="SIZE", help="model, source or WxH.", rich_help_panel=OUT),
]
FpsTarget = Annotated[
    float,
    typer.Option(
        metavar="FPS", parser=number, help="The speed to measure against.", rich_help_panel=TALK
    ),
]
Codec = Annotated[
    str | None, option(OUT, "--codec", metavar="NAME", help="Video encoder, by FFmpeg's name.")
]
Crf = Annotated[
    int | None,
    option(
        OUT, "--crf", metavar="N", parser=whole_number, help="Constant quality; lower is better."
    ),
]
EncoderPreset = Annotated[
    str | None, option(OUT, "--preset", metavar="NAME", help="The encoder's speed preset.")
]
Overwrite = Annotated[bool, flag(OUT, "--overwrite", "Replace an output that is already there.")]
JsonFile = Annotated[
    str | None,
    option(TALK, "--json", metavar="FILE", help="Write the report as JSON; - is standard output."),
]
Debug = Annotated[bool, flag(TALK, "--debug", "Log more, and show where an error came from.")]
Quiet = Annotated[bool, flag(TALK, "--quiet", "Say nothing but errors.")]


class OptionError(ValueError):
    """A value that the user typed cannot be used; the message names the option."""


@dataclass(frozen=True, slots=True)
class RestyleOptions(EngineOptions):
    """Everything that `allaprima restyle` was asked; ``None`` = the model's own default."""

    inputs: Sequence[str]
    output: str
    prompt: str | None
    strength: float | None
    steps: int | None
    guidance: float | None
    seed: int | None
    look_ahead: bool
    every: int
    batch: int
    output_size: str
    fps_target: float
    codec: str | None
    crf: int | None
    encoder_preset: str | None
    overwrite: bool
    json: str | None
    quiet: bool

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
            raise ValueError(f"got --every {self.every}, expected 1 or more")
        if not 1 <= self.batch <= MOST_IN_BATCH:
            raise ValueError(f"got --batch {self.batch}, expected 1 to {MOST_IN_BATCH}")
        if not 0 < self.fps_target < math.inf:
            raise ValueError(f"got --fps-target {self.fps_target:g}, expected more than 0")
        check_report(self.json, [*self.inputs, self.output])


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
        raise ValueError(f"got --json {path}, expected a file name in a folder that exists")
    if path.resolve() in {Path(other).resolve() for other in taken}:
        raise ValueError(f"got --json {path}, which is also an input or an output")


@contextmanager
def option_names() -> Iterator[None]:
    """Turn an argument error into one that speaks of the option that the user typed.

    Raises:
        OptionError: Instead of a ValueError.
    """
    try:
        yield
    except ValueError as err:
        text = str(err)
        for field, name in (*STYLE_OPTIONS.items(), *MACHINE_OPTIONS.items()):
            text = text.replace(f"got {field}=", f"got --{name} ")
        raise OptionError(text) from err


def from_words(words: Mapping[str, Any]) -> RestyleOptions:
    """The record of the command's parameters, by their names."""
    named = {**words, "loras": words["lora"] or (), "encoder_preset": words["preset"]}
    return RestyleOptions(**{field.name: named[field.name] for field in fields(RestyleOptions)})
