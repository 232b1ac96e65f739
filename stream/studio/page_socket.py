"""PageSocket: one page's WebSocket: hello, seat, messages in, messages out.

Messages go out in order from one queue; pictures are few in it, because a viewer waits until the
page has drawn those before. Whoever does not read, or sends too much, is cut off.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect

from stream.errors import StreamError
from stream.studio import protocol
from stream.studio.canvas_seat import CanvasSeat
from stream.studio.downloads import Folder
from stream.studio.protocol import Close, Hello, ProtocolError
from stream.studio.seats import Place, Seats
from stream.studio.security import Keys, Role
from stream.studio.viewer import Viewer

HELLO_S = 5.0
MOST_QUEUED = 256
"""Messages that may wait to be sent."""

STUCK_S = 1.0
"""How long a page that does not read is given to read why it is cut off."""


class Studio(Protocol):
    """What a page needs of the studio: `stream.studio.studio.Studio`."""

    keys: Keys
    seats: Seats
    folder: Folder

    def welcome(self, place: Place) -> dict[str, Any]:
        """What a page is told when it has a seat."""

    def add_watcher(self, page: "PageSocket") -> None:
        """A page that only watches."""

    def remove_watcher(self, page: "PageSocket") -> None:
        """It has gone, if it ever watched."""

    def put_on_stage(self, place: Place, wanted: bool) -> None:
        """Let watchers see a seat."""

    def say_filmed(self, page: "PageSocket", path: Path, count: int, problem: str) -> None:
        """A timelapse has been made, or not."""


class PageSocket:
    """Serves one page until either side closes. Belongs to the web thread but for the sends."""

    def __init__(self, socket: WebSocket, studio: Studio) -> None:
        self._socket = socket
        self._studio = studio
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[str | bytes | Close] = asyncio.Queue(MOST_QUEUED)
        self._ended = self._is_stuck = False
        self._task: asyncio.Task[Any] | None = None
        self._second, self._count = 0, 0
        self.hello: Hello
        self.role = Role.WATCHER
        self._place: Place | None = None
        self._watched: Viewer | None = None

    async def serve(self) -> None:
        """From the handshake to the end."""
        await self._socket.accept()
        self._task = asyncio.current_task()
        sender = asyncio.ensure_future(self._send_all())
        try:
            await self._listen()
        except ProtocolError as err:
            if err.close is Close.BAD_MESSAGE:
                self.send({"trouble": str(err)})
            self.end(err.close)
        except TimeoutError:
            self.end(Close.LATE)
        except asyncio.CancelledError:
            if not self._is_stuck:
                raise
            sender.cancel()
        finally:
            self._studio.remove_watcher(self)
            self._studio.seats.leave(self)
            self.end(Close.RESTART)
        with suppress(asyncio.CancelledError):
            await sender

    def send(self, message: dict[str, Any]) -> None:
        """A control message; from any thread."""
        self._post(json.dumps(message))

    def send_bytes(self, message: bytes) -> None:
        """A picture; from any thread."""
        self._post(message)

    def end(self, close: Close) -> None:
        """Close the socket once what waits is sent; from any thread."""
        self._post(close)

    def sit(self, place: Place) -> None:
        """A seat has been given."""
        self._place = place
        place.seat.refuse = self._refuse
        self.send({"welcome": self._studio.welcome(place)})

    # Out

    def _post(self, message: str | bytes | Close) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._enqueue, message)

    def _enqueue(self, message: str | bytes | Close) -> None:
        if self._ended:
            return
        if isinstance(message, Close):
            self._ended = True
        elif self._queue.qsize() >= MOST_QUEUED - 1:
            self._ended = self._is_stuck = True
            while not self._queue.empty():
                self._queue.get_nowait()
            message = Close.TOO_SLOW
            if self._task is not None:
                self._loop.call_later(STUCK_S, self._task.cancel)
        self._queue.put_nowait(message)

    async def _send_all(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            while True:
                message = await self._queue.get()
                if isinstance(message, Close):
                    await self._socket.close(int(message), message.meaning)
                    return
                if isinstance(message, str):
                    await self._socket.send_text(message)
                else:
                    await self._socket.send_bytes(message)

    # In

    async def _greet(self) -> None:
        async with asyncio.timeout(HELLO_S):
            first = await self._socket.receive()
        if first["type"] == "websocket.disconnect":
            self._ended = True
            return
        if not isinstance(first.get("text"), str):
            raise ProtocolError("expected a hello first")
        self.hello = protocol.read_hello(first["text"])
        peer = self._socket.client.host if self._socket.client else ""
        role = self._studio.keys.role(self.hello.key, peer)
        if role is None or (role is Role.WATCHER and self.hello.kind != "watch"):
            raise ProtocolError("the key is wrong", Close.KEY)
        self.role = role
        if self.hello.kind == "watch":
            self._studio.add_watcher(self)
        else:
            self._studio.seats.enter(self)

    async def _listen(self) -> None:
        await self._greet()
        while not self._ended:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._count_message()
            text = message.get("text")
            self._take(message["bytes"] if text is None else text)

    def _count_message(self) -> None:
        second = int(self._loop.time())
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count > protocol.MESSAGES_PER_S:
            raise ProtocolError("too many messages", Close.TOO_FAST)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            packet = protocol.read_packet(message)
            if self.hello.kind == "watch":
                raise ProtocolError("a watcher sends no pictures")
            if self._place is not None:
                self._studio.seats.active(self._place)
                self._place.seat.take(packet)
            return
        said = protocol.read_control(message)
        if "ack" in said or "key" in said:
            self._take_receipt("key" in said)
            return
        known = [word for word in said if word in HANDLERS]
        if len(known) != 1:
            raise ProtocolError(f"got {sorted(said)[:3]}, expected one of {', '.join(HANDLERS)}")
        if self._place is not None:
            self._studio.seats.active(self._place)
            HANDLERS[known[0]](self, self._place, said)

    def _take_receipt(self, wants_key: bool) -> None:
        """The page has drawn a picture, or cannot and needs one that it can begin with."""
        place, viewer = self._place, self._watched
        if place is not None and place.page is self:
            viewer = place.viewer
        if viewer is not None and wants_key:
            viewer.want_key()
        elif viewer is not None:
            viewer.acknowledge()

    def _refuse(self, err: ProtocolError) -> None:
        self.send({"trouble": str(err)})
        self.end(err.close)

    def watch(self, viewer: Viewer) -> None:
        """From now on the page's acknowledgements belong to this viewer."""
        self._watched = viewer

    # What a page may ask

    def _set(self, place: Place, said: dict[str, Any]) -> None:
        asked, number = said["set"], said.get("n", 0)
        if not isinstance(asked, dict):
            raise ProtocolError("got a set that is no object")
        answer: dict[str, Any] = {"n": number}
        prompt = asked.get("prompt", "")
        try:
            if isinstance(prompt, str) and len(prompt) > protocol.MOST_PROMPT:
                raise ValueError(f"a description has {protocol.MOST_PROMPT} characters at most")
            place.seat.change(asked)
        except ValueError as err:
            answer["error"] = str(err)
        self.send({**answer, "look": place.seat.look_as_dict()})

    def _photo(self, place: Place, said: dict[str, Any]) -> None:
        place.seat.photograph()

    def _here(self, place: Place, said: dict[str, Any]) -> None:
        """Somebody says that they are still there."""

    def _stage(self, place: Place, said: dict[str, Any]) -> None:
        if self.role is Role.OWNER:
            self._studio.put_on_stage(place, bool(said["stage"]))

    def _output(self, place: Place, said: dict[str, Any]) -> None:
        name, address = said["output"], said.get("address", "")
        if self.role is not Role.OWNER or not (isinstance(name, str) and isinstance(address, str)):
            raise ProtocolError("this key opens no outputs", Close.KEY)
        if not said.get("on"):
            place.outputs.stop(name)
            return
        try:
            place.outputs.start(name, address)
        except (StreamError, ValueError) as err:
            self.send({"output": name, "error": str(err)})
            return
        self.send({"output": name, "on": True})

    def _record(self, place: Place, said: dict[str, Any]) -> None:
        if not said["record"]:
            place.outputs.stop("recording")
            return
        try:
            path = self._studio.folder.recording(place.seat.kind, ".mp4")
            place.outputs.record(path, sound=bool(said.get("sound")))
        except StreamError as err:
            self.send({"output": "recording", "error": str(err)})
            return
        self.send({"output": "recording", "on": True})

    def _timelapse(self, place: Place, said: dict[str, Any]) -> None:
        if isinstance(place.seat, CanvasSeat):
            try:
                path = self._studio.folder.recording("timelapse", ".mp4")
            except StreamError as err:
                self.send({"timelapse": {"error": str(err)}})
                return
            place.seat.film(path, partial(self._studio.say_filmed, self, path))


HANDLERS: dict[str, Callable[[PageSocket, Place, dict[str, Any]], None]] = {
    "set": PageSocket._set,
    "photo": PageSocket._photo,
    "here": PageSocket._here,
    "stage": PageSocket._stage,
    "output": PageSocket._output,
    "record": PageSocket._record,
    "timelapse": PageSocket._timelapse,
}
