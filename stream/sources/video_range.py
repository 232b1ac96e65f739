"""VideoRange: the pictures of a video file from a given time on, as reading all would give them.

    seek to some time before ─► decode ─► frames before `start` are dropped ─► frames

What comes out after a seek is right in most containers, not in all: whoever needs to be sure
compares the first frame, and reads again without seeking.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.format import Flags

from stream.frame import Frame
from stream.media.continuity import Continuity
from stream.media.timeline import Timeline
from stream.sources.decoding import Damage, decoded_frames
from stream.sources.deinterlacing import Deinterlacer
from stream.sources.video import VideoSource

RUN_IN_S = Fraction(1)
"""Decoded before the first frame that is wanted: the deinterlacer looks back."""

BROADCAST_RUN_IN_S = Fraction(3)
"""The same in containers without an index, where a seek may land in the middle of anything."""


class NotSeekableError(Exception):
    """The file has to be read from its begin."""


class VideoRange(VideoSource):
    """Frames from `start` on, to the end of the file. Not thread-safe.

    Args:
        path: The file.
        start: pts of the first frame, in the stream's time base; ``None`` is the file's first.
        seek: Jump there; otherwise everything before is decoded and dropped.

    Raises:
        SourceError: As `VideoSource`.
    """

    def __init__(self, path: Path, start: int | None = None, *, seek: bool = True) -> None:
        self._from = start
        self._seeks = seek and start is not None
        try:
            super().__init__(path)
        except NotSeekableError:
            self._seeks = False
            super().__init__(path)

    def _start(self, container: InputContainer, path: Path | None) -> None:
        super()._start(container, path)
        if self._seeks and self._from is not None and self._is_far(container, self._from):
            self._jump(container, self._from)

    def _is_far(self, container: InputContainer, start: int) -> bool:
        """Whether there is anything to jump over. A time before the first frame's is refused by AVI
        and GIF, and B-frames at the begin of an AVI are lost by a jump to it.
        """
        return self._before(container, start) > (self._stream.start_time or 0)

    def _before(self, container: InputContainer, start: int) -> int:
        is_broadcast = Flags.ts_discont in Flags(container.format.flags)
        run_in_s = BROADCAST_RUN_IN_S if is_broadcast else RUN_IN_S
        return start - round(run_in_s / self._timeline.time_base)

    def _jump(self, container: InputContainer, start: int) -> None:
        time_base, interval = self._timeline.time_base, self._timeline.interval
        self._frames.close()
        try:
            container.seek(self._before(container, start), stream=self._stream, backward=True)
        except av.FFmpegError as err:
            raise NotSeekableError from err
        self._stream.codec_context.flush_buffers()
        # a jump leaves packets without pictures at both of its sides
        self._damage = Damage(time_base, counts_packets=False)
        self._continuity = Continuity(container)
        self._timeline = Timeline(time_base, interval)
        self._deinterlacer = Deinterlacer(time_base)
        decoded = decoded_frames(container, self._stream, self._damage, self._continuity)
        self._frames = self._timed(self._deinterlacer.process(decoded))

    def read(self) -> Frame | None:
        while (frame := super().read()) is not None:
            if self._from is None or frame.pts >= self._from:
                return frame
        return None

    def _report_end(self, last: Frame | None) -> None:
        super()._report_end(last)
        for sentence in self._damage.notes():  # said of the whole film, once
            self.notes.remove(sentence)
            self.losses.remove(sentence)

    def _is_whole(self) -> bool:
        """After a jump not every picture of the index is read; what failed to be read tells."""
        if not self._seeks:
            return super()._is_whole()
        return bool(self._stream.frames) and not self._lost()

    def damage(self) -> Damage:
        """A copy of what could not be read or decoded until now."""
        return replace(self._damage)
