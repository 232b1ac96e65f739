"""The options of `allaprima live`: how they are declared to typer, the record that they end up in,
and the checks that need no device and no model. Imports nothing heavy.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import typer

from models import Style
from stream.engine_options import EngineOptions
from stream.options import (
    OUT,
    PAINT,
    STYLE_OPTIONS,
    TALK,
    check_report,
    flag,
    number,
    option,
    whole_number,
)

IN = "Where it comes from"
TIME = "In time"

ON_LOSS = ("hold", "card")
GOVERNORS = ("off", "latency", "quality")
MAX_AGE_MS = 150.0
WINDOW = "window"
TRANSITION_S = 0.5
LONGEST_TRANSITION_S = 60.0

From = Annotated[
    str,
    typer.Option(
        "--from",
        "--camera",
        metavar="IN",
        help="Camera number, name or /dev/videoN; rtsp://, rtmp://, http://, udp://, tcp://; "
        "screen[:WxH+X+Y]; a file; testsrc.",
        rich_help_panel=IN,
    ),
]
To = Annotated[
    list[str] | None,
    option(
        OUT,
        "--to",
        metavar="OUT",
        help="window (the default), virtualcam, pipewire, a video file, rtmp://, rtsp://, udp://, "
        "tcp://, live.m3u8 or null; may be repeated.",
    ),
]
CameraSize = Annotated[
    str | None,
    option(IN, "--camera-size", metavar="WxH", help="Size to ask of a camera."),
]
CameraRate = Annotated[
    float | None,
    option(IN, "--camera-rate", metavar="FPS", parser=number, help="Rate to ask of a camera."),
]
Loop = Annotated[bool, flag(IN, "--loop", "Play a file round and round.")]
OnLossOption = Annotated[
    str,
    typer.Option(
        metavar="WHAT",
        help="While a camera or stream is away: hold the last picture, or show a card.",
        rich_help_panel=IN,
    ),
]
Mirror = Annotated[
    bool | None,
    typer.Option(
        "--mirror/--no-mirror",
        help="Whether the window is a mirror; if not given, for cameras only.",
        rich_help_panel=OUT,
        show_default=False,
    ),
]
GovernorOption = Annotated[
    str,
    typer.Option(
        "--governor",
        metavar="MODE",
        help="What may be given up to hold the rate: off (nothing), latency (steps, size, then "
        "painted frames), quality (painted frames only).",
        rich_help_panel=TIME,
    ),
]
HoldRate = Annotated[
    float,
    typer.Option(
        "--fps-target",
        metavar="FPS",
        parser=number,
        help="The rate that the governor holds.",
        rich_help_panel=TIME,
    ),
]
MaxAge = Annotated[
    float,
    typer.Option(
        metavar="MS",
        parser=number,
        help="No frame older than this is shown where a newer one can be.",
        rich_help_panel=TIME,
    ),
]
Duration = Annotated[
    float | None,
    option(
        TIME,
        "--duration",
        metavar="SECONDS",
        parser=number,
        help="Stop by itself so long after the first painted picture.",
    ),
]

Control = Annotated[
    str | None,
    option(
        TIME,
        "--control",
        metavar="WHERE",
        help="Take changes as JSON lines: a port of this machine, a Unix socket's path, or - for "
        "standard input.",
    ),
]
MetricsPort = Annotated[
    int | None,
    option(
        TALK,
        "--metrics-port",
        metavar="PORT",
        parser=whole_number,
        help="Tell Prometheus at http://127.0.0.1:PORT/metrics.",
    ),
]
Transition = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=number,
        help="How long a change of style is cross-faded.",
        rich_help_panel=PAINT,
    ),
]
Styles = Annotated[
    str | None,
    option(PAINT, "--styles", metavar="FILE.toml", help="The list that the next-style key takes."),
]

Audio = Annotated[
    bool, flag(IN, "--audio", "Pass on the input's sound, in time with its pictures.")
]
AudioDevice = Annotated[
    str | None,
    option(
        IN,
        "--audio-device",
        metavar="NAME",
        help="Take the sound from a microphone instead: default, or what the sound server calls "
        "it.",
    ),
]

Insecure = Annotated[
    bool, flag(IN, "--insecure", "Do not check the certificates of encrypted streams, in or out.")
]

AsJson = Annotated[bool, typer.Option("--json", help="Say it as JSON.")]


@dataclass(frozen=True, slots=True)
class LiveOptions(EngineOptions):
    """Everything that `allaprima live` was asked; ``None`` = the model's or device's own.

    Named as the command's parameters are, but for `loras`; `max_age` is in ms, `duration` in
    seconds. `style_fields` are those of `Style` that were given.
    """

    source: str
    to: Sequence[str] | None
    style_fields: Mapping[str, Any]
    output_size: str
    camera_size: str | None
    camera_rate: float | None
    loop: bool
    audio: bool
    audio_device: str | None
    on_loss: str
    insecure: bool
    mirror: bool | None
    governor: str
    fps_target: float
    max_age: float
    duration: float | None
    codec: str | None
    crf: int | None
    preset: str | None
    control: str | None
    metrics_port: int | None
    transition: float
    styles: str | None
    overwrite: bool
    json: str | None
    quiet: bool

    @property
    def outputs(self) -> list[str]:
        """What `--to` names; the window where it was not given."""
        return list(self.to or [WINDOW])

    def style(self, default: Style) -> Style:
        """`default` with everything that was given put in its place.

        Raises:
            ValueError: A value is outside its range.
        """
        return replace(default, **self.style_fields)

    def check(self) -> None:
        """Refuse what no model and no device could make right.

        Raises:
            ValueError: A value cannot be used (got and expected).
        """
        self.style(Style())
        self.check_engine()
        check_report(self.json, [self.source, *self.outputs])
        self._check_words()
        self._check_numbers()

    def _check_words(self) -> None:
        if self.governor not in GOVERNORS:
            modes = ", ".join(GOVERNORS)
            raise ValueError(f"got --governor {self.governor}, expected {modes}")
        if self.on_loss not in ON_LOSS:
            raise ValueError(f"got --on-loss {self.on_loss}, expected {' or '.join(ON_LOSS)}")
        if not 0 <= self.transition <= LONGEST_TRANSITION_S:
            raise ValueError(
                f"got --transition {self.transition:g}, expected 0 to {LONGEST_TRANSITION_S:g}"
            )
        repeated = [spec for spec in self.outputs if self.outputs.count(spec) > 1]
        if repeated and repeated[0] != "null":
            raise ValueError(f"got --to {repeated[0]} twice, expected each output once")

    def _check_numbers(self) -> None:
        for name, value in (
            ("fps-target", self.fps_target),
            ("max-age", self.max_age),
            ("duration", self.duration),
            ("camera-rate", self.camera_rate),
        ):
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"got --{name} {value:g}, expected more than 0")


def from_words(words: Mapping[str, Any]) -> LiveOptions:
    """The record of the command's parameters, by their names."""
    style = {field: words[name] for field, name in STYLE_OPTIONS.items()}
    named = {
        **words,
        "loras": words["lora"] or (),
        "style_fields": {field: value for field, value in style.items() if value is not None},
    }
    return LiveOptions(**{field.name: named[field.name] for field in fields(LiveOptions)})
