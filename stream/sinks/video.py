"""VideoSink: writes a video file, with the sound and subtitles of the source's file.

No incomplete file ever has the final name. What a crash leaves under the temporary name can be
played up to its last key frame.
"""

import math
from pathlib import Path

from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.media.partial_file import DISK_IS_FULL, PartialFile, sink_errors
from stream.media.sound import Sound
from stream.sinks.base import Sink, VideoEncoding
from stream.sinks.encoding import encoder_threads, plan_encoding
from stream.sinks.muxing import Muxer
from stream.video_info import VideoInfo

LIVE_BACKLOG = 12
"""Frames of a live session that may wait at least, however large they are."""

LATE_S = 2.0
"""How late a recording may be without losing a frame: a disk, or a busy machine, pauses so long."""

LIVE_BACKLOG_BYTES = 400 * 2**20
"""What the frames that wait may take; that is a second of 1920x1080 at 60 frames a second."""

USUAL_RATE = 24


def live_backlog(info: VideoInfo) -> int:
    """Frames that may wait for a recording of a live session: those of `LATE_S` seconds, or as many
    as fit into `LIVE_BACKLOG_BYTES`, but `LIVE_BACKLOG` in any case.
    """
    width, height = info.size
    late = math.ceil((info.rate or USUAL_RATE) * LATE_S)
    return max(LIVE_BACKLOG, min(late, LIVE_BACKLOG_BYTES // (3 * width * height)))


class VideoSink(Sink):
    """Encodes frames at their own times. Not thread-safe.

    The encoder opens on the first frame and takes its size; the colours are tagged as the source's
    are, or as players would take them, in limited range. Codecs that need even sides get odd ones
    cropped by a pixel, which is noted.

    Args:
        path: The file; its suffix chooses the container.
        info: What the source says of itself.
        encoding: Codec and quality.
        overwrite: Whether an existing file may be replaced.
        is_take: It is live and cannot be recorded again: what was written is kept whatever fails.

    Raises:
        SinkError: The file cannot be written there, or not in that codec.
        ValueError: A quality or preset that the codec does not have.
    """

    backlog: int = LIVE_BACKLOG

    def __init__(
        self,
        path: str | Path,
        *,
        info: VideoInfo,
        encoding: VideoEncoding | None = None,
        overwrite: bool = False,
        is_take: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.hears = info.sound
        self.backlog = live_backlog(info)
        self._info = info
        encoding = encoding or VideoEncoding()
        self._sound = encoding.audio
        self._plan = plan_encoding(Path(path).suffix, encoding, alpha=info.has_alpha)
        self._partial = PartialFile(Path(path), overwrite=overwrite, source=info.path)
        self._muxer: Muxer | None = None
        self._size: Size | None = None
        self._early = False
        self._is_take = is_take
        self._done = False

    def write(self, frame: Frame) -> None:
        if self._done:
            raise ValueError(f"{self._partial.target} is closed and takes no more frames")
        if self._size not in (None, frame.size):
            raise ValueError(f"got a frame of {frame.size}, expected {self._size} as the first")
        try:
            with sink_errors(self._partial.target):
                if self._muxer is None:
                    self._muxer = self._open(frame)
                self._muxer.write(frame)
        except SinkError as err:
            self._give_up(err)
            raise

    def hear(self, sound: Sound) -> None:
        if self._muxer is not None and not self._done:
            with sink_errors(self._partial.target):
                self._muxer.hear(sound)

    def _open(self, frame: Frame) -> Muxer:
        self._size = frame.size
        return Muxer(
            self._partial.path,
            plan=self._plan,
            info=self._info,
            size=frame.size,
            time_base=frame.time_base,
            notes=self.notes,
            sound=self._sound,
            threads=None if self._is_take else encoder_threads(frame.size),
        )

    def end_early(self) -> None:
        self._early = True

    def close(self) -> None:
        if self._done:
            return
        if self._muxer is None:
            self.notes.append(f"No frame came, so {self._partial.target} was not written.")
            self.abort()
            return
        try:
            with sink_errors(self._partial.target):
                self._muxer.finish(early=self._early)
        except SinkError as err:
            self._give_up(err, is_kept=not _is_full(err))
            raise
        self.losses = self._muxer.losses
        self._done = True
        self._partial.publish()

    def abort(self) -> None:
        """Publish nothing and leave nothing; of a take, what there is as one that ended early."""
        if self._done:
            return
        if self._is_take and self._muxer is not None:
            self.end_early()
            self.close()
            return
        self._let_go()
        self._partial.discard()

    def _give_up(self, cause: SinkError, *, is_kept: bool = False) -> None:
        """Nothing more can be written: leave nothing, or the file under another name if it is a
        take, or if it failed at its very end.
        """
        is_kept = self._muxer is not None and (
            self._is_take or (is_kept and self._muxer.has_written)
        )
        self._let_go()
        if is_kept:
            raise SinkError(
                f"{cause} What there is of it is kept as {self._partial.path}."
            ) from cause
        self._partial.discard()

    def _let_go(self) -> None:
        self._done = True
        if self._muxer is not None:
            self._muxer.abandon()


def _is_full(failure: SinkError) -> bool:
    """Whether it is the disk that can take no more: it is not filled with what is half there."""
    return getattr(failure.__cause__, "errno", None) in DISK_IS_FULL
