"""Whether a cluster paints, as the command was asked."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from stream.offline.options import RestyleOptions

if TYPE_CHECKING:
    from stream.offline.crew import FilmWorkers


def cluster_workers(asked: RestyleOptions) -> "Callable[[], FilmWorkers] | None":
    """What makes the workers of the cluster that was asked for; ``None`` if none was."""
    where = asked.cluster
    if where is None:
        return None

    def make() -> "FilmWorkers":
        from stream.cluster.ray_workers import RayWorkers

        return RayWorkers(asked, where)

    return make
