"""All looks by name."""

from collections.abc import Callable

from models.training.teachers import cells, drawings, films, grids, prints, strokes, washes
from models.training.teachers.color import Picture, Plane, uint8
from models.training.teachers.sketch import Sketch

PAINTERS: dict[str, Callable[[Sketch], Plane]] = {
    "oil painting": strokes.oil_painting,
    "van gogh": strokes.van_gogh,
    "fauvism": strokes.fauvism,
    "linocut": drawings.linocut,
    "pop art": prints.pop_art,
    "charcoal": drawings.charcoal,
    "pencil sketch": drawings.pencil_sketch,
    "stained glass": cells.stained_glass,
    "watercolor": washes.watercolor,
    "neon": drawings.neon,
    "film noir": drawings.film_noir,
    "impressionism": strokes.impressionism,
    "pointillism": cells.pointillism,
    "mosaic": cells.mosaic,
    "low poly": cells.low_poly,
    "comic book": prints.comic_book,
    "ukiyo-e": prints.ukiyo_e,
    "anime": prints.anime,
    "ink drawing": drawings.ink_drawing,
    "ink wash": washes.ink_wash,
    "blueprint": drawings.blueprint,
    "pastel drawing": strokes.pastel_drawing,
    "cyberpunk": films.cyberpunk,
    "vintage film": films.vintage_film,
    "pixel art": grids.pixel_art,
    "cross-stitch": grids.cross_stitch,
}
"""Canonical prompt -> painter; what it returns is RGB in [0, 1] or a grey plane."""


def paint(look: str, sketch: Sketch) -> Picture:
    """The sketch's photograph in a look, uint8 RGB of the same size.

    Raises:
        KeyError: No such look.
    """
    return uint8(PAINTERS[look](sketch))
