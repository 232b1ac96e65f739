"""The options of `allaprima studio` alone, as typer is told of them. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from stream.command.shared_options import flag, option, whole_number
from stream.studio.options import StudioOptions

REACH = "Who can reach it"
ROOM = "Seats and files"

Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Where to listen: this machine only, unless you give another, such as 0.0.0.0.",
        rich_help_panel=REACH,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        metavar="N", parser=whole_number, help="0 takes a free one.", rich_help_panel=REACH
    ),
]
HostNames = Annotated[
    list[str] | None,
    option(
        REACH,
        "--host-name",
        metavar="NAME[:PORT]",
        help="Another name that pages call this server by; may be repeated.",
    ),
]
Opens = Annotated[
    bool,
    typer.Option("--open/--no-open", help="Open the page in your browser.", rich_help_panel=REACH),
]
Seats = Annotated[
    int | None,
    option(
        ROOM,
        "--seats",
        metavar="N",
        parser=whole_number,
        help="How many may paint at a time; measured if not given.",
    ),
]
Key = Annotated[
    str | None,
    option(REACH, "--key", metavar="TEXT", help="The owner's key; a new one if not given."),
]
RequireKey = Annotated[
    bool, flag(REACH, "--require-key", "Ask for the key on this machine too: others share it.")
]
Tls = Annotated[
    str | None,
    option(REACH, "--tls", metavar="self", help="Encrypt, with a certificate made at the start."),
]
TlsCertificate = Annotated[
    str | None,
    option(REACH, "--tls-cert", metavar="FILE", help="Encrypt, with this certificate (PEM)."),
]
TlsKey = Annotated[
    str | None, option(REACH, "--tls-key", metavar="FILE", help="The certificate's key (PEM).")
]
KeptIn = Annotated[
    str,
    typer.Option(
        "--folder",
        metavar="DIR",
        help="Where recordings and dropped files are kept.",
        rich_help_panel=ROOM,
    ),
]


def from_words(words: Mapping[str, Any]) -> StudioOptions:
    """The record of the command's parameters, by their names."""
    named = {
        **words,
        "loras": words["lora"] or (),
        "host_names": words["host_name"] or (),
        "style_images": (),
        "ip_adapter": None,
        "structures": (),
        "depth_model": None,
        "blend": "auto",
    }
    return StudioOptions(**{field.name: named[field.name] for field in fields(StudioOptions)})
