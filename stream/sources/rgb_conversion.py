"""Conversion of decoded pictures to upright RGB of one size."""

from collections.abc import Iterable
from typing import Any, cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from stream.frame import Size
from stream.media import colour
from stream.media.orientation import Orientation
from stream.media.tone_mapping import (
    BT2020,
    HDR_TRANSFERS,
    HLG,
    IPT,
    IPT_MATRIX,
    ToneMapper,
    peak_nits,
)

SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Chroma at full resolution and exact rounding: without them pictures come out a level darker."""

DOLBY_VISION = "DOVI_METADATA"
"""FFmpeg's side data of a picture with tone curves of Dolby Vision."""

Pixels = NDArray[np.uint8]


class RgbConverter:
    """Turns each picture of one stream into upright RGB. Not thread-safe; one per stream.

    HDR becomes SDR of BT.709. What is transparent is shown over black.

    Attributes:
        size: (width, height) of every array it gives: that of the first picture, upright.
        resized: Pictures that came in another size and were scaled to it, with bars beside them
            where they are of another shape.
        hdr: What of `HDR_KINDS` was converted, ``None`` where there was none.
        has_curves: Whether the pictures come with tone curves of Dolby Vision 5, which are ignored.
        has_alpha: Whether the pictures are partly transparent.
    """

    def __init__(self, first: VideoFrame, orientation: Orientation, matrix: int) -> None:
        self._coded_size: Size = (first.width, first.height)
        self._orientation = orientation
        self._matrix = matrix
        self._reformatter = VideoReformatter()
        self._mappers: dict[tuple[int, ...], ToneMapper] = {}
        self.size = orientation.size(self._coded_size)
        self.resized = 0
        self.has_curves = is_dolby_vision_5(first)
        self.hdr = self._hdr_of(first)
        self.has_alpha = any(part.is_alpha for part in first.format.components) and (
            first.format.name.startswith(("yuva", "gbrap")) or self._is_transparent(first)
        )

    def convert(self, frame: VideoFrame) -> Pixels:
        """uint8 RGB (H, W, 3) of the picture, C-contiguous and ours alone."""
        return self.convert_both(frame)[0]

    def convert_both(self, frame: VideoFrame) -> tuple[Pixels, Pixels | None]:
        """The picture, and its opacity: uint8 (H, W), ``None`` where it has none."""
        data = self._pixels(frame)
        alpha = data[..., 3:] if data.shape[2] == 4 else None
        if alpha is not None:
            data = over_black(data)
        if (frame.width, frame.height) != self._coded_size:
            self.resized += 1
            data = fitted(data, self._coded_size)
            alpha = None if alpha is None else fitted(alpha, self._coded_size)
        upright = self._orientation.apply(data)
        return upright, None if alpha is None else self._orientation.apply(alpha)[..., 0]

    def _pixels(self, frame: VideoFrame) -> Pixels:
        """uint8, (H, W, 3) or with alpha (H, W, 4), as large as the picture."""
        hdr = self._hdr_of(frame)
        if hdr is not None:
            self.hdr = hdr
            codes = self._ipt(frame) if hdr == IPT else self._reformat(frame, "rgb48le")
            mapped = self._mapper(frame, hdr).map(codes)
            # To the nearest: the 8 highest bits alone would be darker by half a level.
            deep = mapped.to_ndarray().astype(np.uint32)
            return ((deep * 255 + 32_767) // 65_535).astype(np.uint8)
        rgb = self._reformat(frame, "rgba" if self.has_alpha else "rgb24")
        return rgb.to_ndarray().astype(np.uint8, copy=False)

    def _hdr_of(self, frame: VideoFrame) -> int | None:
        if self.has_curves or frame.colorspace == IPT_MATRIX:
            return IPT
        return frame.color_trc if frame.color_trc in HDR_TRANSFERS else None

    def _ipt(self, frame: VideoFrame) -> VideoFrame:
        """The planes as they are, side by side, in 16 bits."""
        frame.colorspace = frame.color_primaries = frame.color_trc = colour.UNSPECIFIED  # swscale's
        planes = self._reformatter.reformat(
            frame,
            format="yuv444p16le",
            src_color_range=colour.FULL_RANGE,
            dst_color_range=colour.FULL_RANGE,
            interpolation=SCALING,
            threads=1,
        )
        side_by_side = VideoFrame.from_ndarray(planes.to_ndarray(), format="rgb48le")
        side_by_side.pts, side_by_side.time_base = frame.pts, frame.time_base
        return side_by_side

    def _reformat(self, frame: VideoFrame, format: str) -> VideoFrame:
        return self._reformatter.reformat(
            frame,
            format=format,
            src_colorspace=self._source_matrix(frame),
            interpolation=SCALING,
            threads=1,
        )

    def _source_matrix(self, frame: VideoFrame) -> int | None:
        if frame.format.is_rgb:
            return None
        usual = colour.SWSCALE_MATRICES[self._matrix]
        return colour.SWSCALE_MATRICES.get(frame.colorspace, usual)

    def _mapper(self, frame: VideoFrame, hdr: int) -> ToneMapper:
        """Its table is for how bright the first picture of this kind and size says it gets."""
        side_data = {one.type.name: bytes(one) for one in cast(Iterable[Any], frame.side_data)}
        peak = peak_nits(
            side_data.get("MASTERING_DISPLAY_METADATA"), side_data.get("CONTENT_LIGHT_LEVEL")
        )
        peak = peak_nits(None, None) if hdr == HLG else peak
        primaries = BT2020 if hdr == IPT else frame.color_primaries
        key = (hdr, round(peak), primaries, frame.width, frame.height)
        if key not in self._mappers:
            self._mappers = {key: ToneMapper(frame, hdr, peak, primaries)}
        return self._mappers[key]

    def _is_transparent(self, first: VideoFrame) -> bool:
        return bool((self._reformat(first, "rgba").to_ndarray()[..., 3] < 255).any())


def is_dolby_vision_5(frame: VideoFrame) -> bool:
    """Whether a picture is for Dolby Vision alone: others name the colours of what lies below."""
    kinds = {one.type.name for one in cast(Iterable[Any], frame.side_data)}
    named = colour.is_specified(frame.color_trc) or colour.is_specified(frame.colorspace)
    return DOLBY_VISION in kinds and not named


def over_black(data: Pixels) -> Pixels:
    """uint8 RGB of RGBA that lies on black."""
    product = data[..., :3].astype(np.uint16) * data[..., 3:]
    return ((product + 127) // 255).astype(np.uint8)


def fitted(data: Pixels, size: Size) -> Pixels:
    """The picture in another (width, height), in its own shape, with black beside it."""
    height, width = data.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    shrinks = scale < 1
    scaled = cv2.resize(data, inner, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    canvas = np.zeros((size[1], size[0], data.shape[2]), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    scaled = scaled.reshape(inner[1], inner[0], data.shape[2])
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas
