"""Studio: everything that the web thread knows: keys, seats, watchers, files. Starts no thread."""

import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from models import Style
from stream.clock import Clock
from stream.frame import Size
from stream.live.controls import STYLE_FIELDS, Controls, Look, NamedStyle
from stream.live.host import LiveHost
from stream.studio.canvas_seat import CanvasSeat
from stream.studio.capacity import camera_side_px
from stream.studio.downloads import Downloads, Folder
from stream.studio.jobs import JobQueue
from stream.studio.outputs import SeatOutputs, outputs_here
from stream.studio.page_socket import PageSocket
from stream.studio.protocol import CODECS, Close, Hello
from stream.studio.seat import Seat, SeatOptions
from stream.studio.seats import Place, Seats
from stream.studio.security import Keys, Role
from stream.studio.viewer import Viewer

CANVAS_PX = 640
"""Side of a canvas."""

DEFAULT_SIDE_PX = 256
"""That a model is taken to work at until it is loaded."""

MOST_SOCKETS = 64
TICK_S = 0.5


class Studio:
    """What the pages of one server share. Belongs to the web thread.

    Args:
        styles: Prompt and description of each style of the strip.
        short_side_px: That the model works at; ``None`` takes its own.
    """

    def __init__(
        self,
        engine_thread: LiveHost,
        keys: Keys,
        folder: Folder,
        jobs: JobQueue,
        *,
        clock: Clock,
        styles: tuple[tuple[str, str], ...],
        stability: float,
        short_side_px: int | None,
    ) -> None:
        self.keys = keys
        self.folder = folder
        self.jobs = jobs
        self.clock = clock
        self.downloads = Downloads()
        self.seats = Seats(self._make_seat, clock)
        self.styles = styles
        self.camera_side_px = camera_side_px(short_side_px or DEFAULT_SIDE_PX)
        self._engine_thread = engine_thread
        self._stability = stability
        self._short_side_px = short_side_px
        self._usual_look: dict[str, Any] = {"stability": stability}
        self._watchers: dict[PageSocket, tuple[Place, Viewer] | None] = {}

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        return self._engine_thread.is_ready

    def know_engine(self, style: Style, short_side_px: int, seats: int) -> None:
        """The model is loaded: how it likes to be used, and how many people it can serve."""
        words = {word: getattr(style, field) for word, field in STYLE_FIELDS.items()}
        self._usual_look = {**words, "stability": self._stability}
        self.camera_side_px = camera_side_px(short_side_px)
        self.seats.most = seats

    def welcome(self, place: Place) -> dict[str, Any]:
        """What a page is told when it has a seat."""
        return {
            "seat": place.seat.id,
            "kind": place.seat.kind,
            "role": place.role.value,
            "look": place.seat.look_as_dict(),
            "ready": self.is_ready,
            "seats": self.seats.figures(),
            "limits": {"side": self.camera_side_px, "canvas": CANVAS_PX},
            "size": list(place.seat.options.size),
            "codecs": list(CODECS),
            "outputs": list(outputs_here()),
        }

    def info(self) -> dict[str, Any]:
        """What a page needs before it has a seat."""
        styles = [{"prompt": prompt, "description": told} for prompt, told in self.styles]
        return {
            "styles": styles,
            "ready": self.is_ready,
            "side": self.camera_side_px,
            "canvas": CANVAS_PX,
            "look": self._usual_look,
        }

    def tick(self) -> None:
        """Twice a second: seats, figures, files that are too old."""
        self.seats.tick()
        for place in self.seats.places:
            if place.page is not None:
                place.page.send({"stats": self._figures(place)})
        for watcher, seen in list(self._watchers.items()):
            if seen is None or seen[0] is not self.seats.stage or seen[0].seat.is_closed:
                self._show_stage(watcher)
        for room in self.folder.remove_old():
            self.downloads.forget(room)
        self.jobs.is_live = any(
            place.page is not None and place.seat.is_painting for place in self.seats.places
        )
        self.jobs.tick()

    def close(self) -> None:
        """Every page is told, every output finished."""
        places = self.seats.places
        outputs = [place.outputs for place in places]
        for one in outputs:
            one.close(wait=True)
        for watcher in list(self._watchers):
            self.remove_watcher(watcher)
            watcher.end(Close.RESTART)
        self.seats.close()
        self.jobs.close()

    # Watchers

    def add_watcher(self, page: PageSocket) -> None:
        """A page that only watches the owner's stage."""
        if len(self._watchers) >= MOST_SOCKETS:
            page.end(Close.BUSY)
            return
        self._watchers[page] = None
        page.send({"watching": True})
        self._show_stage(page)

    def remove_watcher(self, page: PageSocket) -> None:
        """It has gone, if it ever watched."""
        seen = self._watchers.pop(page, None)
        if seen is not None:
            seen[0].seat.unwatch(seen[1])

    def put_on_stage(self, place: Place, wanted: bool) -> None:
        """Let watchers see a seat, and no other."""
        for other in self.seats.places:
            other.on_stage = wanted and other is place
        for watcher in list(self._watchers):
            self._show_stage(watcher)

    def _show_stage(self, watcher: PageSocket) -> None:
        self.remove_watcher(watcher)
        stage = self.seats.stage
        self._watchers[watcher] = None
        if stage is not None:
            viewer = stage.seat.watch(watcher.send_bytes, watcher.hello.codecs)
            watcher.watch(viewer)
            self._watchers[watcher] = stage, viewer

    # Seats

    def _figures(self, place: Place) -> dict[str, Any]:
        return {
            **place.seat.figures(),
            "ready": self.is_ready,
            "seats": self.seats.figures(),
            "outputs": place.outputs.names,
            "waits": place.outputs.waits,
            "stage": place.on_stage,
            "watchers": len(self._watchers),
        }

    def _make_seat(self, hello: Hello, role: Role, id_: str) -> tuple[Seat, SeatOutputs]:
        style = Style()
        named = [NamedStyle(prompt, replace(style, prompt=prompt)) for prompt, _ in self.styles]
        controls = Controls(Look(style, self._stability), named)
        kind = CanvasSeat if hello.kind == "canvas" else Seat
        size: Size = (CANVAS_PX, CANVAS_PX) if hello.kind == "canvas" else hello.size
        options = SeatOptions(
            size=size,
            rate=hello.rate,
            prompts=tuple(prompt for prompt, _ in self.styles),
            short_side_px=self._short_side_px,
        )
        seat = kind(
            id_ or secrets.token_urlsafe(16),
            options,
            controls,
            self._engine_thread,
            clock=self.clock,
        )
        for word, value in hello.look.items():
            seat.try_change({word: value})
        return seat, SeatOutputs(seat, partial(self._say_ended, seat))

    def _say_ended(self, seat: Seat, name: str, path: Path | None, problem: str) -> None:
        """An output has ended; in its own thread."""
        told: dict[str, Any] = {"output": name, "on": False}
        if problem:
            told["error"] = problem
        if path is not None:
            told["download"] = self.downloads.add(path, f"alla-prima-{path.name}")
            told["bytes"] = path.stat().st_size
        seat.tell(told)

    def say_filmed(self, page: PageSocket, path: Path, count: int, problem: str) -> None:
        """A timelapse has been made, or not; in another thread."""
        told: dict[str, Any] = {"frames": count, "error": problem}
        if count:
            told["download"] = self.downloads.add(path, f"alla-prima-{path.name}")
        page.send({"timelapse": told})
