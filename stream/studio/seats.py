"""Seats: who has a place in the studio and who waits in line.

Belongs to the web thread, which calls `tick` now and then.

    page ─► a seat of its own ─► lost ─► back within 30 s: the same seat (8 s if others wait)
        └─► a place in line ──► the next free seat

Nobody loses a seat unless somebody waits for it: then who sends nothing is warned after 60 s and
makes room after 90 s. Whose turn it is among the seats, `stream.live.host` decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from stream.clock import Clock
from stream.studio.outputs import SeatOutputs
from stream.studio.protocol import Close, Hello
from stream.studio.seat import Seat
from stream.studio.security import Role
from stream.studio.viewer import Viewer

LOST_S = 30.0
LOST_IN_LINE_S = 8.0
"""How long a seat waits for a page that was lost, and how long while others wait for a seat."""

WARN_S, IDLE_S = 60.0, 90.0
MOST_IN_LINE = 64


class Page(Protocol):
    """A page's socket, as seats see it."""

    hello: Hello
    role: Role

    def send(self, message: dict[str, Any]) -> None:
        """A control message; from any thread."""

    def send_bytes(self, message: bytes) -> None:
        """A picture; from any thread."""

    def sit(self, place: "Place") -> None:
        """It has a seat now."""

    def end(self, close: Close) -> None:
        """Close it."""


@dataclass(slots=True, eq=False)
class Place:
    """A seat that is taken.

    Attributes:
        page: Its page; ``None`` while that is lost.
        viewer: What shows the page its paintings.
        active_at_s: When it last sent something.
        on_stage: Whether watchers may see it.
    """

    seat: Seat
    outputs: SeatOutputs
    role: Role
    page: Page | None = None
    viewer: Viewer | None = None
    lost_at_s: float = 0.0
    active_at_s: float = 0.0
    is_warned: bool = False
    on_stage: bool = False
    watchers: set[Page] = field(default_factory=set)


class Seats:
    """The seats of one engine.

    Args:
        make: Makes a seat and its outputs as a hello says; not started.
    """

    def __init__(
        self, make: Callable[[Hello, Role, str], tuple[Seat, SeatOutputs]], clock: Clock
    ) -> None:
        self.most = 1
        self._make = make
        self._clock = clock
        self._places: dict[str, Place] = {}
        self._line: list[Page] = []

    @property
    def places(self) -> list[Place]:
        """Those that are taken."""
        return list(self._places.values())

    def figures(self) -> dict[str, int]:
        """How many there are, are taken, and are waited for."""
        return {"most": self.most, "taken": len(self._places), "waiting": len(self._line)}

    def enter(self, page: Page) -> None:
        """A page has come: give it its seat back, a new one, or a place in line."""
        place = self._places.get(page.hello.resume)
        if place is not None:
            self._resume(place, page)
        elif len(self._places) < self.most:
            self._seat(page)
        elif len(self._line) >= MOST_IN_LINE:
            page.end(Close.BUSY)
        else:
            self._line.append(page)
            self._tell_places()

    def leave(self, page: Page) -> None:
        """A page has gone; its seat waits for it a while."""
        if page in self._line:
            self._line.remove(page)
            self._tell_places()
        for place in self._places.values():
            if place.page is page:
                self._detach(place)
                place.lost_at_s = self._clock.now_s()

    def active(self, place: Place) -> None:
        """Somebody does something at a place."""
        place.active_at_s = self._clock.now_s()
        place.is_warned = False

    def tick(self) -> None:
        """Free what is lost or idle, and seat whoever is next in line."""
        now_s = self._clock.now_s()
        for place in self.places:
            if place.page is None:
                if now_s - place.lost_at_s > (LOST_IN_LINE_S if self._line else LOST_S):
                    self._free(place)
            elif self._line:
                self._look_after(place, now_s)
        while self._line and len(self._places) < self.most:
            self._seat(self._line.pop(0))
            self._tell_places()

    def close(self) -> None:
        """The studio ends: every page is told, every seat closed."""
        for waiting in self._line:
            waiting.end(Close.RESTART)
        self._line.clear()
        for place in self.places:
            page = place.page
            self._free(place)
            if page is not None:
                page.end(Close.RESTART)

    @property
    def stage(self) -> Place | None:
        """What watchers see."""
        return next((one for one in self._places.values() if one.on_stage), None)

    def _look_after(self, place: Place, now_s: float) -> None:
        idle_s = now_s - place.active_at_s
        if idle_s > IDLE_S:
            page = place.page
            self._free(place)
            if page is not None:
                page.end(Close.IDLE)
        elif idle_s > WARN_S and not place.is_warned and place.page is not None:
            place.is_warned = True
            place.page.send({"idle": {"seconds": round(IDLE_S - idle_s)}})

    def _seat(self, page: Page) -> None:
        seat, outputs = self._make(page.hello, page.role, "")
        place = Place(seat, outputs, page.role)
        self._places[seat.id] = place
        self._attach(place, page)
        seat.start()

    def _resume(self, place: Place, page: Page) -> None:
        before = place.page
        if before is not None:
            self._detach(place)
            before.end(Close.ELSEWHERE)
        hello, old = page.hello, place.seat
        if (hello.kind, hello.size) != (old.kind, old.options.size):
            place.outputs.close()
            old.close()
            place.seat, place.outputs = self._make(hello, place.role, old.id)
            self._attach(place, page)
            place.seat.start()
        else:
            self._attach(place, page)

    def _attach(self, place: Place, page: Page) -> None:
        place.page = page
        self.active(place)
        place.seat.tell, place.seat.post = page.send, page.send_bytes
        page.sit(place)
        place.viewer = place.seat.watch(page.send_bytes, page.hello.codecs)

    def _detach(self, place: Place) -> None:
        place.page = None
        place.seat.tell = lambda message: None
        place.seat.post = lambda message: None
        if place.viewer is not None:
            place.seat.unwatch(place.viewer)
            place.viewer = None

    def _free(self, place: Place) -> None:
        self._places.pop(place.seat.id, None)
        self._detach(place)
        place.outputs.close()
        place.seat.close()

    def _tell_places(self) -> None:
        for index, page in enumerate(self._line):
            page.send({"busy": {"place": index + 1, "seats": self.most}})
