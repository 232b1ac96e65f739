"""The command `allaprima`: the entry point, and the signature of each subcommand for typer.

    restyle ──► restyle.RestyleRun ──► stream.offline.restyler.Restyler
    live    ──► live.LiveRun       ──► stream.live.runner.LiveRunner
    studio  ──► studio.StudioRun   ──► stream.studio.runner.StudioRunner
    learn   ──► learn.LearnRun     ──► stream.offline.learning.learn_files

Slow imports are made inside the commands that need them, so that --help is quick.
"""

import logging
import os
import sys
from types import TracebackType
from typing import Annotated

import typer

from stream.command import (
    learn_options,
    live_options,
    restyle_options,
    studio_options,
    unfinished,
)
from stream.command import shared_options as shared
from stream.command.examples import epilog
from stream.command.exit_codes import ExitCode
from stream.command.messages import plain_console, say
from stream.live.options import MAX_AGE_MS, TRANSITION_S, LiveOptions
from stream.studio.options import FOLDER, HOST, PORT
from stream.stylizer.options import FPS_TARGET

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
    """The entry point: an unexpected exception ends in one sentence, not in a traceback."""
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
    workers = sys.modules.get("stream.workers")
    if workers is not None and workers.workers_left():
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


@app.command(epilog=epilog("restyle", EPILOG))
def restyle(
    inputs: restyle_options.Inputs,
    output: restyle_options.Output,
    automation: restyle_options.Automation = None,
    prompt: shared.Prompt = None,
    strength: shared.Strength = None,
    steps: shared.Steps = None,
    guidance: shared.Guidance = None,
    seed: shared.Seed = None,
    stability: shared.Stability = None,
    mask: shared.Mask = None,
    style_image: shared.StyleImages = None,
    structure: shared.Structures = None,
    blend: shared.Blend = "auto",
    look_ahead: restyle_options.LookAhead = True,
    every: restyle_options.Every = 1,
    batch: restyle_options.Batch = 1,
    workers: restyle_options.Workers = None,
    cluster: restyle_options.Cluster = None,
    model: shared.ModelName = "bundled",
    lora: shared.Loras = None,
    switch_loras: shared.SwitchLoras = False,
    vae: shared.Vae = None,
    ip_adapter: shared.IpAdapter = None,
    depth_model: shared.DepthModel = None,
    offline: shared.Offline = False,
    device: shared.Device = "auto",
    compile: shared.Compile = "auto",
    size: shared.ShortSide = None,
    output_size: shared.OutputSize = "source",
    fps_target: shared.FpsTarget = None,
    codec: shared.Codec = None,
    crf: shared.Crf = None,
    preset: shared.EncoderPreset = None,
    audio: restyle_options.Audio = "copy",
    framerate: restyle_options.Framerate = None,
    pixel_format: restyle_options.PixelFormat = None,
    input_size: restyle_options.InputSize = None,
    output_format: restyle_options.OutputFormat = None,
    overwrite: shared.Overwrite = False,
    recursive: restyle_options.Recursive = False,
    watch: restyle_options.Watching = False,
    recipe: shared.RecipeFile = None,
    json: shared.JsonFile = None,
    stats: shared.Statistics = False,
    debug: shared.Debug = False,
    quiet: shared.Quiet = False,
) -> None:
    """Restyle videos or pictures: every frame, its time stamp and the sound are kept.

    Options that are not given take the model's own defaults.
    """
    asked = restyle_options.from_words(dict(locals()))
    _set_up_logging(debug)
    from stream.command.restyle import code

    raise typer.Exit(code(asked))


@app.command(
    epilog=epilog("live", EPILOG),
    help="Restyle a camera, a stream, the screen or a playing file, live.",
)
def live(
    source: live_options.From = "camera",
    to: live_options.To = None,
    prompt: shared.Prompt = None,
    strength: shared.Strength = None,
    steps: shared.Steps = None,
    guidance: shared.Guidance = None,
    seed: shared.Seed = None,
    stability: shared.Stability = None,
    mask: shared.Mask = None,
    style_image: shared.StyleImages = None,
    structure: shared.Structures = None,
    blend: shared.Blend = "auto",
    model: shared.ModelName = "bundled",
    lora: shared.Loras = None,
    switch_loras: shared.SwitchLoras = False,
    vae: shared.Vae = None,
    ip_adapter: shared.IpAdapter = None,
    depth_model: shared.DepthModel = None,
    offline: shared.Offline = False,
    device: shared.Device = "auto",
    compile: shared.Compile = "auto",
    size: shared.ShortSide = None,
    output_size: shared.OutputSize = "source",
    camera_size: live_options.CameraSize = None,
    camera_rate: live_options.CameraRate = None,
    loop: live_options.Loop = False,
    audio: live_options.Audio = False,
    audio_device: live_options.AudioDevice = None,
    on_loss: live_options.OnLossOption = "hold",
    insecure: live_options.Insecure = False,
    mirror: live_options.Mirror = None,
    governor: live_options.GovernorOption = "latency",
    fps_target: live_options.HoldRate = FPS_TARGET,
    max_age: live_options.MaxAge = MAX_AGE_MS,
    duration: live_options.Duration = None,
    transition: live_options.Transition = TRANSITION_S,
    styles: live_options.Styles = None,
    control: live_options.Control = None,
    osc: live_options.Osc = None,
    midi: live_options.Midi = None,
    midi_map: live_options.MidiMap = None,
    midi_learn: live_options.MidiLearn = False,
    dmx: live_options.Dmx = None,
    automation: live_options.Automation = None,
    schedule: live_options.Schedule = None,
    record_source: live_options.RecordSource = None,
    metrics_port: live_options.MetricsPort = None,
    codec: shared.Codec = None,
    crf: shared.Crf = None,
    preset: shared.EncoderPreset = None,
    pixel_format: live_options.PixelFormat = None,
    output_format: live_options.OutputFormat = None,
    overwrite: shared.Overwrite = False,
    json: shared.JsonFile = None,
    stats: shared.Statistics = False,
    debug: shared.Debug = False,
    quiet: shared.Quiet = False,
) -> None:
    raise typer.Exit(_live(live_options.from_words(dict(locals())), debug))


def _live(asked: LiveOptions, debug: bool) -> ExitCode:
    _set_up_logging(debug)
    from stream.command.live import LiveRun

    return LiveRun(asked).code()


@app.command(epilog=epilog("jobs", EPILOG))
def jobs(
    folder: unfinished.Folder = ".",
    clear: unfinished.Clear = False,
    json: shared.AsJson = False,
) -> None:
    """List the films that are not finished in a folder and below, and what their parts hold."""
    raise typer.Exit(unfinished.code(plain_console(), folder, clear=clear, as_json=json))


@app.command(epilog=epilog("studio", EPILOG))
def studio(
    host: studio_options.Host = HOST,
    port: studio_options.Port = PORT,
    host_name: studio_options.HostNames = None,
    opens: studio_options.Opens = True,
    seats: studio_options.Seats = None,
    key: studio_options.Key = None,
    require_key: studio_options.RequireKey = False,
    tls: studio_options.Tls = None,
    tls_cert: studio_options.TlsCertificate = None,
    tls_key: studio_options.TlsKey = None,
    folder: studio_options.KeptIn = FOLDER,
    stability: shared.Stability = None,
    model: shared.ModelName = "bundled",
    lora: shared.Loras = None,
    switch_loras: shared.SwitchLoras = False,
    vae: shared.Vae = None,
    offline: shared.Offline = False,
    device: shared.Device = "auto",
    compile: shared.Compile = "auto",
    size: shared.ShortSide = None,
    debug: shared.Debug = False,
    quiet: shared.Quiet = False,
) -> None:
    """Paint in the browser: live, on a canvas, and files by drag and drop."""
    asked = studio_options.from_words(dict(locals()))
    _set_up_logging(debug)
    from stream.command.studio import StudioRun

    raise typer.Exit(StudioRun(asked).code())


@app.command(epilog=epilog("learn", EPILOG))
def learn(
    frame: learn_options.Frames,
    painting: learn_options.Paintings,
    output: learn_options.Output,
    prompt: learn_options.Word = None,
    size: learn_options.Size = None,
    steps: learn_options.Steps = 1500,
    minutes: learn_options.Minutes = 10.0,
    seed: learn_options.Seed = 0,
    model: shared.ModelName = "bundled",
    offline: shared.Offline = False,
    overwrite: shared.Overwrite = False,
    debug: shared.Debug = False,
    quiet: shared.Quiet = False,
) -> None:
    """Learn a look from a frame and what you painted over it; a LoRA for --lora comes out."""
    asked = learn_options.from_words(dict(locals()))
    _set_up_logging(debug)
    from stream.command.learn import LearnRun

    raise typer.Exit(LearnRun(asked).code())


@app.command(epilog=epilog("models"))
def models(json: shared.AsJson = False) -> None:
    """List the models known by name: licence, size, and whether they are on this machine."""
    from stream.command.listing import models_as_json, print_models

    if json:
        typer.echo(models_as_json(), nl=False)
    else:
        print_models(plain_console())


@app.command(epilog=epilog("styles"))
def styles() -> None:
    """List the prompts that the bundled model knows; two in one prompt are mixed."""
    from stream.command.listing import print_styles

    print_styles(plain_console())


@app.command(epilog=epilog("devices"))
def devices(json: shared.AsJson = False) -> None:
    """List the cameras and virtual cameras of this machine, and what other programs give (NDI)."""
    from stream.command.listing import as_json, print_devices
    from stream.devices import video_devices
    from stream.sources.other_programs import program_devices

    found = [*video_devices(), *program_devices()]
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        print_devices(plain_console(), found)


@app.command(epilog=epilog("doctor", EPILOG))
def doctor(size: shared.DoctorSize = None, json: shared.AsJson = False) -> None:
    """Check this machine, paint for a second, and say how to mend what is not well; exit code 7 if
    anything is not.
    """
    from stream.command.doctor import Machine, examine
    from stream.command.listing import as_json, print_findings
    from stream.command.messages import first_use_said
    from stream.command.painting_speed import measure

    with first_use_said(plain_console(stderr=True), quiet=json):
        findings = examine(Machine(paints=lambda: measure(size)))
    if json:
        typer.echo(as_json(findings), nl=False)
    else:
        print_findings(plain_console(), findings)
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

    logging.basicConfig(
        handlers=[RichHandler(console=plain_console(stderr=True))], format="%(message)s"
    )
    for name in ("stream", "models"):
        logging.getLogger(name).setLevel(logging.DEBUG)
