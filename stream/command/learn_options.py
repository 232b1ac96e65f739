"""Declares the options of `allaprima learn` to typer. Imports nothing heavy."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.command.shared_options import MACHINE, OUT, PAINT, number, option, whole_number

if TYPE_CHECKING:
    from stream.offline.learning_options import LearnOptions

LEARN = "What to learn from"

Frames = Annotated[
    list[str],
    typer.Option(
        "--frame",
        metavar="PICTURE",
        help="A frame as it is, or a folder of frames; may be repeated.",
        rich_help_panel=LEARN,
        show_default=False,
    ),
]
Paintings = Annotated[
    list[str],
    typer.Option(
        "--painting",
        metavar="PICTURE",
        help="What was painted over it, or a folder of paintings with the frames' names.",
        rich_help_panel=LEARN,
        show_default=False,
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The look, for --lora: a name that ends in .safetensors.",
        rich_help_panel=OUT,
        show_default=False,
    ),
]
Word = Annotated[
    str | None,
    option(
        PAINT,
        "--prompt",
        metavar="WORD",
        help="What prompts will say for the look; the output's name by default.",
    ),
]
Size = Annotated[
    int | None,
    option(
        MACHINE,
        "--size",
        metavar="PX",
        parser=whole_number,
        help="Short side at which the look will be painted; as `restyle` has it by default.",
    ),
]
Steps = Annotated[
    int,
    typer.Option(
        "--steps", metavar="N", help="Of learning, at most.", parser=whole_number,
        rich_help_panel=MACHINE,
    ),
]  # fmt: skip
Minutes = Annotated[
    float,
    typer.Option(
        "--minutes", metavar="M", help="Of learning, at most.", parser=number,
        rich_help_panel=MACHINE,
    ),
]  # fmt: skip
Seed = Annotated[
    int,
    typer.Option(
        "--seed", metavar="N", help="Of everything that is drawn.", parser=whole_number,
        rich_help_panel=MACHINE,
    ),
]  # fmt: skip


def from_words(words: dict[str, Any]) -> "LearnOptions":
    """The record of what was asked."""
    from dataclasses import fields

    from stream.offline.learning_options import LearnOptions

    words["frames"], words["paintings"] = words.pop("frame"), words.pop("painting")
    names = {field.name for field in fields(LearnOptions)}
    return LearnOptions(**{name: value for name, value in words.items() if name in names})
