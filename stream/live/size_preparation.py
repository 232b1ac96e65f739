"""SizePreparation: what an engine lacks for another size or style is made while it paints on.

    is it ready? ──no──► a thread makes it, one size at a time ──► `then` ──► asked again: yes

On a CPU each size is compiled, and each kind of marks, for longer than dozens of paintings take.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from models import size_preparation
from stream.frame import Size
from stream.workers import Failures, meanwhile

if TYPE_CHECKING:
    from models import Engine, Style

logger = logging.getLogger(__name__)

Wanted = tuple[Size, int | None, "Style | None"]


class SizePreparation:
    """Makes an engine ready for sizes and styles. `is_ready` belongs to the engine's thread.

    Attributes:
        then: Called, in another thread, when a size has been made ready.
    """

    def __init__(self, engine: "Engine") -> None:
        self.then: Callable[[], None] = lambda: None
        self._engine = engine
        self._is_busy = False
        self._failed: set[Wanted] = set()

    def is_ready(self, size: Size, cell_px: int | None, style: "Style | None" = None) -> bool:
        """Whether a picture of this size and style is painted at once.

        If not, what it lacks is being made from now on, or from when another is ready. What cannot
        be made counts as ready: who paints sees the error.

        Args:
            size: (width, height) that the model is to see, in px.
            cell_px: As `Engine.begin` takes it.
            style: ``None`` asks for no style's own needs.
        """
        wanted = size, cell_px, style
        step = None if wanted in self._failed else size_preparation(self._engine, *wanted)
        if step is None:
            return True
        if not self._is_busy:
            self._is_busy = True
            meanwhile("size", partial(self._make, wanted, step))
        return False

    def _make(self, wanted: Wanted, step: Callable[[], object]) -> None:
        if not Failures().guard(step):  # whoever paints this size comes upon it again
            logger.warning("the engine was not made ready for %s", wanted)
            self._failed.add(wanted)
        self._is_busy = False
        self.then()
