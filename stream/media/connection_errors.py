"""Error messages for streams: why one cannot be reached or read, and what to do next."""

import socket
import ssl
from urllib.parse import urlsplit

import av

from stream.addresses import shown
from stream.trust import PORTS, describe, refusal

REASONS: list[tuple[type[Exception], str]] = [
    (av.error.ExitError, "does not answer; check the address and the network"),
    (TimeoutError, "does not answer; check the address and the network"),
    (av.error.ConnectionRefusedError, "refuses the connection; is the server up?"),
    (av.error.HTTPUnauthorizedError, "asks for a name and password; put them in it"),
    (av.error.HTTPNotFoundError, "is not there (404); check the path"),
    (av.error.HTTPForbiddenError, "is forbidden to us (403); check the rights"),
    (av.error.HTTPServerError, "is broken on its server (5xx); look there"),
    (av.error.ProtocolNotFoundError, "is of a protocol that FFmpeg here was built without"),
    (av.error.InvalidDataError, "sends no video that can be read; check the address"),
    (av.error.EOFError, "closes the connection; check the path, and that it is such a server"),
]
"""The first that fits holds."""

SILENCE: list[tuple[type[Exception], str]] = [
    (av.error.ExitError, "is silent; is anybody sending to it?"),
    (av.error.EOFError, "is silent; is anybody sending to it?"),
]
"""The same of UDP, where nobody can answer."""


def explain(url: str, err: Exception, done: str = "read", *, insecure: bool = False) -> str:
    """One sentence on what FFmpeg says of an address that cannot be read, or ``written to``.

    FFmpeg says no more than "Input/output error" of a host that does not exist and of encryption
    that fails: those are told apart here. `insecure`: no certificate was checked.
    """
    if isinstance(err, ssl.SSLCertVerificationError):
        return f"{shown(url)} {_refused(describe(err))}."
    told = [*SILENCE, *REASONS] if urlsplit(url).scheme.lower() == "udp" else REASONS
    reason = next((reason for kind, reason in told if isinstance(err, kind)), None)
    reason = reason or _looked_into(url, insecure=insecure) or _as_told(err, done)
    return f"{shown(url)} {reason}{'' if reason.endswith('?') else '.'}"


def _as_told(err: Exception, done: str) -> str:
    told = str(getattr(err, "strerror", "") or err)
    return f"cannot be {done} ({told}); check the address and the network"


def _looked_into(url: str, *, insecure: bool) -> str | None:
    parts = urlsplit(url)
    if not parts.netloc:
        return None
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not an address; check its port"
    try:
        socket.getaddrinfo(host, port)
    except (OSError, UnicodeError):
        return f"cannot be reached: there is no host {host}; check its name and the network"
    if parts.scheme.lower() in PORTS:
        refused = None if insecure else refusal(url)
        if refused is not None:
            return _refused(refused)
        return "takes no encrypted connection (TLS); check the port"
    return None


def _refused(why: str) -> str:
    return (
        f"shows a certificate that is not trusted ({why}); check the address and the clock, or "
        "allow it with insecure=True"
    )
