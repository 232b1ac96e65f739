"""Opens the source of a live session from a spec such as `camera` or `rtsp://...`.

spec                                  source
------------------------------------  ---------------------------------------------
0, /dev/video2, camera, a name        stream.sources.camera.CameraSource
rtsp://, rtmp://, http://, udp:// …   stream.sources.network.NetworkSource
screen[:640x360+10+20]                stream.sources.screen.ScreenSource
ndi:NAME                              stream.sources.ndi.NdiSource
spout:NAME, syphon:NAME               stream.sources.spout, stream.sources.syphon
clip.mp4, testsrc                     stream.sources.paced.PacedSource of a VideoSource
-                                     the same of stream.sources.pipe.PipeSource

Cameras, streams and other programs are wrapped in a ReconnectingSource, which opens them again when
they are lost, and that in a SteadySource, which reads in a thread of its own and repeats the last
picture.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream.addresses import PIPE, shown
from stream.clock import Clock
from stream.frame import Size
from stream.media.other_programs import carrier_of
from stream.sources import GENERATOR, open_source
from stream.sources.base import Source
from stream.sources.reconnecting import OnLoss, ReconnectingSource
from stream.sources.steady import SteadySource
from stream.stats import Stats

if TYPE_CHECKING:
    from stream.sources.pipe import RawVideo

SourceKind = Literal["camera", "network", "screen", "program", "file", "pipe"]

DEFAULT_CAMERA = "camera"
"""The spec of the first camera there is."""

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)

FILE_SUFFIX = re.compile(r"\.(?=\w*[a-z])\w{1,5}", re.IGNORECASE)
"""What makes a name one of a file; "USB2.0 HD UVC WebCam" is that of a camera."""


@dataclass(frozen=True, slots=True)
class LiveInput:
    """Where live frames come from.

    Attributes:
        spec: As in the table above.
        size, rate: Asked of a camera or a screen; ``None`` leaves it to the device.
        loop: A file, here or on a server, starts anew at its end.
        on_loss: What is shown while a camera or stream is away.
        sound: Give the sound of a file or a stream too.
        insecure: Certificates of encrypted streams are not checked.
        raw: What standard input is, where it does not say that itself.
    """

    spec: str = DEFAULT_CAMERA
    size: Size | None = None
    rate: float | None = None
    loop: bool = False
    on_loss: OnLoss = field(default="hold")
    sound: bool = False
    insecure: bool = False
    raw: "RawVideo | None" = None


def source_kind(spec: str) -> SourceKind:
    """What a spec names."""
    if spec == PIPE:
        return "pipe"
    if URL.match(spec):
        return "network"
    if carrier_of(spec) is not None:
        return "program"
    if spec == "screen" or spec.startswith("screen:"):
        return "screen"
    path = Path(spec)
    names_file = path.exists() or FILE_SUFFIX.fullmatch(path.suffix)
    if GENERATOR.match(spec) or (names_file and not spec.startswith("/dev/")):
        return "file"
    return "camera"


def open_live_source(wanted: LiveInput, *, clock: Clock, stats: Stats) -> Source:
    """
    Raises:
        SourceError: There is nothing of that name, or it gives no pictures.
    """
    kind = source_kind(wanted.spec)
    if kind == "pipe":
        from stream.sources.paced import PacedSource
        from stream.sources.pipe import PipeSource

        return PacedSource(lambda: PipeSource(wanted.raw), clock=clock)
    if kind == "file":
        from stream.sources.paced import PacedSource

        return PacedSource(
            lambda: open_source(wanted.spec), clock=clock, loop=wanted.loop, sound=wanted.sound
        )
    source = ReconnectingSource(
        _opener(kind, wanted, clock),
        shown(wanted.spec),
        clock=clock,
        stats=stats,
        on_loss=wanted.on_loss,
        loop=wanted.loop,
    )
    return SteadySource(source, clock=clock)


def _opener(kind: SourceKind, wanted: LiveInput, clock: Clock) -> Callable[[], Source]:
    if kind == "network":
        from stream.sources.network import open_url

        return lambda: open_url(
            wanted.spec, clock=clock, sound=wanted.sound, insecure=wanted.insecure
        )
    if kind == "program":
        from stream.sources.other_programs import open_other_program

        return lambda: open_other_program(wanted.spec, clock=clock, sound=wanted.sound)
    if kind == "screen":
        from stream.sources.screen import ScreenSource

        return lambda: ScreenSource(wanted.spec, wanted.rate)
    from stream.sources.camera import CameraMode, CameraSource

    name = "0" if wanted.spec == DEFAULT_CAMERA else wanted.spec
    mode = CameraMode(wanted.size, wanted.rate)
    return lambda: CameraSource(name, mode, clock=clock)
