"""Declares the options of `allaprima restyle` to typer. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from stream.command.shared_options import (
    MACHINE,
    OUT,
    PAINT,
    TALK,
    flag,
    option,
    rate,
    whole_number,
)
from stream.offline.options import RestyleOptions

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="IN...",
        help="Videos, a folder of videos, folders of pictures, pictures, testsrc, or - for "
        "standard input.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="A video, a picture, numbered pictures (out/%06d.png), a folder/, null, or - for "
        "standard output.",
    ),
]
Audio = Annotated[
    str,
    typer.Option(
        metavar="MODE",
        help="The input's sound: copy (encode where it must be), encode, or none.",
        rich_help_panel=OUT,
    ),
]
Framerate = Annotated[
    float | None,
    option(
        OUT,
        "--framerate",
        metavar="FPS",
        parser=rate,
        help="Frames a second of pictures, such as 30 or 24000/1001, 24 if not given; of rawvideo "
        "in a pipe, 25.",
    ),
]
PixelFormat = Annotated[
    str | None,
    option(
        OUT,
        "--pixel-format",
        metavar="FORMAT",
        help="Of rawvideo in a pipe, by FFmpeg's name: rgb24; yuv420p if not given.",
    ),
]
InputSize = Annotated[
    str | None,
    option(
        OUT, "--input-size", metavar="WxH", help="Take standard input as rawvideo of this size."
    ),
]
OutputFormat = Annotated[
    str | None,
    option(
        OUT,
        "--output-format",
        metavar="FORMAT",
        help="Of -o -: yuv4mpegpipe (if not given), rawvideo, nut or matroska.",
    ),
]
Automation = Annotated[
    str | None,
    option(
        PAINT,
        "--automation",
        metavar="FILE",
        help="Render the performance that live --automation recorded, or a list of styles with "
        "times; options that are given here hold throughout.",
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


Workers = Annotated[
    int | None,
    option(
        MACHINE,
        "--workers",
        metavar="N",
        parser=whole_number,
        help="Processes that paint a video together; one a GPU if not given.",
    ),
]


Cluster = Annotated[
    str | None,
    option(
        MACHINE,
        "--cluster",
        metavar="WHERE",
        help="Paint a video on a Ray cluster: auto, or ray://HOST:PORT.",
    ),
]
Recursive = Annotated[bool, flag(TALK, "--recursive", "Take the videos of folders in IN too.")]
Watching = Annotated[
    bool, flag(TALK, "--watch", "Keep an eye on the folder for new videos, until Ctrl-C.")
]


def from_words(words: Mapping[str, Any]) -> RestyleOptions:
    """The record of the command's parameters, by their names."""
    named = {
        **words,
        "loras": words["lora"] or (),
        "style_images": words["style_image"] or (),
        "structures": words["structure"] or (),
        "stats": words["stats"] or words["debug"],
        "encoder_preset": words["preset"],
        "performance": None,
    }
    return RestyleOptions(**{field.name: named[field.name] for field in fields(RestyleOptions)})
