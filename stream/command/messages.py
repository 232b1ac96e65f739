"""Messages of the commands: errors and warnings in one sentence, with the names of options."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import typer
from rich.console import Console

from models import FIRST_USE
from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.errors import SinkError
from stream.live.options import LiveOptions
from stream.offline.learning_options import LearnOptions
from stream.offline.options import RestyleOptions
from stream.studio.options import StudioOptions
from stream.stylizer.options import STDOUT, OptionError

logger = logging.getLogger(__name__)

OPTIONS = {
    field.name: f"--{field.name.replace('_', '-')}"
    for record in (RestyleOptions, LiveOptions, StudioOptions, LearnOptions)
    for field in fields(record)
} | {
    "loras": "--lora",
    "encoder_preset": "--preset",
    "structures": "--structure",
    "structure": "--structure",
    "style_images": "--style-image",
}
"""Names of the library -> options of the command, where they differ by more than hyphens too."""

ARGUMENT = re.compile(r"\b([a-z_]+)=(?:True|\.\.\.)")
"""An argument that an error of the library advises, such as ``overwrite=True``."""

PHRASES = {
    "use another output": "use another --to",
    "use the output ": "use --to ",
    "try the input ": "try --from ",
}
"""Advice about live inputs and outputs, which the library knows without an option."""

GOT = re.compile(r"\bgot ([a-z_]+)=")
"""The argument that an error of the library is about."""


def plain_console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: ``[a]`` is no markup, ``:cat:`` no picture."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def in_options(sentence: str) -> str:
    """A sentence of the library with the command's options for the arguments that it advises."""
    for phrase, words in PHRASES.items():
        sentence = sentence.replace(phrase, words)
    return ARGUMENT.sub(lambda found: OPTIONS.get(found[1], found[0]), sentence)


def say(sentence: str) -> None:
    """One sentence on the error channel."""
    text = f"Error: {in_options(sentence)}"
    plain_console(stderr=True).print(text, soft_wrap=True)


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


def guarded(body: Callable[[], ExitCode | None]) -> ExitCode | None:
    """Run the body of a command.

    Returns:
        What the body returns, or the code for what kept it from its end, after printing why.
    """
    try:
        return body()
    except KeyboardInterrupt:
        say("Stopped at once.")
        return ExitCode.INTERRUPTED
    except tuple(EXIT_CODES) as err:
        return failed(err)


class SentenceHandler(logging.Handler):
    """Prints log messages of a level and above as sentences."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        sentence = in_options(record.getMessage())
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def log_said(console: Console, name: str, level: int) -> Iterator[None]:
    """Print what a logger says at this level or above; with --debug it is printed anyway."""
    logged = logging.getLogger(name)
    if logged.isEnabledFor(logging.DEBUG):
        yield
        return
    handler, before = SentenceHandler(console, level), logged.level
    logged.addHandler(handler)
    logged.setLevel(min(level, logged.getEffectiveLevel()))
    try:
        yield
    finally:
        logged.setLevel(before)
        logged.removeHandler(handler)


@contextmanager
def first_use_said(console: Console, *, quiet: bool) -> Iterator[None]:
    """Say what is prepared when a model is used for the first time on this machine."""
    with log_said(console, FIRST_USE, logging.ERROR if quiet else logging.INFO):
        yield


def say_loading(console: Console, model: str, *, quiet: bool) -> None:
    """Say which model is loaded, where somebody watches."""
    if console.is_terminal and not quiet:
        console.print(f"Loading {model} ...", markup=False, highlight=False)


def tell_losses(source: str, losses: Sequence[str]) -> None:
    """One line on the error channel on what of an input is not in the output, if anything."""
    if losses:
        say(f"{source}: {' '.join(losses)}")


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
