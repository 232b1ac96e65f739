"""The command `allaprima`: words of the shell in, objects and exit codes out.

    restyle ──options──► restyle_command ──► jobs ──► Session.run ──► report
    live ──live_options──► live_command ──► golive ──► LiveSession.run ──► report

The only place that prints (with listing.py, progress.py and report.py), exits and installs signal
handlers.
What is slow to import is imported inside the commands that need it.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated

import typer
from rich.console import Console

from models import ModelError
from stream import live_options as lo
from stream import options as o
from stream.errors import ControlError, SinkError, SourceError, StreamError
from stream.exitcode import ExitCode

logger = logging.getLogger(__name__)

EXIT_CODES: dict[type[Exception], ExitCode] = {
    o.OptionError: ExitCode.USAGE,
    ControlError: ExitCode.OUTPUT,
    SourceError: ExitCode.INPUT,
    SinkError: ExitCode.OUTPUT,
    ModelError: ExitCode.MODEL,
    StreamError: ExitCode.UNEXPECTED,
}
"""What may fail, and how the command ends then; the first that fits holds."""

EPILOG = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."
CONTEXT = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="allaprima",
    help="Restyle moving pictures with latent consistency models.",
    epilog=EPILOG,
    context_settings=CONTEXT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The entry point: a fault of ours ends in one sentence too, not in a traceback."""
    if "--debug" not in sys.argv:
        sys.excepthook = _say_unexpected
    try:
        typer.main.get_command(app)()
    except SystemExit as end:
        _leave_if_hanging(end.code)
        raise


def _leave_if_hanging(code: str | int | None) -> None:
    """End the process at once where a thread still hangs in a library: Python's own end would
    unload the library under its feet.
    """
    session = sys.modules.get("stream.session")
    if session is not None and session.workers_left():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else ExitCode.UNEXPECTED)


def _say_unexpected(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """What Python calls for an exception that nobody caught; it exits with code 1 by itself."""
    say(
        f"{kind.__name__}: {error} (this should not happen: run it again with --debug to see where)"
    )


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
    if where == o.STDOUT:
        typer.echo(report, nl=False)
        return
    try:
        Path(where).write_text(report, encoding="utf-8")
    except OSError as err:
        raise SinkError(f"The report {where} cannot be written ({err.strerror}).") from err


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"allaprima {version('allaprima')}")
        raise typer.Exit


@app.callback()
def _allaprima(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Say the version and exit."
        ),
    ] = False,
) -> None:
    """Restyle moving pictures with latent consistency models."""


@app.command(epilog=EPILOG)
def restyle(
    inputs: o.Inputs,
    output: o.Output,
    prompt: o.Prompt = None,
    strength: o.Strength = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    seed: o.Seed = None,
    stability: o.Stability = None,
    look_ahead: o.LookAhead = True,
    every: o.Every = 1,
    batch: o.Batch = 1,
    model: o.ModelName = "bundled",
    lora: o.Loras = None,
    vae: o.Vae = None,
    offline: o.Offline = False,
    device: o.Device = "auto",
    compile: o.Compile = "auto",
    size: o.ShortSide = None,
    output_size: o.OutputSize = "source",
    fps_target: o.FpsTarget = o.FPS_TARGET,
    codec: o.Codec = None,
    crf: o.Crf = None,
    preset: o.EncoderPreset = None,
    overwrite: o.Overwrite = False,
    json: o.JsonFile = None,
    debug: o.Debug = False,
    quiet: o.Quiet = False,
) -> None:
    """Restyle videos or pictures: every frame, its time stamp and the sound are kept.

    Options that are not given take the model's own defaults.
    """
    asked = o.from_words(dict(locals()))
    _set_up_logging(debug)
    from stream.restyle_command import RestyleRun

    raise typer.Exit(RestyleRun(asked).code())


@app.command(epilog=EPILOG)
def live(
    source: lo.From = "camera",
    to: lo.To = None,
    prompt: o.Prompt = None,
    strength: o.Strength = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    seed: o.Seed = None,
    stability: o.Stability = None,
    model: o.ModelName = "bundled",
    lora: o.Loras = None,
    vae: o.Vae = None,
    offline: o.Offline = False,
    device: o.Device = "auto",
    compile: o.Compile = "auto",
    size: o.ShortSide = None,
    output_size: o.OutputSize = "source",
    camera_size: lo.CameraSize = None,
    camera_rate: lo.CameraRate = None,
    loop: lo.Loop = False,
    audio: lo.Audio = False,
    audio_device: lo.AudioDevice = None,
    on_loss: lo.OnLossOption = "hold",
    insecure: lo.Insecure = False,
    mirror: lo.Mirror = None,
    governor: lo.GovernorOption = "latency",
    fps_target: lo.HoldRate = o.FPS_TARGET,
    max_age: lo.MaxAge = lo.MAX_AGE_MS,
    duration: lo.Duration = None,
    transition: lo.Transition = lo.TRANSITION_S,
    styles: lo.Styles = None,
    control: lo.Control = None,
    metrics_port: lo.MetricsPort = None,
    codec: o.Codec = None,
    crf: o.Crf = None,
    preset: o.EncoderPreset = None,
    overwrite: o.Overwrite = False,
    json: o.JsonFile = None,
    debug: o.Debug = False,
    quiet: o.Quiet = False,
) -> None:
    """Restyle a camera, a stream, the screen or a playing file, live."""
    asked = lo.from_words(dict(locals()))
    _set_up_logging(debug)
    from stream.live_command import LiveRun

    raise typer.Exit(LiveRun(asked).code())


@app.command()
def models(json: lo.AsJson = False) -> None:
    """List the models known by name: licence, size, and whether they are on this machine."""
    from stream.listing import models_as_json, print_models

    if json:
        typer.echo(models_as_json(), nl=False)
    else:
        print_models(Console())


@app.command()
def styles() -> None:
    """List the prompts that the bundled model knows; two in one prompt are mixed."""
    from stream.listing import print_styles

    print_styles(Console())


@app.command()
def devices(json: lo.AsJson = False) -> None:
    """List the cameras and virtual cameras of this machine, with their modes."""
    from stream.devices import video_devices
    from stream.listing import as_json, print_devices

    found = video_devices()
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        print_devices(Console(), found)


@app.command(epilog=EPILOG)
def doctor(json: lo.AsJson = False) -> None:
    """Check this machine, and say how to mend what is not well; exit code 7 if anything is not."""
    from stream.doctor import examine
    from stream.listing import as_json, print_findings

    findings = examine()
    if json:
        typer.echo(as_json(findings), nl=False)
    else:
        print_findings(Console(), findings)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(ExitCode.UNFIT)


def _set_up_logging(debug: bool) -> None:
    """Our own words at DEBUG, or nothing: what a user must know is in the report."""
    if not debug:
        logging.getLogger().addHandler(logging.NullHandler())
        for library in ("DIFFUSERS", "TRANSFORMERS", "HF_HUB"):
            os.environ.setdefault(f"{library}_VERBOSITY", "error")
        return
    from rich.logging import RichHandler

    logging.basicConfig(handlers=[RichHandler(console=Console(stderr=True))], format="%(message)s")
    for name in ("stream", "models"):
        logging.getLogger(name).setLevel(logging.DEBUG)


@contextmanager
def stop_signals(stop: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal call `stop`; where there is nothing to stop, or on a
    second one, the program ends at once.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if not stop():
            raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGBREAK"):  # of Unix; of Windows
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            numbers.append(number)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
