"""Frames in time: the door of `stream`. Imports nothing of torch."""

from stream.channel import Channel
from stream.clock import Clock, ManualClock, Pacer
from stream.errors import Closed, SinkError, SourceError, StreamError
from stream.frame import Frame, Size
from stream.geometry import OutputSize, parse_output_size
from stream.session import Session
from stream.sink import Sink
from stream.source import Source, VideoInfo
from stream.stats import Stats
from stream.stylizer import Stylizer

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
    "VideoInfo",
    "parse_output_size",
]
