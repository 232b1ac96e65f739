"""Fetching: the parts of a stream in segments (HLS, DASH) over HTTPS, by Python.

FFmpeg checks the certificate of the playlist alone: it hands its options on to no segment. So
where certificates are checked PyAV is given these files instead of addresses. Encrypted segments
(`crypto+https`) are FFmpeg's own and are refused.
"""

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import av

from stream.addresses import shown
from stream.errors import SourceError
from stream.trust import checking_context

SCHEMES = ("http", "https")
SUFFIXES = (".m3u8", ".mpd")

NO_REUSE = {"http_persistent": "0", "http_multiple": "0"}
"""FFmpeg's HLS must not look for a connection of its own inside of our files."""

HTTP_ERRORS = {
    401: av.error.HTTPUnauthorizedError,
    403: av.error.HTTPForbiddenError,
    404: av.error.HTTPNotFoundError,
}
"""FFmpeg's own, so that they are explained alike."""


def is_playlist(url: str) -> bool:
    """Whether the address says that it is one."""
    return urlsplit(url).path.lower().endswith(SUFFIXES)


class Fetched:
    """The body of one answer, for PyAV to read. Not thread-safe."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def read(self, size: int) -> bytes:
        """Up to so many bytes, as they come; none at the end.

        Raises:
            OSError: The connection broke or stalled.
        """
        try:
            return self._answer.read1(size)
        except http.client.HTTPException as err:
            raise OSError(f"the answer broke off: {err}") from err

    def close(self) -> None:
        self._answer.close()


class WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows a server to no other kind of address (urllib would to FTP)."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme.lower() not in SCHEMES:
            raise OSError(f"the server leads to {shown(newurl)}, which is not of the web")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Fetcher:
    """Opens what a playlist names; `open` is PyAV's `io_open`. Not thread-safe.

    Args:
        timeout_s: How long a silent server is waited for, each time.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        handler = urllib.request.HTTPSHandler(context=checking_context())
        self._opener = urllib.request.build_opener(handler, WebOnly())

    def open(self, url: str, flags: int, options: Mapping[str, str]) -> Fetched:
        """
        Raises:
            SourceError: The address is not of a kind that is fetched here.
            ssl.SSLCertVerificationError: The certificate is refused.
            OSError: It cannot be reached; one of PyAV's errors for what the server answers.
        """
        try:
            return Fetched(self._opener.open(request(url, options), timeout=self._timeout_s))
        except urllib.error.HTTPError as err:
            kind = HTTP_ERRORS.get(err.code, av.error.HTTPServerError)
            raise kind(err.code, str(err.reason), shown(url)) from err
        except urllib.error.URLError as err:
            raise (err.reason if isinstance(err.reason, OSError) else err) from err
        except http.client.HTTPException as err:
            raise OSError(f"this is no answer of a web server: {err}") from err


def request(url: str, options: Mapping[str, str]) -> urllib.request.Request:
    """One request as FFmpeg would send it: with the name and password of the address, for the
    bytes that are wanted.

    Raises:
        SourceError: The address is of another kind.
    """
    parts = urlsplit(url)
    if parts.scheme.lower() not in SCHEMES:
        raise SourceError(
            f"{shown(url)} cannot be read with its certificate checked; allow it with "
            "insecure=True."
        )
    place = parts.netloc.rpartition("@")[2]
    asked = urllib.request.Request(urlunsplit(parts._replace(netloc=place)))
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        asked.add_unredirected_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    first, end = options.get("offset", "0"), options.get("end_offset")
    if end is not None:
        asked.add_header("Range", f"bytes={first}-{int(end) - 1}")
    return asked
