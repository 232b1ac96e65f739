"""Frames in time: the door of `stream`.

    source, engine = open_source("clip.mp4"), load_engine("bundled")
    sink = open_sink("painted.mp4", info=source.info)
    Session(source, Stylizer(engine), sink).run()

Importing this is cheap: each name brings its module with it when it is first used, torch none.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.channel import Channel
    from stream.clock import Clock, ManualClock, Pacer
    from stream.errors import Closed, SinkError, SourceError, StreamError
    from stream.frame import Frame, Size
    from stream.geometry import OutputSize, parse_output_size
    from stream.offline.session import Session
    from stream.sinks import open_sink
    from stream.sinks.base import Sink, VideoEncoding
    from stream.sources import open_source
    from stream.sources.base import Source
    from stream.stats import Stats
    from stream.stylizer.stylizer import Stylizer
    from stream.video_info import VideoInfo

__all__ = [
    "Channel",
    "Clock",
    "Closed",
    "Frame",
    "ManualClock",
    "OutputSize",
    "Pacer",
    "Session",
    "Sink",
    "SinkError",
    "Size",
    "Source",
    "SourceError",
    "Stats",
    "StreamError",
    "Stylizer",
    "VideoEncoding",
    "VideoInfo",
    "open_sink",
    "open_source",
    "parse_output_size",
]

_MODULES = {
    "channel": ("Channel",),
    "clock": ("Clock", "ManualClock", "Pacer"),
    "errors": ("Closed", "SinkError", "SourceError", "StreamError"),
    "frame": ("Frame", "Size"),
    "geometry": ("OutputSize", "parse_output_size"),
    "offline.session": ("Session",),
    "sinks": ("open_sink",),
    "sinks.base": ("Sink", "VideoEncoding"),
    "sources": ("open_source",),
    "sources.base": ("Source",),
    "stats": ("Stats",),
    "stylizer.stylizer": ("Stylizer",),
    "video_info": ("VideoInfo",),
}
_HOMES = {name: f"stream.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
