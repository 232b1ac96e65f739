"""Colour: H.273 code points, and the colour space that is assumed for an untagged video.

RGB in here is whatever the YUV of the source decodes to by its own matrix; primaries and transfer
are carried through untouched and tagged again, but for HDR, which becomes BT.709. An untagged video
is read as players read it: HD by BT.709's matrix, smaller ones by BT.601's. What is written is
always tagged, in limited range.
"""

from dataclasses import dataclass

from stream.frame import Size

BT709 = 1
UNSPECIFIED = 2
BT470BG = 5
SMPTE170M = 6
BT2020_NCL = 9
RGB = 0
"""Code points of H.273 that have a job here; primaries, transfer and matrix share most numbers."""

LIMITED_RANGE = 1
FULL_RANGE = 2

SWSCALE_MATRICES = {BT709: 1, 4: 4, BT470BG: 5, SMPTE170M: 5, 7: 7, BT2020_NCL: 9}
"""H.273 matrix -> the number libswscale has for it; others it cannot convert."""

HD_WIDTH_PX = 1280
HD_HEIGHT_PX = 577
"""From either of these sizes on, an untagged video is taken for BT.709, as players do."""

PRIMARIES_BY_HEIGHT = {576: BT470BG, 480: SMPTE170M, 486: SMPTE170M}
"""The broadcast heights that tell an untagged SD video's primaries."""


@dataclass(frozen=True, slots=True)
class ColourTags:
    """What a written video says of itself: H.273 code points, none of them 'unspecified'."""

    color_primaries: int
    color_trc: int
    colorspace: int


def usual_matrix(size: Size) -> int:
    """The matrix that players assume for an untagged video of this (width, height)."""
    hd = size[0] >= HD_WIDTH_PX or size[1] >= HD_HEIGHT_PX
    return BT709 if hd else SMPTE170M


def usual_primaries(size: Size) -> int:
    """The primaries that players assume for an untagged video of this (width, height)."""
    if usual_matrix(size) == BT709:
        return BT709
    return PRIMARIES_BY_HEIGHT.get(size[1], BT709)


def complete_tags(
    size: Size, *, color_primaries: int, color_trc: int, colorspace: int
) -> ColourTags:
    """The tags to write for a source's code points; what it leaves open is filled as usual."""
    matrix = colorspace if colorspace in SWSCALE_MATRICES else usual_matrix(size)
    primaries = color_primaries if is_specified(color_primaries) else usual_primaries(size)
    trc = color_trc if is_specified(color_trc) else BT709
    return ColourTags(color_primaries=primaries, color_trc=trc, colorspace=matrix)


def is_specified(code_point: int) -> bool:
    """False for 'unspecified' and the reserved 0 of primaries and transfers."""
    return code_point not in (0, UNSPECIFIED)
