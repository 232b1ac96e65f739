"""Conversion of decoded pictures to upright RGB of one size."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.frame import Size
from stream.media import colour
from stream.media.orientation import Orientation

SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Chroma at full resolution and exact rounding: without them pictures come out a level darker."""


class RgbConverter:
    """Turns each picture of one stream into upright RGB. Not thread-safe; one per stream.

    Attributes:
        size: (width, height) of every array it gives: that of the first picture, upright.
        resized: Pictures that came in another size and were scaled to it.
    """

    def __init__(self, first: VideoFrame, orientation: Orientation, matrix: int) -> None:
        self._coded_size: Size = (first.width, first.height)
        self._orientation = orientation
        self._matrix = matrix
        self._reformatter = VideoReformatter()
        self.size = orientation.size(self._coded_size)
        self.resized = 0

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """uint8 RGB (H, W, 3) of the picture, C-contiguous and ours alone."""
        refuse_hdr(frame.color_trc)
        self.resized += (frame.width, frame.height) != self._coded_size
        rgb = self._reformatter.reformat(
            frame,
            width=self._coded_size[0],
            height=self._coded_size[1],
            format="rgb24",
            src_colorspace=self._source_matrix(frame),
            interpolation=SCALING,
            threads=1,
        )
        data = rgb.to_ndarray().astype(np.uint8, copy=False)
        return self._orientation.apply(data)

    def _source_matrix(self, frame: VideoFrame) -> int | None:
        if frame.format.is_rgb:
            return None
        usual = colour.SWSCALE_MATRICES[self._matrix]
        return colour.SWSCALE_MATRICES.get(frame.colorspace, usual)


def refuse_hdr(color_trc: int) -> None:
    """
    Raises:
        SourceError: The transfer is one of HDR.
    """
    if color_trc in colour.HDR_TRANSFERS:
        raise SourceError(
            f"The video is HDR with the transfer {colour.HDR_TRANSFERS[color_trc]}, which the "
            "models have not learned; convert it to SDR (BT.709) first, for example with ffmpeg's "
            "zscale and tonemap filters."
        )
