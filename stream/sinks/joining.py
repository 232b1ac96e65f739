"""Joiner: the packets of parts, one after the other, in the container that was asked for.

    part, part, part ──packets──► container ◄── StreamCopier ◄── the input, once, at the end

Nothing is encoded. The times of the packets come from the film's frames: each is shown when its
frame is, and decoded as early as the widest reordering among the parts needs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.packet import Packet
from av.video.stream import VideoStream

from stream.errors import SinkError
from stream.sinks.muxing import Muxer


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A finished part on disk.

    Attributes:
        path: Its packets, as `stream.sinks.part_writer` wrote them.
        pts: When each of its frames is shown, rising.
        stop: When the last of them is over.
    """

    path: Path
    pts: Sequence[int]
    stop: int


class Joiner(Muxer):
    """A whole film from its parts. Made as a `Muxer` is, `join` called once."""

    def join(self, parts: Sequence[JoinedPart], time_base: Fraction, *, early: bool) -> None:
        """Write all packets, copy what the input holds beside its pictures, complete the file.

        Args:
            parts: In order, without a gap.
            time_base: Seconds per unit of their pts.
            early: The film goes on where the parts end, and what is copied ends with them.

        Raises:
            SinkError: A part is not what its frames say, or of another encoder.
            av.FFmpegError: The container cannot be completed.
        """
        shown = [pts - self._shift for part in parts for pts in part.pts]
        ranks = _ranks(parts)
        delay = max(index - rank for index, rank in enumerate(ranks))
        stop = parts[-1].stop - self._shift
        ends = [*shown[1:], stop]
        self._end_s = stop * time_base
        lead = shown[min(delay, len(shown) - 1)] - shown[0]
        for index, packet in enumerate(self._packets(parts)):
            rank = ranks[index]
            packet.pts, packet.duration = shown[rank], ends[rank] - shown[rank]
            packet.dts = shown[index - delay] if index >= delay else shown[index] - lead
            packet.time_base, packet.stream = time_base, self._video
            self._mux([packet])
        self._mux_last()
        self._copier.finish(self._end_s, early=early)
        self._copier.close()
        self._container.close()

    def _packets(self, parts: Sequence[JoinedPart]) -> "Iterator[Packet[VideoStream]]":
        self._open_encoder()
        self._container.start_encoding()
        extradata = self._video.codec_context.extradata
        for part in parts:
            with av.open(f"file:{part.path}") as container:
                stream = container.streams.video[0]
                if (stream.codec_context.extradata or b"") != (extradata or b""):
                    raise SinkError(
                        f"The parts of this film cannot be joined: {self._plan.codec} begins each "
                        "in another way; choose another --codec."
                    )
                for packet in container.demux(stream):
                    if packet.size:
                        copy = cast("Packet[VideoStream]", Packet(bytes(packet)))
                        copy.is_keyframe = packet.is_keyframe
                        yield copy


def _ranks(parts: Sequence[JoinedPart]) -> list[int]:
    """For each packet of all parts, in order of decoding: which of the film's frames it is.

    Raises:
        SinkError: A part does not hold as many pictures as its frames.
    """
    ranks: list[int] = []
    for part in parts:
        with av.open(f"file:{part.path}") as container:
            times = [packet.pts for packet in container.demux(video=0) if packet.size]
        if len(times) != len(part.pts):
            raise SinkError(
                f"{part.path} holds {len(times)} pictures of {len(part.pts)}; remove it, and the "
                "same command paints it again."
            )
        rank_of = {pts: rank for rank, pts in enumerate(sorted(times, key=lambda pts: pts or 0))}
        before = len(ranks)
        ranks += [before + rank_of[pts] for pts in times]
    return ranks
