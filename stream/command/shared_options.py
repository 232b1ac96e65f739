"""Declares the options that `restyle` and `live` share to typer. Imports nothing heavy."""

from collections.abc import Callable
from fractions import Fraction
from typing import Annotated, Any

import typer

PAINT = "What to paint"
OUT = "What comes out"
MACHINE = "Model and machine"
TALK = "Messages and reports"


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


def rate(text: str) -> float:
    """Read frames a second: a number, or a fraction such as 24000/1001."""
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError) as err:
        raise typer.BadParameter(
            f"got {text}, expected a number or a fraction such as 24000/1001"
        ) from err


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
        help="How much each frame keeps of the one before; 0 is off.",
    ),
]
Mask = Annotated[
    str | None,
    option(
        PAINT,
        "--mask",
        metavar="WHERE",
        help="Where the painting shows: person, background, or a picture or film, white or opaque "
        "where it does.",
    ),
]
Blend = Annotated[
    str,
    typer.Option(
        "--blend",
        metavar="WHERE",
        help="Where stability blends: picture (on the host), latent (where the model runs), both, "
        "or auto, the better measured one.",
        rich_help_panel=PAINT,
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
SwitchLoras = Annotated[
    bool,
    flag(
        MACHINE,
        "--switch-loras",
        "Let the word loras switch them while frames are painted; on a CPU that is slower.",
    ),
]
StyleImages = Annotated[
    list[str] | None,
    option(
        PAINT,
        "--style-image",
        metavar="PICTURE[:W]",
        help="Paint in the manner of a picture, with a weight of 0 to 2 (SD 1.5, SDXL); live, of a "
        "camera, stream or film too; may be repeated.",
    ),
]
Structures = Annotated[
    list[str] | None,
    option(
        PAINT,
        "--structure",
        metavar="KIND[:W]",
        help="Hold to the frame's canny, lineart, depth or tile, with a weight (SD 1.5, SDXL); may "
        "be repeated; KIND=SOURCE names another network.",
    ),
]
IpAdapter = Annotated[
    str | None,
    option(
        MACHINE,
        "--ip-adapter",
        metavar="FILE",
        help="What reads style pictures: an IP-Adapter's file, here or on the hub.",
    ),
]
DepthModel = Annotated[
    str | None,
    option(
        MACHINE,
        "--depth-model",
        metavar="MODEL",
        help="What finds depth for --structure depth: a folder or hub id.",
    ),
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
    float | None,
    option(
        TALK,
        "--fps-target",
        metavar="FPS",
        parser=number,
        help="Say whether this speed is reached.",
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
RecipeFile = Annotated[
    str | None,
    option(
        MACHINE,
        "--recipe",
        metavar="FILE",
        help="Paint the same bytes as another machine: its report (--json), or refuse.",
    ),
]
JsonFile = Annotated[
    str | None,
    option(TALK, "--json", metavar="FILE", help="Write the report as JSON; - is standard output."),
]
Statistics = Annotated[
    bool,
    flag(TALK, "--stats", "Show at the end how long each stage took, and what was dropped."),
]
Debug = Annotated[bool, flag(TALK, "--debug", "Log more, and show where an error came from.")]
Quiet = Annotated[bool, flag(TALK, "--quiet", "Say nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Say it as JSON.")]
DoctorSize = Annotated[
    int | None,
    typer.Option("--size", metavar="PX", help="Short side at which painting is measured, in px."),
]
