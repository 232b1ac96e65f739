"""ProcessWorkers: a process a device on this machine, each started anew when it dies.

Threads would share one interpreter's lock, and what torch and OpenVINO set for a whole process.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from models import ModelError
from stream.offline.crew import MOST_DEATHS
from stream.offline.film import Film
from stream.offline.options import RestyleOptions
from stream.offline.worker import Describe, Described, Failed, Load, Place, Ready, load, work
from stream.video_info import VideoInfo

END_LIMIT_S = 20.0
"""How long a worker may take to end by itself."""

MOST_STARTS = 5
"""A place whose worker dies so often before it is ready is given up."""


class _Process:
    """One worker's process, and our end of its pipe."""

    def __init__(self, options: RestyleOptions, place: Place, load: Load) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.place = place
        self.link: Connection[Any, Any] = ours
        self.process = context.Process(
            target=work, args=(theirs, options, place, load), name=self.name, daemon=True
        )
        self.process.start()
        theirs.close()
        self.recipe: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return f"worker-{self.place.index}"

    def send(self, message: object) -> None:
        try:
            self.link.send(message)
        except (OSError, ValueError):
            return  # its death is news

    def end(self) -> None:
        """Let it end by itself, or else end it."""
        self.link.close()
        self.process.join(END_LIMIT_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class ProcessWorkers:
    """Workers on this machine: `stream.offline.crew.Workers`. Belongs to one thread.

    Args:
        options: What was asked.
        places: Where each computes.
        load: Loads an engine; must be importable in a new process.

    Raises:
        ModelError: From `describe`: no worker became ready.
    """

    def __init__(self, options: RestyleOptions, places: Sequence[Place], load: Load = load) -> None:
        self._options = options
        self._load = load
        self._starts = {place.index: 1 for place in places}
        self._processes = [_Process(options, place, load) for place in places]
        self._notes: list[str] = []
        self._recipe: dict[str, Any] | None = None
        self._failed: Exception | None = None

    def describe(self, source: Path, target: Path, info: VideoInfo) -> Film:
        """Have the first worker that is ready describe a film.

        Raises:
            ModelError: None became ready, or each that was asked ended.
            StreamError, ValueError: What the worker met.
        """
        for _ in range(MOST_DEATHS):
            while not self.links():
                self.news(1.0)
            link = self.links()[0]
            link.send(Describe(source, target, info))
            answers: list[object] = []
            while not answers:
                answers = [told for one, told in self.news(1.0) if one is link]
            if isinstance(answers[0], Described):
                return answers[0].film
            if isinstance(answers[0], Failed):
                raise answers[0].error
        raise ModelError(
            f"{source} ended {MOST_DEATHS} workers before a frame was painted; there may be too "
            "little memory: use fewer workers, or a smaller size."
        )

    def links(self) -> list[_Process]:
        """Those that are ready and paint by the same recipe."""
        return [one for one in self._processes if one.recipe is not None]

    def notes(self) -> list[str]:
        return self._notes

    def news(self, limit_s: float) -> list[tuple[Any, object]]:
        """As `Workers.news`.

        Raises:
            ModelError: No worker is left.
        """
        heard = wait([one.link for one in self._processes], limit_s)
        found: list[tuple[Any, object]] = []
        for one in [each for each in self._processes if each.link in heard]:
            message = self._receive(one)
            if message is None:
                self._replace(one)
                found.append((one, None))
            elif isinstance(message, Ready):
                self._admit(one, message.recipe)
            elif isinstance(message, Failed) and one.recipe is None:
                self._give_up(one, message.error)
            else:
                found.append((one, message))
        return found

    def _receive(self, one: _Process) -> object:
        try:
            return one.link.recv()
        except (EOFError, OSError):
            return None

    def _replace(self, dead: _Process) -> None:
        dead.end()
        self._starts[dead.place.index] += dead.recipe is None
        if self._starts[dead.place.index] > MOST_STARTS:
            self._give_up(dead, ModelError(f"{dead.name} ends before it is ready."))
            return
        fresh = _Process(self._options, dead.place, self._load)
        self._processes[self._processes.index(dead)] = fresh

    def _admit(self, one: _Process, recipe: dict[str, Any]) -> None:
        self._recipe = self._recipe or recipe
        if recipe == self._recipe:
            one.recipe = recipe
            return
        differing = next(name for name in recipe if recipe[name] != self._recipe[name])
        self._notes.append(
            f"{one.name} was left out: its {differing} is {recipe[differing]!r}, the others' "
            f"{self._recipe[differing]!r}."
        )
        self._give_up(one, ModelError("no worker paints by the same recipe as the others"))

    def _give_up(self, one: _Process, error: Exception) -> None:
        one.end()
        self._processes.remove(one)
        self._failed = self._failed or error
        if not self._processes:
            raise self._failed

    def close(self) -> None:
        """End all workers."""
        for one in self._processes:
            one.link.close()
        for one in self._processes:
            one.end()
        self._processes = []
