"""PartWriter: one encoder's packets in a file of their own, to be joined later.

A part is NUT, which keeps times exactly; where NUT does not hold the codec (ProRes, QuickTime
Animation), it is of the film's own format. Its packets' order says which picture each is; the times
that count are kept beside it, and `stream.sinks.joining` puts them back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.video.stream import VideoStream

from stream.frame import Frame, Size
from stream.sinks.encoding import EncodingPlan, encoder_threads, takes_codec
from stream.sinks.muxing import Muxer
from stream.video_info import VideoInfo

PART_FORMAT = "nut"


@dataclass(slots=True)
class Tail:
    """A part that a stop ended before its end: whole frames in a file.

    Attributes:
        path: The file.
        pts: When its frames are shown.
        stop: When the last of them is over.
    """

    path: Path
    pts: list[int]
    stop: int

    def abandon(self) -> None:
        """Remove the file. May be called twice."""
        self.path.unlink(missing_ok=True)


class PartWriter:
    """Encodes the frames of one part. Not thread-safe.

    Args:
        path: Where to write.
        plan: How the film is encoded; only its encoder counts here.
        info: What the source says; nothing else of its file is copied.
        size: (width, height) of the frames to come.
        time_base: Seconds per unit of their pts.

    Attributes:
        pts: Of the frames so far, as they came.
        stop: When the last of them is over, in the same units.
        notes: What the encoder had to change.

    Raises:
        av.FFmpegError: The encoder or the file cannot be opened.
    """

    def __init__(
        self, path: Path, *, plan: EncodingPlan, info: VideoInfo, size: Size, time_base: Fraction
    ) -> None:
        self.path = path
        self.pts: list[int] = []
        self.stop = 0
        self.notes: list[str] = []
        self._muxer = PartMuxer(
            path,
            plan=replace(plan, format=_format(plan), muxer_options={}),
            info=replace(info, path=None, sound=False),
            size=size,
            time_base=time_base,
            notes=self.notes,
            threads=encoder_threads(size),
        )

    def write(self, frame: Frame) -> None:
        """Encode one frame.

        Raises:
            av.FFmpegError: The file cannot take it.
        """
        self._muxer.write(frame)
        self.pts.append(frame.pts)
        self.stop = frame.pts + (frame.duration or 1)

    def finish(self) -> None:
        """Flush the encoder and complete the file.

        Raises:
            av.FFmpegError: The file cannot be completed.
        """
        self._muxer.finish(early=False)

    def abandon(self) -> None:
        """Let go of the file and remove it. May be called twice."""
        self._muxer.abandon()
        self.path.unlink(missing_ok=True)


def _format(plan: EncodingPlan) -> str:
    return PART_FORMAT if takes_codec(PART_FORMAT, plan.codec) else plan.format


class PartMuxer(Muxer):
    """A container whose first packet is decoded at zero: NUT takes none before."""

    _delay: int | None = None

    def _mux(self, packets: "Sequence[Packet[VideoStream]]") -> None:
        for packet in packets:
            assert packet.dts is not None and packet.pts is not None
            if self._delay is None:
                self._delay = -packet.dts
            packet.pts += self._delay
            packet.dts += self._delay
            self._container.mux(packet)

    def _mux_last(self) -> None:
        """Durations are kept beside the file."""
