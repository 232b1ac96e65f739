"""Ray with one process and no network: calls are made when their results are asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from stream.cluster.actor import Introduction


class RayActorError(Exception):
    pass


class ObjectLostError(Exception):
    pass


class RaySystemError(Exception):
    pass


class RayTaskError(Exception):
    cause: Exception | None = None


@dataclass(eq=False)
class Reference:
    call: Callable[[], Any]


@dataclass
class FakeRay:
    """What `stream.cluster.ray_workers` uses of Ray.

    Attributes:
        events: What happens to an actor, by its number, at its next paintings: "die", in turns.
        blind: Numbers of the actors that do not read the input.
        other: Numbers of the actors with another recipe.
        gone_after: Painted parts after which the cluster is gone.
        reachable: Whether it can be joined.
        gpus, cores: Of each node.
    """

    events: dict[int, list[str]] = field(default_factory=dict)
    blind: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    gone_after: int | None = None
    reachable: bool = True
    gpus: tuple[int, ...] = (1, 1)
    cores: int = 8
    needs: dict[str, Any] = field(default_factory=dict)
    closed: bool = False
    painted: list[int] = field(default_factory=list)
    waits: int = 0
    actors: int = 0

    @property
    def exceptions(self) -> SimpleNamespace:
        errors = RayActorError, ObjectLostError, RaySystemError, RayTaskError
        return SimpleNamespace(**{error.__name__: error for error in errors})

    def init(self, **arguments: Any) -> None:
        if not self.reachable:
            raise ConnectionError("nobody there")

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"GPU": gpus, "CPU": self.cores}} for gpus in self.gpus
        ]

    def remote(self, **needs: Any) -> Callable[[type], Any]:
        self.needs = needs
        return lambda kind: SimpleNamespace(remote=lambda *given: self._actor(kind(*given)))

    def _actor(self, inside: Any) -> Any:
        number, self.actors = self.actors, self.actors + 1
        names = ("introduce", "describe", "paint", "progress", "stop")
        return SimpleNamespace(
            **{
                name: SimpleNamespace(
                    remote=lambda *given, name=name: Reference(
                        lambda: self._call(number, inside, name, given)
                    )
                )
                for name in names
            }
        )

    def _call(self, number: int, inside: Any, name: str, given: tuple[Any, ...]) -> Any:
        if name == "paint":
            if self.events.get(number):
                self.events[number].pop(0)
                raise RayActorError
            self.painted.append(given[1].start)
        try:
            told = getattr(inside, name)(*given)
        except Exception as err:
            failed = RayTaskError()
            failed.cause = err
            raise failed from err
        if isinstance(told, Introduction) and number in self.blind:
            return replace(told, mark="")
        if isinstance(told, Introduction) and number in self.other:
            return replace(told, recipe={**told.recipe, "device": "another"})
        return told

    def wait(self, refs: list[Reference], **arguments: Any) -> tuple[list[Reference], list[Any]]:
        self.waits += 1
        if self.gone_after is not None and len(self.painted) >= self.gone_after:
            raise RaySystemError("the head is gone")
        return [refs[self.waits % len(refs)]], []

    def get(self, ref: Reference) -> Any:
        return ref.call()

    def kill(self, actor: Any) -> None:
        return

    def shutdown(self) -> None:
        self.closed = True
