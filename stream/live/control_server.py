"""ControlServer: changes a running session by JSON lines from a local socket or standard input.

    {"prompt": "oil painting", "strength": 0.6}      ->  {"ok": true, "look": {...}}
    {"style": "next"}  {"bypass": true}              ->  the same
    {"ask": "stats"}  {"ask": "look"}  {"quit": true}
    nonsense                                         ->  {"ok": false, "error": "..."}

It listens on loopback TCP, on a Unix socket that only its owner may use, or on standard input
(without answers). One worker thread of the session serves all clients. A web page that is tricked
into connecting to the port speaks HTTP, and is disconnected at its first line.
"""

import contextlib
import json
import logging
import os
import re
import selectors
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from stream.errors import ControlError
from stream.live.controls import Controls
from stream.stats import Stats

logger = logging.getLogger(__name__)

STDIN = "-"
LOOPBACK = "127.0.0.1"
LONGEST_LINE_BYTES = 16_384
MOST_CLIENTS = 16
READ_BYTES = 4096
HTTP = re.compile(rb"[A-Z]+ \S+ HTTP/|[A-Za-z-]+: ")
OWNER_ONLY = 0o177
"""The umask under which a Unix socket is made."""


@dataclass(slots=True)
class Client:
    """A connection that sends lines; `reply` is where the answers go."""

    channel: socket.socket | BinaryIO
    reply: socket.socket | None
    waiting: bytearray = field(default_factory=bytearray)


class ControlServer:
    """A service of a live session. `stop` from any thread, the rest from one.

    Args:
        where: A port number of this machine, the path of a Unix socket to make, or ``-``.
        controls: What the lines change.
        stats: What ``{"ask": "stats"}`` answers.

    Raises:
        ControlError: The port or the path is taken, or may not be used, or this system has no such
            way in.
    """

    name = "control"

    def __init__(self, where: str, controls: Controls, stats: Stats) -> None:
        self._controls = controls
        self._stats = stats
        self._path: Path | None = None
        stdin = _stdin() if where == STDIN else None
        self._listener = self._listen(where) if stdin is None else None
        self._stopped = False
        self._selector = selectors.SelectSelector()  # the only kind that takes a plain file
        self._alarm, self._bell = socket.socketpair()
        self._selector.register(self._alarm, selectors.EVENT_READ)
        if stdin is not None:
            self._add(Client(stdin, None))
        if self._listener is not None:
            self._selector.register(self._listener, selectors.EVENT_READ)
        if where.isdigit() and int(where) == 0:
            logger.warning("Changes are taken at port %d of this machine.", self.port)

    @property
    def port(self) -> int:
        """The TCP port; the one that the system chose if 0 was asked."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Serve until `stop`."""
        try:
            while not self._stopped:
                for key, _ in self._selector.select():
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.data, Client):
                        self._hear(key.data)
        finally:
            self._close()

    def stop(self) -> None:
        self._stopped = True
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    def abandon(self) -> None:
        """Let go of everything where `run` will never be called."""
        self._close()

    def answer(self, line: bytes) -> dict[str, object]:
        """Apply one line, and return the reply."""
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal('this is no JSON; send one object a line, such as {"strength": 0.5}')
        if not isinstance(asked, dict):
            return _refusal('expected an object, such as {"strength": 0.5}')
        if asked.pop("quit", False) is True:
            self._controls.quit()
            return {"ok": True}
        wanted = asked.pop("ask", None)
        if wanted is not None and wanted not in ("stats", "look"):
            return _refusal(f"got ask={wanted!r}, expected stats or look")
        try:
            if asked:
                self._controls.change(asked)
        except ValueError as err:
            return _refusal(str(err))
        if wanted == "stats":
            return {"ok": True, "stats": self._stats.as_dict()}
        return {"ok": True, "look": self._controls.as_dict()}

    def _listen(self, where: str) -> socket.socket:
        try:
            if where.isdigit():
                return socket.create_server((LOOPBACK, int(where)))
            return self._listen_unix(Path(where))
        except (OSError, OverflowError) as err:
            code = getattr(err, "errno", None)  # its words are followed by the whole address
            reason = os.strerror(code) if code else str(err)
            raise ControlError(
                f"The control socket {where} cannot be opened ({reason}); choose another port or "
                "path."
            ) from err

    def _listen_unix(self, path: Path) -> socket.socket:
        if not hasattr(socket, "AF_UNIX"):
            raise ControlError(
                f"The control socket {path} cannot be opened: Python has no Unix sockets on this "
                "system; choose a port."
            )
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(OWNER_ONLY)
        try:
            listener.bind(str(path))
            listener.listen()
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._path = path
        return listener

    def _accept(self) -> None:
        assert self._listener is not None
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        if len(self._selector.get_map()) > MOST_CLIENTS:
            connection.close()
            return
        self._add(Client(connection, connection))

    def _add(self, client: Client) -> None:
        self._selector.register(client.channel, selectors.EVENT_READ, client)

    def _hear(self, client: Client) -> None:
        try:
            heard = _read(client.channel)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        client.waiting += heard
        *lines, rest = client.waiting.split(b"\n")
        if not heard and rest.strip():
            lines.append(rest)
        client.waiting = bytearray(rest)
        for line in lines:
            if HTTP.match(line) or len(line) > LONGEST_LINE_BYTES:
                self._drop(client)
                return
            if line.strip():
                self._reply(client, self.answer(bytes(line)))
        if not heard or len(client.waiting) > LONGEST_LINE_BYTES:
            self._drop(client)

    def _reply(self, client: Client, answer: dict[str, object]) -> None:
        if client.reply is None:
            if not answer["ok"]:
                logger.warning("control: %s", answer["error"])
            return
        with contextlib.suppress(OSError):  # one who does not read gets no answer
            client.reply.send(json.dumps(answer).encode() + b"\n")

    def _drop(self, client: Client) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.channel)
        if client.reply is not None:
            client.reply.close()

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Client):
                self._drop(key.data)
        self._selector.close()
        for one in (self._listener, self._alarm, self._bell):
            if one is not None:
                one.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _stdin() -> BinaryIO:
    if sys.platform == "win32":
        raise ControlError(
            "Changes cannot be read from standard input on Windows, which can wait for sockets "
            "only; choose a port."
        )
    if sys.stdin is None:
        raise ControlError(
            "Changes cannot be read from standard input, which is closed; choose a port or a path."
        )
    return sys.stdin.buffer


def _read(channel: socket.socket | BinaryIO) -> bytes:
    """What has come; on Windows a socket is no file."""
    if isinstance(channel, socket.socket):
        return channel.recv(READ_BYTES)
    return os.read(channel.fileno(), READ_BYTES)


def _refusal(sentence: str) -> dict[str, object]:
    return {"ok": False, "error": sentence}
