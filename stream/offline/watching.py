"""Watching a folder for films that were written to their end. Starts no thread."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stream.clock import Clock
from stream.offline.batch import FilmFile

LOOK_EVERY_S = 2.0
QUIET_S = 10.0
"""A file that did not grow or change for so long is taken as written to its end."""

Facts = tuple[int, int]
"""Of a file: its size and date."""


class Watch:
    """Gives films once they are whole, again and again. Not thread-safe.

    Args:
        find: Gives the films that there are.
        clock: Where time comes from.
    """

    def __init__(self, find: Callable[[], Iterable[FilmFile]], clock: Clock | None = None) -> None:
        self._find = find
        self._clock = clock or Clock()
        self._changed_s: dict[str, tuple[Facts, float]] = {}
        self._given: dict[str, Facts] = {}

    def new(self) -> list[FilmFile]:
        """Films that are whole and were not given as they are now."""
        now_s, whole = self._clock.now_s(), []
        for film in self._find():
            facts = _facts(film.path)
            if facts is None or self._given.get(film.name) == facts:
                continue
            before, since_s = self._changed_s.get(film.name, (None, now_s))
            if before != facts:
                self._changed_s[film.name] = facts, now_s
            elif now_s - since_s >= QUIET_S and facts[0] > 0:
                self._given[film.name] = facts
                whole.append(film)
        return whole

    def rounds(self, stop: threading.Event) -> Iterator[list[FilmFile]]:
        """What is new, at every look that finds something, until `stop` is set."""
        while not stop.is_set():
            films = self.new()
            if films:
                yield films
            else:
                self._clock.wait(stop, LOOK_EVERY_S)


def _facts(path: Path) -> Facts | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_size, told.st_mtime_ns
