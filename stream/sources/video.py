"""VideoSource: the pictures of a video file, or of a test pattern, by PyAV.

    packets -> decoder -> deinterlacer (if need be) -> timeline -> upright RGB -> Frame

Memory does not grow with the length: one picture is held back, so that each frame's duration is
the distance to the next one. FFmpeg decodes in threads of its own.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.errors import SourceError
from stream.frame import Frame
from stream.media import colour
from stream.media.continuity import Continuity
from stream.media.edits import is_cut
from stream.media.orientation import Orientation
from stream.media.timeline import Timeline
from stream.media.tone_mapping import HDR_KINDS, IPT_MATRIX
from stream.sources.base import Source
from stream.sources.completeness import loss_at_end
from stream.sources.decoding import CODECS_WITH_HIDDEN_FRAMES, Damage, decoded_frames
from stream.sources.deinterlacing import Deinterlacer
from stream.sources.opening import best_video_stream, open_generator, open_video
from stream.sources.probing import (
    believable_rate,
    ends_exactly,
    promised_ends,
    promised_frames,
    stream_start_s,
)
from stream.sources.rgb_conversion import RgbConverter
from stream.video_info import VideoInfo

DEFAULT_RATE = Fraction(25)
"""Frames a second where neither the container nor the codec says."""

CAPTIONS = "A53_CC"
"""FFmpeg's side data of a picture with captions in it."""

EARLY_END_S = 0.5
"""An end this much before the promised one is a loss, where that is no exact promise."""


class VideoSource(Source):
    """Every frame of a video file exactly once, upright, as RGB. Not thread-safe.

    Args:
        path: The file.
        generator: Instead of a file: a lavfi graph that generates pictures.

    Raises:
        SourceError: There is no such file, it is no video, or nothing in it decodes.
    """

    def __init__(self, path: str | Path | None = None, *, generator: str | None = None) -> None:
        if (path is None) == (generator is None):
            raise ValueError(f"got {path=} and {generator=}, expected exactly one of them")
        self.notes: list[str] = []
        self.losses: list[str] = []
        self._name = str(path) if path is not None else str(generator)
        self._container: InputContainer | None = None
        container = open_video(Path(path)) if path is not None else open_generator(self._name)
        with ExitStack() as on_failure:
            on_failure.callback(container.close)
            self._start(container, Path(path) if path is not None else None)
            on_failure.pop_all()
        self._container = container

    def _start(self, container: InputContainer, path: Path | None) -> None:
        ignored: list[str] = []
        stream = best_video_stream(container, self._name, ignored)
        self._lose(*([] if container.format.name == "hls" else ignored))
        # Threads over whole frames would conceal damage differently from run to run, and lose
        # good frames after a bad one at the end; one core decodes 720p at hundreds a second.
        stream.thread_type = "SLICE"
        time_base = stream.time_base or Fraction(1, 1000)
        rate = believable_rate(stream) or DEFAULT_RATE
        interval = max(1, round(1 / (rate * time_base)))
        self._stream = stream
        self._is_cut = is_cut(stream)
        self._has_captions = False
        counts = _each_packet_shows(stream) and not self._is_cut
        self._damage = Damage(time_base, counts_packets=counts)
        self._continuity = Continuity(container)
        self._timeline = Timeline(time_base, interval)
        self._deinterlacer = Deinterlacer(time_base)
        decoded = decoded_frames(container, stream, self._damage, self._continuity)
        first = next(decoded, None)
        if first is None:
            raise SourceError(
                f"Not one frame of {self._name} could be decoded; check that it plays, or make it "
                "anew."
            )
        self._converter = self._make_converter(first)
        self.info = self._describe(container, first, rate, time_base, path)
        if path is not None:
            self._lose(*loss_at_end(path, container.format.name))
        self._frames = self._timed(self._deinterlacer.process(chain([first], decoded)))

    def _make_converter(self, first: VideoFrame) -> RgbConverter:
        known = (colour.RGB, colour.UNSPECIFIED, IPT_MATRIX, *colour.SWSCALE_MATRICES)
        if first.colorspace not in known:
            raise SourceError(
                f"The colour matrix of {self._name} (H.273 code {first.colorspace}) cannot be "
                "converted; convert it to BT.709 first."
            )
        matrix = colour.usual_matrix((first.width, first.height))
        return RgbConverter(first, self._orientation(first), matrix)

    def _orientation(self, first: VideoFrame) -> Orientation:
        # PyAV's stub calls this a dictionary; it is a sequence of buffers.
        side_data = cast(Iterable[Any], first.side_data)
        matrix = next((data for data in side_data if data.type.name == "DISPLAYMATRIX"), None)
        if matrix is None:
            return Orientation()
        try:
            return Orientation.from_matrix(bytes(matrix))
        except ValueError:
            self.notes.append("The video is tagged as turned by an odd angle; that was ignored.")
            return Orientation()

    def _describe(
        self,
        container: InputContainer,
        first: VideoFrame,
        rate: Fraction,
        time_base: Fraction,
        path: Path | None,
    ) -> VideoInfo:
        orientation = self._orientation(first)
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self._ends = promised_ends(container, self._stream)
        self._end = self._ends[-1] if self._ends else None
        self._ends_exactly = ends_exactly(container)
        start_s = stream_start_s(container)
        tags = self._colour_tags(first)
        duration_s = None if self._end is None else float(self._end * time_base - start_s)
        return VideoInfo(
            size=self._converter.size,
            time_base=time_base,
            rate=rate,
            frame_count=promised_frames(self._stream, duration_s, rate),
            duration_s=duration_s,
            sample_aspect_ratio=orientation.aspect_ratio(aspect),
            color_primaries=tags[0],
            color_trc=tags[1],
            colorspace=tags[2],
            path=path,
            start_s=start_s,
            has_alpha=self._converter.has_alpha,
        )

    def _colour_tags(self, first: VideoFrame) -> tuple[int, int, int]:
        """Primaries, transfer and matrix to tag the output by."""
        if self._converter.hdr is None:
            return int(first.color_primaries), int(first.color_trc), int(first.colorspace)
        self.notes.append(
            f"The HDR of the input, {HDR_KINDS[self._converter.hdr]}, was converted to SDR "
            "(BT.709)."
        )
        if self._converter.has_curves:
            self.notes.append(
                "The input is Dolby Vision 5, whose own tone curves were left out: brightness and "
                "colours may be off."
            )
        return colour.BT709, colour.BT709, colour.BT709

    def _timed(self, decoded: Iterator[VideoFrame]) -> Generator[Frame, None, None]:
        """Frames with their times; each waits for the next one, which ends it."""
        held: Frame | None = None
        duration = 0
        for picture in decoded:
            if not self._has_captions and has_captions(picture):
                self._has_captions = True
                self._lose("Captions inside of the pictures (CEA-608, CEA-708) were not kept.")
            # An interlaced picture's duration may be that of one field.
            if self._is_cut and held is not None and (picture.pts or 0) <= held.pts:
                continue  # at the seam of two edits: FFmpeg shows the earlier one's
            duration = 0 if self._deinterlacer.count else int(picture.duration or 0)
            pts = self._timeline.place(picture.pts, duration)
            if held is not None:
                yield held.replace(held.data, duration=pts - held.pts)
            data, alpha = self._converter.convert_both(picture)
            held = Frame(data, pts, self._timeline.time_base, alpha=alpha)
        if held is not None:
            self._end = next((end for end in self._ends if end > held.pts), self._end)
            held = held.replace(held.data, duration=self._last_duration(held.pts, duration))
            yield held
        self._report_end(held)

    def _last_duration(self, pts: int, duration: int) -> int:
        """How long the last frame shows: to the stream's end, or its own, or the usual time."""
        trusted = self._ends_exactly and not self._continuity.jumps
        if trusted and self._end is not None and self._end > pts:
            longest_s = max(EARLY_END_S, float(2 * duration * self._timeline.time_base))
            rest = self._end - pts
            if rest * self._timeline.time_base <= longest_s or self._is_whole():
                return rest
        return duration or self._timeline.interval

    def _is_whole(self) -> bool:
        """Whether every picture that the file's index lists has come; MP4 has a whole index."""
        listed = len(self._stream.index_entries)
        return bool(self._stream.frames) and self._damage.read == listed > 0 and not self._lost()

    def _lost(self) -> list[str]:
        return self._damage.notes()

    def _report_end(self, last: Frame | None) -> None:
        self._lose(*self._lost())
        self.notes += self._continuity.notes()
        self.notes += self._timeline.notes()
        self.notes += self._deinterlacer.notes()
        if self._converter.resized:
            width, height = self._converter.size
            self.notes.append(
                f"Frames that came in another size and were fitted into {width}x{height}: "
                f"{self._converter.resized}."
            )
        if last is None or self._end is None or self._continuity.jumps:
            return
        end_s = float(self._end * self._timeline.time_base - self.info.start_s)
        shown_s = float((last.duration or 0) * last.time_base)
        stopped_s = last.time_s + shown_s - float(self.info.start_s)
        early_s = 0.0 if self._ends_exactly else EARLY_END_S
        if end_s - stopped_s > max(early_s, 2 / float(self.info.rate or DEFAULT_RATE)):
            self._lose(
                f"The video stops at {stopped_s:.2f} s of the {end_s:.2f} s that its file promises."
            )

    def _lose(self, *sentences: str) -> None:
        self.damaged |= bool(sentences)
        self.notes += sentences
        self.losses += sentences

    def read(self) -> Frame | None:
        if self._container is None:
            return None
        try:
            return next(self._frames, None)
        except av.FFmpegError as err:
            raise SourceError(
                f"Reading {self._name} failed ({err.strerror or err}); check that it plays."
            ) from err

    def close(self) -> None:
        if self._container is not None:
            self._frames.close()
            self._container.close()
            self._container = None


def _each_packet_shows(stream: VideoStream) -> bool:
    return stream.codec_context.name not in CODECS_WITH_HIDDEN_FRAMES


def has_captions(picture: VideoFrame) -> bool:
    """Whether there is text in the captions inside of a picture (CTA-708-E, section 4.4); most are
    there to fill.
    """
    for one in cast(Iterable[Any], picture.side_data):
        if one.type.name == CAPTIONS:
            data = bytes(one)
            return any(
                kind & 0x04 and (first | second) & 0x7F
                for kind, first, second in zip(data[::3], data[1::3], data[2::3], strict=False)
            )
    return False
