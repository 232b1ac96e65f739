"""Gaps: what of a film is still to be painted, beside the parts that are done. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from stream.offline.part_store import PartFacts
from stream.offline.parts import Edge, Part


class State(NamedTuple):
    """How far a film is.

    Attributes:
        done: Its finished parts, by time.
        gaps: The stretches between them, by time.
        stray: Parts that do not fit: of another beginning, or where another part lies.
    """

    done: list[PartFacts]
    gaps: list[Part]
    stray: list[PartFacts]

    def until_gap(self) -> list[PartFacts]:
        """The parts before the first gap."""
        end = self.gaps[0].start if self.gaps else None
        return [facts for facts in self.done if end is None or facts.first.pts < end]


def state_of(first: Edge, whole: Iterable[PartFacts]) -> State:
    """Put parts in their places.

    Args:
        first: The film's first frame.
        whole: The parts that are there.
    """
    state = State([], [], [])
    due: Edge | None = first
    for facts in sorted(whole, key=lambda facts: facts.first.pts):
        if due is not None and facts.first.pts > due.pts:
            state.gaps.append(Part(due, facts.first))
        elif facts.first != due:
            state.stray.append(facts)
            continue
        state.done.append(facts)
        due = facts.beyond
    if due is not None:
        state.gaps.append(Part(due, None))
    return state
