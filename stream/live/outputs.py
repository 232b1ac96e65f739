"""Opens an output of a live session from a spec such as `window` or `take.mp4`.

spec                              sink
--------------------------------  ---------------------------------------------------
window                            stream.sinks.window.WindowSink
rtmp://, rtsp://, udp://, tcp://  stream.sinks.network.NetworkSink
live.m3u8                         the same: HLS
virtualcam                        stream.sinks.virtual_camera.VirtualCameraSink
pipewire                          stream.sinks.pipewire.PipeWireSink
take.mp4, any video file          stream.sinks.video.VideoSink, tuned for speed
ndi:NAME                          stream.sinks.ndi.NdiSink
spout:NAME, syphon:NAME           stream.sinks.spout.SpoutSink, stream.sinks.syphon.SyphonSink
null                              stream.sinks.null.NullSink
-                                 stream.sinks.pipe.PipeSink
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from stream.addresses import PIPE
from stream.clock import Clock
from stream.live.controls import Controls
from stream.live.options import WINDOW
from stream.live.pipes import open_pipe_sink
from stream.media.other_programs import Carrier, carrier_of, name_of
from stream.sinks import names_video, open_sink
from stream.sinks.base import NULL, Sink, VideoEncoding
from stream.sinks.profiles import RECORDING, SOURCE_RECORDING
from stream.stats import Stats
from stream.video_info import VideoInfo

VIRTUAL_CAMERA = "virtualcam"
PIPEWIRE = "pipewire"
DEVICES = (WINDOW, VIRTUAL_CAMERA, PIPEWIRE)


def may_be_lacking(spec: str) -> bool:
    """Whether a machine may lack an output; a session goes on without where it has another."""
    return spec in DEVICES or carrier_of(spec) is not None


PLAYLIST = ".m3u8"
DEFAULT_RATE = Fraction(24)


@dataclass(frozen=True, slots=True)
class LiveOutputs:
    """What the outputs of one session share.

    Attributes:
        info: The source's; its time base is the session's.
        encoding: For recordings; what is ``None`` in it is chosen for speed.
        overwrite: Whether a recording may replace a file.
        mirrored: Whether the window is.
        insecure: Certificates of encrypted streams are not checked.
        output_format, pixel_format: Of standard output, as `open_pipe_sink` takes them.
    """

    info: VideoInfo
    controls: Controls
    stats: Stats
    clock: Clock
    encoding: VideoEncoding = field(default_factory=VideoEncoding)
    overwrite: bool = False
    mirrored: bool = False
    insecure: bool = False
    output_format: str | None = None
    pixel_format: str | None = None


def open_live_sink(spec: str, shared: LiveOutputs) -> Sink:
    """
    Raises:
        SinkError: It cannot be opened, or exists, or there is no display.
        ValueError: A quality or preset that the codec does not have.
    """
    if spec == WINDOW:
        from stream.live.window import open_window

        return open_window(
            shared.controls, shared.stats, mirrored=shared.mirrored, clock=shared.clock
        )
    carrier = carrier_of(spec)
    if carrier is not None:
        return _open_other_program(carrier, name_of(spec), shared.info)
    if "://" in spec or spec.lower().endswith(PLAYLIST):
        from stream.sinks.network import NetworkSink

        rate = shared.info.rate or DEFAULT_RATE
        return NetworkSink(
            spec,
            rate=rate,
            clock=shared.clock,
            stats=shared.stats,
            sound=shared.info.sound,
            insecure=shared.insecure,
        )
    if spec == VIRTUAL_CAMERA:
        from stream.sinks.virtual_camera import VirtualCameraSink

        return VirtualCameraSink(rate=shared.info.rate or DEFAULT_RATE)
    if spec == PIPEWIRE:
        from stream.sinks.pipewire import PipeWireSink

        rate = shared.info.rate or DEFAULT_RATE
        return PipeWireSink(rate=rate, clock=shared.clock, stats=shared.stats)
    if spec == PIPE:
        return open_pipe_sink(
            shared.info, shared.output_format, shared.encoding, shared.pixel_format
        )
    if spec == NULL:
        return open_sink(spec, info=shared.info)
    return _open_recording(spec, shared)


def _open_other_program(carrier: Carrier, name: str, info: VideoInfo) -> Sink:
    if carrier == "ndi":
        from stream.sinks.ndi import NdiSink

        return NdiSink(name, rate=info.rate or DEFAULT_RATE, sound=info.sound)
    if carrier == "spout":
        from stream.sinks.spout import SpoutSink

        return SpoutSink(name)
    from stream.sinks.syphon import SyphonSink

    return SyphonSink(name)


def open_source_recording(spec: str, shared: LiveOutputs) -> Sink:
    """The sink for what the source gives, unpainted.

    Raises:
        SinkError: It cannot be opened, or exists.
        ValueError: It names no video file.
    """
    if not names_video(spec) or "://" in spec:
        raise ValueError(f"got record_source={spec}, expected a video file such as take-source.mkv")
    plain = replace(shared, encoding=VideoEncoding())
    return _open_recording(spec, plain, SOURCE_RECORDING)


def _open_recording(
    spec: str, shared: LiveOutputs, profile: Mapping[str, VideoEncoding] = RECORDING
) -> Sink:
    from stream.sinks.encoding import CONTAINERS
    from stream.sinks.video import VideoSink

    if not names_video(spec):
        return open_sink(spec, info=shared.info, overwrite=shared.overwrite)
    asked, container = shared.encoding, CONTAINERS.get(Path(spec).suffix.lower())
    codec = asked.codec or (container.codec if container else "")
    quick = profile.get(codec, VideoEncoding())
    encoding = replace(
        quick,
        codec=asked.codec,
        crf=quick.crf if asked.crf is None else asked.crf,
        preset=asked.preset or quick.preset,
    )
    return VideoSink(
        spec, info=shared.info, encoding=encoding, overwrite=shared.overwrite, is_take=True
    )
