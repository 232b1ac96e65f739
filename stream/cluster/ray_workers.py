"""RayWorkers: the actors of a Ray cluster as the workers of a film job. Alone imports ray.

    driver ──paint(film, part)──► actor on some node ──bytes of the part──► driver ──► PartStore

Only the driver writes to the output's folder. An actor that dies is started again by Ray, on
whichever node has room; its part goes to whoever is free.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models import ModelError, file_mark
from stream.clock import Clock
from stream.cluster.actor import Delivery, Introduction, PainterActor
from stream.errors import ClusterError
from stream.offline.film import Film
from stream.offline.options import RestyleOptions
from stream.offline.remote import address_of
from stream.offline.worker import (
    Done,
    Failed,
    Load,
    Paint,
    Painted,
    Refused,
    Stop,
    Tailed,
    load,
)
from stream.sinks.part_writer import Tail
from stream.video_info import VideoInfo

CORES_AN_ACTOR = 8
"""Where the cluster has no GPUs."""

READY_LIMIT_S = 900.0
"""How long the first actor may take to load its model, a download among it."""

PROGRESS_S = 1.0
"""How often each actor is asked how far it is."""

MOST_VAIN = 30
"""An actor that was asked so often in vain whether it is ready is given up."""

LONGEST_REASON = 300
"""Characters of a failure that is told."""

RETRY_S = 2.0
"""How long after a death an actor is asked again whether it is back."""


class RayWorkers:
    """Actors of a cluster: `stream.offline.crew.Workers`. Belongs to one thread.

    Args:
        options: What was asked; `workers` actors, or as many as fit.
        address: "auto", or "ray://HOST:PORT".
        load: Loads an engine; must be importable on every node.

    Raises:
        ClusterError: Ray is not installed, or the cluster is out of reach.
    """

    def __init__(self, options: RestyleOptions, address: str, load: Load = load) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as err:
            raise ClusterError('Ray is not installed; pip install "allaprima[cluster]".') from err
        self._ray: Any = ray
        self._options = options
        self._clock = Clock()
        self._notes: list[str] = []
        self._recipe: dict[str, Any] | None = None
        self._failed: Exception | None = None
        self._mark = ""
        self._source = ""
        self._address = ""
        try:
            ray.init(address=address, log_to_driver=False, ignore_reinit_error=True)
            needs, count = self._resources()
        except (ConnectionError, ray.exceptions.RaySystemError, ValueError, RuntimeError) as err:
            raise ClusterError(
                f"The cluster at {address} cannot be reached ({' '.join(str(err).split())[:120]}); "
                "check `ray status` there."
            ) from err
        actor = ray.remote(max_restarts=-1, max_concurrency=2, **needs)(PainterActor)
        # an actor is left to Ray until it introduces itself
        self._all = [_Link(f"actor-{index}", actor.remote(options, load)) for index in range(count)]

    def _resources(self) -> tuple[dict[str, float], int]:
        """What an actor needs, and how many fit."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = sum(int(node.get("GPU", 0)) for node in nodes)
        if gpus and self._options.device != "cpu":
            return {"num_gpus": 1, "num_cpus": 0}, self._options.workers or gpus
        cores = min(CORES_AN_ACTOR, *(max(1, int(node.get("CPU", 1))) for node in nodes))
        fits = sum(int(node.get("CPU", 0)) // cores for node in nodes)
        return {"num_cpus": cores}, self._options.workers or max(1, fits)

    # As `stream.offline.restyler` uses it

    def describe(self, source: Path, target: Path, info: VideoInfo) -> Film:
        """Have the first actor that is ready describe a film; the others must read it too.

        Raises:
            ClusterError: None becomes ready, or none reads the input.
        """
        self._source, self._mark = str(source.absolute()), file_mark(source)
        self._address = address_of(source)
        for link in self._all:
            link.recipe = None
            self._introduce(link)
        end_s = self._clock.now_s() + READY_LIMIT_S
        while not self.links():
            self.news(1.0)
            if self._clock.now_s() > end_s:
                raise ClusterError("No worker of the cluster became ready; check `ray status`.")
        described = self.links()[0].actor.describe.remote(
            self._source, str(target.absolute()), info
        )
        film: Film = self._guarded(lambda: self._ray.get(described))
        return film

    def links(self) -> list["_Link"]:
        """Those that are ready, read the input and paint by the same recipe."""
        return [link for link in self._all if link.recipe is not None]

    def notes(self) -> list[str]:
        return self._notes

    def news(self, limit_s: float) -> list[tuple[Any, object]]:
        """As `Workers.news`.

        Raises:
            ClusterError: The cluster is gone, or no worker of it can paint this.
            ModelError: None can load the model.
        """
        self._ask()
        waits = {ref: (link, kind) for link in self._all for kind, ref in link.waits.items()}
        if not waits and any(link.is_lost or link.recipe is not None for link in self._all):
            self._clock.wait(threading.Event(), limit_s)
            return []
        if not waits and isinstance(self._failed, ModelError):
            raise self._failed
        if not waits:
            raise ClusterError("No worker of the cluster can paint this. " + " ".join(self._notes))
        ready, _ = self._guarded(
            lambda: self._ray.wait(list(waits), num_returns=1, timeout=limit_s or 0.001)
        )
        return [found for ref in ready for found in self._heard(*waits[ref], ref)]

    def close(self) -> None:
        """End the actors and leave the cluster."""
        for link in self._all:
            self._ray.kill(link.actor)
        self._ray.shutdown()

    # Inside

    def _introduce(self, link: "_Link") -> None:
        asked = self._source, self._address
        link.waits["introduce"] = link.actor.introduce.remote(*asked)

    def _ask(self) -> None:
        """How far everybody is, now and then; and whether the dead are back."""
        now_s = self._clock.now_s()
        for link in self._all:
            if now_s < link.next_s:
                continue
            link.next_s = now_s + PROGRESS_S
            if "paint" in link.waits and "progress" not in link.waits:
                link.waits["progress"] = link.actor.progress.remote()
            if link.is_lost:
                link.is_lost = False
                self._introduce(link)

    def _heard(self, link: "_Link", kind: str, ref: Any) -> list[tuple[Any, object]]:
        link.waits.pop(kind, None)
        try:
            told = self._ray.get(ref)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError):
            return self._lost(link)
        except self._ray.exceptions.RayTaskError as err:
            cause = err.cause if isinstance(err.cause, Exception) else err
            if kind == "introduce":
                self._leave_out(link, cause)
                return []
            return [(link, Failed(cause))]
        if kind == "introduce":
            self._admit(link, told)
            return []
        if kind == "progress":
            return [(link, Painted(told))] if told else []
        return [(link, self._result(link, told))]

    def _leave_out(self, link: "_Link", cause: Exception) -> None:
        """It cannot load the model, and would not the next time."""
        self._all.remove(link)
        self._ray.kill(link.actor)
        self._failed = self._failed or cause
        sentence = " ".join(f"{type(cause).__name__}: {cause}".split())
        self._notes.append(f"{link.name} was left out: {sentence[:LONGEST_REASON]}")

    def _lost(self, link: "_Link") -> list[tuple[Any, object]]:
        task, link.task = link.task, None
        link.waits.clear()
        link.vain += link.recipe is None
        if link.vain > MOST_VAIN:
            self._all.remove(link)
            self._notes.append(
                f"{link.name} did not become ready; `ray logs` on its node says why."
            )
            return [] if task is None else [(link, None)]
        link.recipe, link.is_lost, link.next_s = None, True, self._clock.now_s() + RETRY_S
        return [] if task is None else [(link, None)]

    def _admit(self, link: "_Link", told: Introduction) -> None:
        self._recipe = self._recipe or told.recipe
        if told.mark != self._mark:
            why = "does not read the same input"
        elif told.recipe != self._recipe:
            name = next(name for name in self._recipe if told.recipe[name] != self._recipe[name])
            why = f"paints other bytes: its {name} is {told.recipe[name]!r}"
        else:
            link.recipe, link.vain = told.recipe, 0
            return
        sentence = f"A worker on {told.host} was left out: it {why}."
        if sentence not in self._notes:
            self._notes.append(sentence)

    def _result(self, link: "_Link", told: Delivery) -> object:
        task, link.task = link.task, None
        if told.error is not None:
            return Failed(told.error)
        if told.wrong_edge:
            return Refused(told.wrong_edge)
        assert task is not None
        if told.data:
            task.path.write_bytes(told.data)
        if told.facts is not None:
            return Done(task.path, told.facts, told.stats or {})
        return Tailed(Tail(task.path, list(told.pts), told.stop) if told.data else None)

    def _guarded(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except (ConnectionError, self._ray.exceptions.RaySystemError) as err:
            raise ClusterError(
                "The cluster is gone; what is painted is kept, and the same command goes on."
            ) from err


class _Link:
    """One actor, and what is awaited of it."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name = name
        self.actor = actor
        self.recipe: dict[str, Any] | None = None
        self.waits: dict[str, Any] = {}
        self.task: Paint | None = None
        self.is_lost = False
        self.vain = 0
        self.next_s = 0.0

    def send(self, message: object) -> None:
        if isinstance(message, Stop):
            self.actor.stop.remote()
        elif isinstance(message, Paint):
            self.task = message
            self.waits["paint"] = self.actor.paint.remote(message.film, message.part, message.seek)
