"""Who may talk to the studio: Guard, around everything the server answers, and Keys.

A page of another site can send requests to this machine from the user's own browser. Guard lets
in what a page of the studio itself sends (docs/studio.md names the attacks that each check stops):

    Host            must be a name of this server       DNS rebinding
    Origin          if there, of the same names         pages of other sites, sandboxed frames
    Sec-Fetch-Site  if there, same-origin or none       pictures and scripts embedded elsewhere

It wraps the application itself, because HTTP middleware does not see WebSockets.
"""

import hashlib
import hmac
import ipaddress
from collections import deque
from collections.abc import Iterable
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stream.clock import Clock

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

MOST_FAILURES, FAILURES_S = 10, 60.0
"""Wrong keys that one address may send in so many seconds."""

MOST_PEERS = 1024
"""Addresses whose failures are remembered."""

SHORTEST_KEY = 16

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "worker-src 'self'",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), display-capture=(self)",
}


class Role(Enum):
    """What a key lets its holder do."""

    OWNER = "owner"
    GUEST = "guest"
    WATCHER = "watcher"


class Keys:
    """The three keys of a studio; those of guests and watchers follow from the owner's.

    Belongs to the web thread.

    Args:
        owner: At least 16 characters.
    """

    def __init__(self, owner: str, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}
        self._keys = {Role.OWNER: owner} | {
            role: hmac.new(owner.encode(), role.value.encode(), hashlib.sha256).hexdigest()[:43]
            for role in (Role.GUEST, Role.WATCHER)
        }

    def of(self, role: Role) -> str:
        """The key to hand to somebody of this role."""
        return self._keys[role]

    def role(self, key: str, peer: str) -> Role | None:
        """What a key opens; ``None`` for a wrong one, and for any once there were too many."""
        now_s = self._clock.now_s()
        failures = self._failures.get(peer)
        if failures is not None:
            while failures and now_s - failures[0] > FAILURES_S:
                failures.popleft()
            if len(failures) >= MOST_FAILURES:
                return None
        given = key.encode()
        found = [
            role for role, own in self._keys.items() if hmac.compare_digest(own.encode(), given)
        ]
        if found:
            return found[0]
        self._note_failure(peer, now_s)
        return None

    def _note_failure(self, peer: str, now_s: float) -> None:
        if peer not in self._failures:
            while len(self._failures) >= MOST_PEERS:
                del self._failures[next(iter(self._failures))]
            self._failures[peer] = deque(maxlen=MOST_FAILURES)
        self._failures[peer].append(now_s)


class Hosts:
    """The names that this server answers to.

    Args:
        port: That it listens on.
        names: Further names, each with or without a port.
        is_open: It listens beyond this machine: then an address in figures is a name, too. Nobody
            can have such a name resolved to another machine.
    """

    def __init__(self, port: int, names: Iterable[str] = (), *, is_open: bool = False) -> None:
        self._port = port
        self._is_open = is_open
        self._known = {f"{name}:{port}" for name in LOOPBACK_NAMES}
        for name in names:
            self._known |= {name.lower(), f"{name.lower()}:{port}"}
        if port in (80, 443):
            self._known |= set(LOOPBACK_NAMES)

    def __contains__(self, host: str) -> bool:
        return host.lower() in self._known or (self._is_open and self._is_address(host))

    def _is_address(self, host: str) -> bool:
        parts = urlsplit(f"//{host}")
        try:
            ipaddress.ip_address(parts.hostname or "")
            port = parts.port
        except ValueError:
            return False
        return port == self._port or (port is None and self._port in (80, 443))

    def has_origin(self, origin: str) -> bool:
        """Whether an Origin header names a page of this server's; ``null`` does not."""
        scheme, _, host = origin.partition("://")
        return scheme in ("http", "https") and host in self


class Guard:
    """Refuses what no page of the studio has sent, and adds the safe headers to every answer."""

    def __init__(self, app: "ASGIApp", hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4403})
            return

        async def send_safely(message: "Message") -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        if refusal is None:
            await self._app(scope, receive, send_safely)
            return
        status, sentence = refusal
        plain = [(b"content-type", b"text/plain; charset=utf-8")]
        await send_safely({"type": "http.response.start", "status": status, "headers": plain})
        await send_safely({"type": "http.response.body", "body": sentence.encode()})

    def _refusal(self, scope: "Scope") -> tuple[int, str] | None:
        given: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts, origins = given.get("host", []), given.get("origin", [])
        sites = given.get("sec-fetch-site", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server does not go by that name; --host-name gives it another.",
            )
        if len(origins) > 1 or (origins and not self._hosts.has_origin(origins[0])):
            return HTTPStatus.FORBIDDEN, "Pages of other sites may not talk to the studio."
        if scope["type"] == "websocket" and not origins:
            return HTTPStatus.FORBIDDEN, "A socket must say which page it comes from."
        if any(site not in ("same-origin", "none") for site in sites):
            return HTTPStatus.FORBIDDEN, "Pages of other sites may not use the studio's files."
        return None
