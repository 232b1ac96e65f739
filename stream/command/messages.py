"""What the commands say: one sentence on the error channel, reports for programs."""

import logging
from pathlib import Path

import typer
from rich.console import Console

from stream.command.exit_codes import EXIT_CODES, ExitCode
from stream.errors import SinkError
from stream.stylizer.options import STDOUT

logger = logging.getLogger(__name__)


def say(sentence: str) -> None:
    """One sentence on the error channel."""
    Console(stderr=True).print(f"Error: {sentence}", markup=False, highlight=False, soft_wrap=True)


def failed(error: Exception) -> ExitCode:
    """Say what went wrong; how the command ends then.

    Args:
        error: Of a kind in `EXIT_CODES`.
    """
    logger.debug("what failed", exc_info=error)
    say(str(error))
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
