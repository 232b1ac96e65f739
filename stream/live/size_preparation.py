"""SizePreparation: what an engine lacks for another size is made beside, while it paints on.

    is it ready? ──no──► a thread makes it, one size at a time ──► `then` ──► asked again: yes

On a CPU each size is compiled, which takes longer than dozens of paintings.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from models import size_preparation
from stream.frame import Size
from stream.workers import meanwhile

if TYPE_CHECKING:
    from models import Engine

logger = logging.getLogger(__name__)


class SizePreparation:
    """Makes an engine ready for sizes. `is_ready` belongs to the engine's thread.

    Attributes:
        then: Called, in another thread, when a size has been made ready.
    """

    def __init__(self, engine: "Engine") -> None:
        self.then: Callable[[], None] = lambda: None
        self._engine = engine
        self._is_busy = False
        self._failed: set[tuple[Size, int | None]] = set()

    def is_ready(self, size: Size, cell_px: int | None) -> bool:
        """Whether a picture of this size is painted at once.

        If not, what it lacks is being made from now on, or from when another size is ready. What
        cannot be made counts as ready: who paints sees the error.

        Args:
            size: (width, height) that the model is to see, in px.
            cell_px: As `Engine.begin` takes it.
        """
        wanted = size, cell_px
        step = None if wanted in self._failed else size_preparation(self._engine, *wanted)
        if step is None:
            return True
        if not self._is_busy:
            self._is_busy = True
            meanwhile("size", partial(self._make, wanted, step))
        return False

    def _make(self, wanted: tuple[Size, int | None], step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as err:  # whoever paints this size comes upon it again
            logger.warning("not ready for %s: %s", wanted, err)
            self._failed.add(wanted)
        finally:
            self._is_busy = False
            self.then()
