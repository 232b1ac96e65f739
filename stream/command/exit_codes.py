"""ExitCode: what the command `allaprima` says to the shell when it ends. Plain data; the table in
docs/commands.md is held equal to this one by a test. `restyle.py`, `batch.py` and `live.py` choose
between them.
"""

from enum import IntEnum

from models import ModelError
from stream.errors import ClusterError, ControlError, SinkError, SourceError, StreamError
from stream.stylizer.options import OptionError


class ExitCode(IntEnum):
    """One number for each way to end. `meaning` is the line that `--help` and the pages show."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> "ExitCode":
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "everything asked for was done"
    UNEXPECTED = 1, "a fault of the program itself (please report it; --debug shows where)"
    USAGE = 2, "an option or its value cannot be used"
    INPUT = 3, "the input cannot be found, opened or read"
    OUTPUT = 4, "the output is in the way, cannot be written, or the disk is full"
    MODEL = 5, "the model cannot be found, loaded or run"
    PARTIAL = 6, "finished, but something of the input was lost (the report says what)"
    UNFIT = 7, "the doctor found a problem"
    CLUSTER = 8, "the cluster is out of reach, or none of its workers can paint this"
    INTERRUPTED = (
        130,
        "stopped by Ctrl-C, SIGTERM or hang-up; what was done until then is kept",
    )


EXIT_CODES: dict[type[Exception], ExitCode] = {
    OptionError: ExitCode.USAGE,
    ClusterError: ExitCode.CLUSTER,
    ControlError: ExitCode.OUTPUT,
    SourceError: ExitCode.INPUT,
    SinkError: ExitCode.OUTPUT,
    ModelError: ExitCode.MODEL,
    StreamError: ExitCode.UNEXPECTED,
}
"""What may fail, and how the command ends then; the first that fits holds."""
