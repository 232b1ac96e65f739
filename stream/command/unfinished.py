"""The command `allaprima jobs`: what is unfinished here, what it holds, and clearing it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream.command.exit_codes import ExitCode

if TYPE_CHECKING:
    from stream.offline.unfinished import Unfinished

Folder = Annotated[
    str, typer.Argument(metavar="[FOLDER]", help="Where outputs are; this folder if not given.")
]
Clear = Annotated[
    bool, typer.Option("--clear", help="Remove these parts; what is being painted now stays.")
]


def code(console: Console, folder: str, *, clear: bool, as_json: bool) -> ExitCode:
    """List, or clear, what is unfinished; how the command ends."""
    from stream.command.messages import say
    from stream.offline.part_store import megabytes
    from stream.offline.unfinished import clear_unfinished, find_unfinished

    if not Path(folder).is_dir():
        say(f"There is no folder {folder}; check the name.")
        return ExitCode.INPUT
    jobs = find_unfinished(Path(folder))
    if as_json:
        rows = [{**asdict(job), "output": str(job.output)} for job in jobs]
        typer.echo(json.dumps(rows, indent=2))
    elif not jobs:
        console.print("Nothing is unfinished here.")
    elif not clear:
        console.print(_table(jobs))
    if clear and jobs:
        try:
            freed = clear_unfinished(jobs)
        except OSError as err:
            say(f"The parts cannot be removed ({err.strerror}); check the folder's permissions.")
            return ExitCode.OUTPUT
        if not as_json:
            console.print(f"Removed {megabytes(freed)}.", highlight=False)
    return ExitCode.DONE


def _table(jobs: "list[Unfinished]") -> Table:
    from stream.offline.part_store import megabytes

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("output", "of", "parts", "frames", "on disk", "job", ""):
        table.add_column(name, justify="right" if name in ("parts", "frames") else "left")
    for job in jobs:
        being = f"being painted by {job.holder}" if job.holder else ""
        table.add_row(
            str(job.output), job.source, str(job.parts), str(job.frames),
            megabytes(job.size_bytes), job.job, being,
        )  # fmt: skip
    return table
