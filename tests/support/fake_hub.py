"""A model hub on this machine, over real HTTP: what huggingface_hub asks, answered from folders.

It speaks the part of the hub's protocol that a download needs: the listing of a repository with
sizes, a HEAD a file with commit and ETag, a GET with ranges, and the hub's own error codes.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "1234567890abcdef1234567890abcdef12345678"

LIMIT_S = 600
"""What an answer may take on a busy machine."""


@dataclass
class FakeHub:
    """What the hub has and what was asked of it.

    Attributes:
        repositories: Hub id -> folder.
        refusals: Hub id -> (status, the hub's error code): what is said instead.
        cut_after: Bytes after which a download of a large file breaks off, once each.
        asked: Method and path of every request.
        ranges: The Range header of every download that had one.
    """

    repositories: dict[str, Path] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut_after: int | None = None
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    endpoint: str = ""

    def listing(self, source: str) -> dict[str, Any]:
        folder = self.repositories[source]
        files = [path for path in folder.rglob("*") if path.is_file()]
        siblings = [
            {"rfilename": path.relative_to(folder).as_posix(), "size": path.stat().st_size}
            for path in files
        ]
        return {"id": source, "modelId": source, "sha": COMMIT, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        if path.startswith("api/models/") or "/resolve/" in path:  # the library asks more
            self.hub.asked.append(f"{self.command} {path}")
        words = path.removeprefix("api/models/").split("/")
        source, rest = "/".join(words[:2]), words[2:]
        revision = rest[1] if len(rest) > 1 else "main"
        if source in self.hub.refusals:
            self._refuse(*self.hub.refusals[source])
        elif source not in self.hub.repositories:
            self._refuse(404, "RepoNotFound")
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif path.startswith("api/models/"):
            self._send(json.dumps(self.hub.listing(source)).encode(), {})
        else:
            self._send_file(self.hub.repositories[source] / "/".join(rest[2:]), with_body)

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"{}", {"X-Error-Code": code, "X-Error-Message": "no"}, status)

    def _send_file(self, path: Path, with_body: bool) -> None:
        if not path.is_file():
            self._refuse(404, "EntryNotFound")
            return
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range") if with_body else None
        if asked is None:
            self._send(data, headers, with_body=with_body)
            return
        self.hub.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").split("-")[0])
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(data[start:], headers, 206)

    def _send(
        self, data: bytes, headers: dict[str, str], status: int = 200, *, with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.hub.cut_after
        if not with_body:
            return
        if cut is not None and len(data) > cut and "ETag" in headers and status == 200:
            self.wfile.write(data[:cut])
            self.close_connection = True
            return
        self.wfile.write(data)


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[FakeHub]:
    """A running hub that the hub's library in this process talks to, with an empty cache."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    point_at(monkeypatch, hub.endpoint, cache)
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Let the hub's library in this process use another hub and another cache."""
    place = "huggingface_hub.constants"
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(f"{place}.ENDPOINT", endpoint)
    monkeypatch.setattr(f"{place}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(f"{place}.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(f"{place}.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(f"{place}.HF_HUB_DOWNLOAD_TIMEOUT", LIMIT_S)
    for module in ("hub", "download"):
        monkeypatch.setattr(f"models.weights.{module}.CONNECT_TIMEOUT_S", LIMIT_S)
