"""Declares the options of `allaprima live` to typer. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer

from stream.command.shared_options import OUT, PAINT, TALK, flag, number, option, whole_number
from stream.live.options import LiveOptions
from stream.stylizer.options import STYLE_OPTIONS

IN = "Where it comes from"
TIME = "In time"

From = Annotated[
    str,
    typer.Option(
        "--from",
        "--camera",
        metavar="IN",
        help="Camera number, name or /dev/videoN; rtsp://, rtmp://, http://, udp://, tcp://; "
        "screen[:WxH+X+Y]; ndi:NAME, spout:NAME, syphon:NAME; a file; testsrc; - (standard input).",
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
        "tcp://, live.m3u8, ndi:NAME, spout:NAME, syphon:NAME, - (standard output) or null; may be "
        "repeated.",
    ),
]
PixelFormat = Annotated[
    str | None,
    option(
        IN,
        "--pixel-format",
        metavar="FORMAT",
        help="Of rawvideo in a pipe, by FFmpeg's name: rgb24; yuv420p if not given.",
    ),
]
OutputFormat = Annotated[
    str | None,
    option(
        OUT,
        "--output-format",
        metavar="FORMAT",
        help="Of --to -: nut (if not given), matroska, yuv4mpegpipe or rawvideo.",
    ),
]
CameraSize = Annotated[
    str | None,
    option(
        IN, "--camera-size", metavar="WxH", help="Size to ask of a camera; of rawvideo in --from -."
    ),
]
CameraRate = Annotated[
    float | None,
    option(
        IN,
        "--camera-rate",
        metavar="FPS",
        parser=number,
        help="Rate to ask of a camera; of rawvideo, 25 if not given.",
    ),
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
Osc = Annotated[
    str | None,
    option(
        TIME,
        "--osc",
        metavar="PORT",
        help="Take changes by Open Sound Control: a UDP port of this machine, or HOST:PORT.",
    ),
]
Midi = Annotated[
    str | None,
    option(
        TIME,
        "--midi",
        metavar="NAME",
        help="Take changes from MIDI inputs: part of their name, or any.",
    ),
]
MidiMap = Annotated[
    str | None,
    option(TIME, "--midi-map", metavar="FILE.toml", help="Which controller changes what."),
]
MidiLearn = Annotated[
    bool, flag(TIME, "--midi-learn", "Ask for a controller for each word, print a map, and end.")
]
Dmx = Annotated[
    str | None,
    option(
        TIME,
        "--dmx",
        metavar="WHERE",
        help="Take changes from a lighting desk: artnet[:UNIVERSE][@HOST] or "
        "sacn[:UNIVERSE][@HOST].",
    ),
]
Automation = Annotated[
    str | None,
    option(
        OUT,
        "--automation",
        metavar="FILE.jsonl",
        help="Record every change with its time, for restyle --automation.",
    ),
]
Schedule = Annotated[
    str | None,
    option(
        TIME,
        "--schedule",
        metavar="FILE",
        help="Play changes by their times or beats: a .jsonl, or a list of styles with times.",
    ),
]
RecordSource = Annotated[
    str | None,
    option(
        OUT,
        "--record-source",
        metavar="FILE.mkv",
        help="Record the input as it is, nearly lossless, to be rendered again.",
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
        "it; silent is a track without sound.",
    ),
]

Insecure = Annotated[
    bool, flag(IN, "--insecure", "Do not check the certificates of encrypted streams, in or out.")
]


def from_words(words: Mapping[str, Any]) -> LiveOptions:
    """The record of the command's parameters, by their names."""
    style = {field: words[name] for field, name in STYLE_OPTIONS.items()}
    named = {
        **words,
        "loras": words["lora"] or (),
        "style_images": words["style_image"] or (),
        "structures": words["structure"] or (),
        "stats": words["stats"] or words["debug"],
        "style_fields": {field: value for field, value in style.items() if value is not None},
    }
    return LiveOptions(**{field.name: named[field.name] for field in fields(LiveOptions)})
