"""Sinks for frames, one class a file. `open_sink` opens the one that a spec names.

spec                        sink
--------------------------  ---------------------------------
painted.mp4, .mkv, .mov …   stream.sinks.video.VideoSink
folder/ (ends in a slash)   stream.sinks.images.ImageSink
folder/%06d.png             the same, called so
picture.png                 the same, one frame
null                        stream.sinks.null.NullSink
"""

import os
from pathlib import Path

from stream.sinks.base import NULL, Sink, VideoEncoding
from stream.video_info import IMAGE_SUFFIXES, VideoInfo


def open_sink(
    spec: str | Path,
    *,
    info: VideoInfo,
    encoding: VideoEncoding | None = None,
    overwrite: bool = False,
) -> Sink:
    """The sink that a spec names (see the table above).

    Args:
        spec: A video file, a picture, a folder (ending in a slash, or existing), or ``null``.
        info: The source's; the output is tagged by it and copies its file's other streams.
        encoding: For a video: codec and quality.
        overwrite: Whether what exists may be replaced.

    Raises:
        SinkError: It exists, or cannot be written there or like that.
        ValueError: A quality or preset that the codec does not have.
    """
    if str(spec) == NULL:
        from stream.sinks.null import NullSink

        return NullSink()
    if names_video(spec):
        from stream.sinks.video import VideoSink

        return VideoSink(Path(spec), info=info, encoding=encoding, overwrite=overwrite)
    from stream.sinks.images import ImageSink

    return ImageSink(spec, overwrite=overwrite, frame_count=info.frame_count, names=info.names)


def names_video(spec: str | Path) -> bool:
    """Whether what a spec names is neither pictures nor nothing."""
    path = Path(spec)
    names_folder = str(spec).endswith(("/", "\\")) or os.path.isdir(spec)  # or too long a name
    return not (names_folder or path.suffix.lower() in IMAGE_SUFFIXES or str(spec) == NULL)
