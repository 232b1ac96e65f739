"""Frames in time: the door of `stream`.

    source, engine = open_source("clip.mp4"), load_engine("bundled")
    sink = open_sink("painted.mp4", info=source.info)
    Session(source, Stylizer(engine), sink).run()

Importing this is cheap: each name brings its module with it when it is first used, torch none.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers need spelled out; a test holds it equal to the table below
    from stream.channel import Channel as Channel
    from stream.clock import Clock as Clock
    from stream.clock import ManualClock as ManualClock
    from stream.clock import Pacer as Pacer
    from stream.errors import Closed as Closed
    from stream.errors import SinkError as SinkError
    from stream.errors import SourceError as SourceError
    from stream.errors import StreamError as StreamError
    from stream.frame import Frame as Frame
    from stream.frame import Size as Size
    from stream.geometry import OutputSize as OutputSize
    from stream.geometry import parse_output_size as parse_output_size
    from stream.offline.session import Session as Session
    from stream.sinks import open_sink as open_sink
    from stream.sinks.base import Sink as Sink
    from stream.sinks.base import VideoEncoding as VideoEncoding
    from stream.sources import open_source as open_source
    from stream.sources.base import Source as Source
    from stream.stats import Stats as Stats
    from stream.stylizer.stylizer import Stylizer as Stylizer
    from stream.video_info import VideoInfo as VideoInfo

_NAMES = {
    "stream.channel": ("Channel",),
    "stream.clock": ("Clock", "ManualClock", "Pacer"),
    "stream.errors": ("Closed", "SinkError", "SourceError", "StreamError"),
    "stream.frame": ("Frame", "Size"),
    "stream.geometry": ("OutputSize", "parse_output_size"),
    "stream.offline.session": ("Session",),
    "stream.sinks": ("open_sink",),
    "stream.sinks.base": ("Sink", "VideoEncoding"),
    "stream.sources": ("open_source",),
    "stream.sources.base": ("Source",),
    "stream.stats": ("Stats",),
    "stream.stylizer.stylizer": ("Stylizer",),
    "stream.video_info": ("VideoInfo",),
}
"""Module -> the public names that it holds."""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
