"""Which mark planes each bundled look is taught with. Plain data; imports nothing.

none      both mark planes are zero
hatching  C: noise averaged along the flow lines, H: along one diagonal; both about uniform
panes     C: distance to the border of the pane, H: a random number of the pane
facets    panes, each cut into wedges, one to each neighbour; H: the light on the wedge
tiles     small squares turned along the flow
"""

from typing import Final

KINDS: Final = ("hatching", "panes", "facets", "tiles", "dots")
"""Every kind that has planes."""

MARKS: Final[dict[str, str]] = {
    "oil painting": "none",
    "watercolor": "none",
    "ink drawing": "hatching",
    "charcoal": "hatching",
    "pencil sketch": "hatching",
    "ukiyo-e": "hatching",
    "pop art": "none",
    "stained glass": "panes",
    "anime": "none",
    "neon": "none",
    "vintage film": "none",
    "film noir": "hatching",
    "comic book": "none",
    "cyberpunk": "none",
    "van gogh": "hatching",
    "impressionism": "none",
    "fauvism": "none",
    "pastel drawing": "hatching",
    "linocut": "hatching",
    "pointillism": "dots",
    "mosaic": "tiles",
    "low poly": "facets",
    "ink wash": "none",
    "blueprint": "none",
    "pixel art": "none",
    "cross-stitch": "none",
}
"""Canonical prompt of a look -> kind of its mark planes ("none" or one of `KINDS`)."""
