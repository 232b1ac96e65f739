"""What the commands say: one sentence on the error channel, reports for programs."""

import logging
import re
from dataclasses import fields
from pathlib import Path

import typer
from rich.console import Console

from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.errors import SinkError
from stream.live.options import LiveOptions
from stream.offline.options import RestyleOptions
from stream.stylizer.options import STDOUT, OptionError

logger = logging.getLogger(__name__)

OPTIONS = {
    field.name: f"--{field.name.replace('_', '-')}"
    for record in (RestyleOptions, LiveOptions)
    for field in fields(record)
} | {"loras": "--lora", "encoder_preset": "--preset"}
"""Names of the library -> options of the command, where they differ by more than hyphens too."""

ARGUMENT = re.compile(r"\b([a-z_]+)=(?:True|\.\.\.)")
"""An argument that an error of the library advises, such as ``overwrite=True``."""

GOT = re.compile(r"\bgot ([a-z_]+)=")
"""The argument that an error of the library is about."""


def in_options(sentence: str) -> str:
    """A sentence of the library with the command's options for the arguments that it advises."""
    return ARGUMENT.sub(lambda found: OPTIONS.get(found[1], found[0]), sentence)


def say(sentence: str) -> None:
    """One sentence on the error channel."""
    text = f"Error: {in_options(sentence)}"
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def failed(error: Exception) -> ExitCode:
    """Say what went wrong; how the command ends then.

    Args:
        error: Of a kind in `EXIT_CODES`.
    """
    logger.debug("what failed", exc_info=error)
    sentence = str(error)
    if isinstance(error, OptionError):
        sentence = GOT.sub(
            lambda found: f"got {OPTIONS[found[1]]} " if found[1] in OPTIONS else found[0], sentence
        )
    say(sentence)
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


def tell_programs(where: str, report: str) -> None:
    """Write a report for programs to a file, or to standard output.

    Raises:
        SinkError: The file cannot be written.
    """
    if where == STDOUT:
        typer.echo(report, nl=False)
        return
    try:
        Path(where).write_text(report, encoding="utf-8")
    except OSError as err:
        raise SinkError(f"The report {where} cannot be written ({err.strerror}).") from err
