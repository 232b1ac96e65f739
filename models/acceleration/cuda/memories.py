"""WorkingMemories: the memory of the stream whose turn it is, in the place that graphs read.

    stream A's memory ──copied in──► working memory of that size ◄──read, written── graphs
                      ◄──copied out, when stream B's turn comes──

All graphs of one size of frame share one working memory, so that another number of steps goes on
where the last one was. One stream alone is never copied.
"""

from dataclasses import dataclass
from functools import partial

from models.acceleration.cuda.device import Device
from models.engine import Engine
from models.temporal import Memory, memory_of


@dataclass(slots=True)
class _Place:
    working: Memory
    held: Memory | None = None  # whose content it has


class WorkingMemories:
    """One for each size of frame. Not thread-safe.

    Args:
        engine: Makes them.
        device: On whose compute stream copies are made, in order with the frames.
    """

    def __init__(self, engine: Engine, device: Device) -> None:
        self._engine = engine
        self._device = device
        self._places: dict[tuple[int, int], _Place] = {}

    def of(self, size: tuple[int, int], memory: Memory) -> Memory:
        """The working memory for frames of size (width, height), holding what `memory` holds."""
        if size not in self._places:
            self._places[size] = _Place(memory_of(self._engine, size))
        place = self._places[size]
        if place.held is not memory:
            self._swap(place, memory)
        return place.working

    def release(self) -> None:
        """Give all memories back what is theirs, and let the working ones go."""
        for place in self._places.values():
            if place.held is not None:
                self._device.launch(
                    self._device.compute, partial(place.held.take_from, place.working)
                )
        self._places.clear()

    def _swap(self, place: _Place, memory: Memory) -> None:
        before, working, place.held = place.held, place.working, memory
        if before is not None:
            self._device.launch(self._device.compute, lambda: before.take_from(working))
        self._device.launch(self._device.compute, lambda: working.take_from(memory))
