"""The command `allaprima`: words of the shell in, objects and exit codes out.

    restyle ──options──► jobs ──► source, engine, stylizer, sink ──► Session.run ──► report
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
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models import ModelError
from stream import live_options as lo
from stream import options as o
from stream.errors import ControlError, SinkError, SourceError, StreamError
from stream.exitcode import ExitCode

if TYPE_CHECKING:
    from stream.jobs import Job
    from stream.report import Outcome
    from stream.restyle import Restyler
    from stream.source import VideoInfo

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
    model: o.ModelName = "bundled",
    lora: o.Loras = None,
    vae: o.Vae = None,
    offline: o.Offline = False,
    device: o.Device = "auto",
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
    _set_up_logging(debug)
    asked = o.RestyleOptions(
        inputs=inputs,
        output=output,
        prompt=prompt,
        strength=strength,
        steps=steps,
        guidance=guidance,
        seed=seed,
        stability=stability,
        model=model,
        loras=lora or (),
        vae=vae,
        offline=offline,
        device=device,
        size=size,
        output_size=output_size,
        fps_target=fps_target,
        codec=codec,
        crf=crf,
        encoder_preset=preset,
        overwrite=overwrite,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(_Run(asked).code())


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
    size: o.ShortSide = None,
    output_size: o.OutputSize = "source",
    camera_size: lo.CameraSize = None,
    camera_rate: lo.CameraRate = None,
    loop: lo.Loop = False,
    audio: lo.Audio = False,
    on_loss: lo.OnLossOption = "hold",
    mirror: lo.Mirror = None,
    governor: lo.GovernorOption = "latency",
    fps_target: lo.HoldRate = o.FPS_TARGET,
    max_age: lo.MaxAge = lo.MAX_AGE_MS,
    duration: lo.Duration = None,
    transition: lo.Transition = lo.TRANSITION_S,
    styles: lo.Styles = None,
    control: lo.Control = None,
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


class _Run:
    """One call of `allaprima restyle`: its jobs, and what became of them so far."""

    def __init__(self, asked: o.RestyleOptions) -> None:
        self._asked = asked
        self._outcomes: list[Outcome] = []
        self._codes: list[ExitCode] = []

    def code(self) -> ExitCode:
        """Restyle everything that was asked for; how it ended."""
        try:
            self._restyle_all()
        except KeyboardInterrupt:
            say("Stopped at once.")
            self._codes.append(ExitCode.INTERRUPTED)
        except tuple(EXIT_CODES) as err:
            self._failed(err)
        return self._verdict()

    def _restyle_all(self) -> None:
        from stream.jobs import plan_jobs
        from stream.progress import DownloadProgress
        from stream.restyle import Restyler

        with o.option_names():
            self._asked.check()
            jobs = plan_jobs(
                self._asked.inputs, self._asked.output, overwrite=self._asked.overwrite
            )
        downloads = DownloadProgress(Console(stderr=True), quiet=self._asked.quiet)
        restyler = Restyler(
            self._asked, watch=self._watch, on_load=self._say_loading, on_download=downloads
        )
        with stop_signals(restyler.stop), downloads:
            for job in jobs:
                self._restyle(restyler, job, alone=len(jobs) == 1)
                if restyler.stopped:
                    break
        self._write_json()

    def _restyle(self, restyler: "Restyler", job: "Job", *, alone: bool) -> None:
        """One job; an input that cannot be read does not keep the others from being restyled."""
        try:
            outcome = restyler.restyle(job)
        except SourceError as err:
            if alone:
                raise
            self._failed(err)
            return
        self._outcomes.append(outcome)
        self._codes.append(_code(outcome))
        if not self._asked.quiet:
            from stream.report import print_report

            print_report(Console(stderr=self._asked.json == o.STDOUT), outcome)

    def _say_loading(self) -> None:
        console = Console(stderr=True)
        if console.is_terminal and not self._asked.quiet:
            console.print(f"Loading {self._asked.model} ...", markup=False, highlight=False)

    def _failed(self, error: Exception) -> None:
        logger.debug("what failed", exc_info=error)
        say(str(error))
        self._codes.append(
            next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
        )

    def _verdict(self) -> ExitCode:
        """One code for all jobs: what stopped them, else whether each, none or some succeeded."""
        codes = set(self._codes)
        stopped = [code for code in (ExitCode.INTERRUPTED, *EXIT_CODES.values()) if code in codes]
        if len(codes) == 1:
            return codes.pop()
        return stopped[0] if stopped and stopped != [ExitCode.INPUT] else ExitCode.PARTIAL

    @contextmanager
    def _watch(self, job: "Job", info: "VideoInfo") -> Iterator[Callable[[], None]]:
        from stream.progress import FrameProgress

        console = Console(stderr=True)
        name = Path(job.source).name
        with FrameProgress(console, name, info.frame_count, quiet=self._asked.quiet) as progress:
            yield progress.advance

    def _write_json(self) -> None:
        """The report for programs, where it was asked for and there is something to say."""
        from stream.report import as_json

        where = self._asked.json
        if where is None or not self._outcomes:
            return
        text = as_json(self._outcomes)
        if where == o.STDOUT:
            typer.echo(text, nl=False)
            return
        try:
            Path(where).write_text(text, encoding="utf-8")
        except OSError as err:
            raise SinkError(f"The report {where} cannot be written ({err.strerror}).") from err


def _code(outcome: "Outcome") -> ExitCode:
    if outcome.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.PARTIAL if outcome.damaged else ExitCode.DONE


@contextmanager
def stop_signals(stop: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`; where there is nothing to stop, or on a second one, the
    program ends at once.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if not stop():
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
