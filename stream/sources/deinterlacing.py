"""Deinterlacer: one progressive picture for each interlaced one, at its own time, by bwdif.

Passes progressive pictures through untouched until the first interlaced one is met; from there on
all go through the filter, which still leaves progressive ones as they are.
"""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame


class Deinterlacer:
    """Not thread-safe; one per stream.

    Attributes:
        count: Interlaced pictures met.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] = (0, 0, "")
        self.count = 0

    def process(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The same pictures, as many and at the same times, none interlaced."""
        for frame in frames:
            shape = (frame.width, frame.height, frame.format.name)
            if self._graph is not None and shape != self._shape:
                yield from self._drain()
            self.count += frame.interlaced_frame
            if self._graph is None and not frame.interlaced_frame:
                yield frame
                continue
            if self._graph is None:
                self._graph = self._build(frame)
                self._shape = shape
            self._graph.vpush(frame)
            yield from self._pull(self._graph)
        yield from self._drain()

    def notes(self) -> list[str]:
        """A sentence on what was done, or none."""
        if not self.count:
            return []
        return [f"Interlaced frames that were deinterlaced (bwdif), one for each: {self.count}."]

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=self._time_base,
            ),
            graph.add("bwdif", "mode=send_frame:deint=interlaced"),
            graph.add("buffersink"),
        ).configure()
        return graph

    def _drain(self) -> Iterator[VideoFrame]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pull(self._graph)
            self._graph = None

    def _pull(self, graph: Graph) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            self._restore_time(frame)
            yield frame

    def _restore_time(self, frame: VideoFrame) -> None:
        """The filter counts in half ticks, to have a place for a second field."""
        if frame.time_base is None:
            return
        scale = frame.time_base / self._time_base
        frame.duration = int(frame.duration * scale)
        if frame.pts is not None:
            frame.pts = int(frame.pts * scale)
        frame.time_base = self._time_base
