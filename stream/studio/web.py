"""The application that the studio's server runs: pages, socket, files. `runner.py` starts it.

GET    /  /obs  /pages/NAME    pages and what belongs to them
GET    /api/info               styles, and whether the model is loaded
PUT    /api/jobs?name=&look=   a dropped file, its bytes as they are
GET    /api/jobs               a person's files
POST   /api/jobs/ID/stop       end one
DELETE /api/jobs/ID            forget one
GET    /d/TOKEN                a file that nobody guesses the address of
       /ws                     the socket of `page_socket.py`

All of /api/jobs needs the key as a bearer's, and X-Person, which a page makes for itself.
"""

import json
import re
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from models import Style, parse_prompt
from stream.errors import SinkError
from stream.live.controls import style_fields
from stream.studio.downloads import plain_name
from stream.studio.file_job import FileJob
from stream.studio.page_socket import PageSocket
from stream.studio.protocol import MOST_PROMPT
from stream.studio.security import Role
from stream.studio.studio import Studio

PAGES = Path(__file__).with_name("pages")
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
MOST_UPLOAD = 2 * 1024**3
FREE_BYTES = 256 * 1024**2
"""Room that is left on the disk."""

MOST_JOBS = 32
"""Of one person."""

PERSON = re.compile(r"[A-Za-z0-9_-]{16,64}")
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")
LOOK_WORDS = ("prompt", "strength", "steps", "guidance", "seed", "stability", "look_ahead")


class Web:
    """The routes of one studio. Belongs to the web thread."""

    def __init__(self, studio: Studio, *, brings_key: bool) -> None:
        self._studio = studio
        self._brings_key = brings_key
        self._sockets = 0

    def application(self) -> Starlette:
        """What a server is given, but for `security.Guard` around it."""
        routes = [
            Route("/", partial(self._page, "index.html")),
            Route("/obs", partial(self._page, "obs.html")),
            Route("/pages/{name:path}", self._static),
            Route("/api/info", self._info),
            Route("/api/jobs", self._add_job, methods=["PUT"]),
            Route("/api/jobs", self._list_jobs, methods=["GET"]),
            Route("/api/jobs/{id}/stop", self._stop_job, methods=["POST"]),
            Route("/api/jobs/{id}", self._remove_job, methods=["DELETE"]),
            Route("/d/{token}", self._download),
            WebSocketRoute("/ws", self._socket),
        ]
        return Starlette(routes=routes)

    async def _page(self, name: str, request: Request) -> Response:
        """A page; on this machine it brings a key of its own."""
        role = Role.WATCHER if name == "obs.html" else Role.OWNER
        key = self._studio.keys.of(role) if self._brings_key else ""
        text = (PAGES / name).read_text(encoding="utf-8").replace("{{key}}", key)
        return HTMLResponse(text, headers={"cache-control": "no-store"})

    async def _static(self, request: Request) -> Response:
        path = (PAGES / request.path_params["name"]).resolve()
        if PAGES.resolve() not in path.parents or not path.is_file():
            raise HTTPException(HTTPStatus.NOT_FOUND)
        kind = TYPES.get(path.suffix, "application/octet-stream")
        return FileResponse(path, media_type=kind, headers={"cache-control": "no-cache"})

    async def _info(self, request: Request) -> Response:
        return JSONResponse(self._studio.info())

    async def _socket(self, socket: WebSocket) -> None:
        await PageSocket(socket, self._studio).serve()

    # Files

    def _person(self, request: Request) -> str:
        """Whose request it is.

        Raises:
            HTTPException: The key or the person is missing or wrong.
        """
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        peer = request.client.host if request.client else ""
        role = self._studio.keys.role(key, peer) if kind.lower() == "bearer" else None
        if role not in (Role.OWNER, Role.GUEST):
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the key is missing or wrong")
        person = request.headers.get("x-person", "")
        if not PERSON.fullmatch(person):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "X-Person is missing")
        return person

    async def _add_job(self, request: Request) -> Response:
        person = self._person(request)
        asked = _read_look(request.query_params.get("look", "{}"))
        if len(self._studio.jobs.of(person)) >= MOST_JOBS:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS, f"There are {MOST_JOBS} files; remove some first."
            )
        name = plain_name(request.query_params.get("name", ""))
        suffix = PurePath(name).suffix.lower()
        suffix = suffix if SUFFIX.fullmatch(suffix) else ".mp4"
        most = min(MOST_UPLOAD, self._studio.folder.free_bytes() - FREE_BYTES)
        if int(request.headers.get("content-length") or 0) > most:
            raise _too_large(most)
        try:
            room = self._studio.folder.room()
        except SinkError as err:
            raise HTTPException(HTTPStatus.INSUFFICIENT_STORAGE, str(err)) from err
        with ExitStack() as on_failure:
            on_failure.callback(self._studio.folder.remove, room)
            await _receive(request, room / f"source{suffix}", most)
            on_failure.pop_all()
        job = self._studio.jobs.add(person, name, room / f"source{suffix}", asked)
        return JSONResponse(self._as_dict(job), HTTPStatus.CREATED)

    async def _list_jobs(self, request: Request) -> Response:
        jobs = self._studio.jobs.of(self._person(request))
        return JSONResponse([self._as_dict(job) for job in jobs])

    async def _stop_job(self, request: Request) -> Response:
        job = self._job(request)
        self._studio.jobs.stop(job)
        return JSONResponse(self._as_dict(job))

    async def _remove_job(self, request: Request) -> Response:
        job = self._job(request)
        self._studio.jobs.remove(job)
        self._studio.downloads.forget(job.room)
        self._studio.folder.remove(job.room)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    def _job(self, request: Request) -> FileJob:
        person = self._person(request)
        job = self._studio.jobs.find(person, request.path_params["id"])
        if job is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file")
        return job

    def _as_dict(self, job: FileJob) -> dict[str, Any]:
        """What a page shows of a job, with the addresses of its files."""
        told = self._studio.jobs.as_dict(job)
        files = {"source": job.source, "poster": job.poster, "preview": job.preview}
        if job.state in ("done", "stopped"):
            files["result"] = job.result
        stem = PurePath(job.name).stem
        for word, path in files.items():
            if path.is_file():
                name = job.name if word == "source" else f"{stem}-painted{path.suffix}"
                told[word] = self._studio.downloads.address(path, name)
        return told

    async def _download(self, request: Request) -> Response:
        found = self._studio.downloads.find(request.path_params["token"])
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file any more")
        headers = {"cache-control": "no-store"}
        return FileResponse(found.path, filename=found.name, headers=headers)


async def _receive(request: Request, path: Path, most: int) -> None:
    """A request's body as a file; memory does not grow with it."""
    count = 0
    async with await anyio.open_file(path, "wb") as file:
        async for chunk in request.stream():
            count += len(chunk)
            if count > most:
                raise _too_large(most)
            await file.write(chunk)


def _too_large(most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The file is larger than the {max(0, most) // 1024**2} MiB that there is room for.",
    )


def _read_look(text: str) -> dict[str, Any]:
    """What a page asks of a file.

    Raises:
        HTTPException: It cannot be used.
    """
    try:
        asked = json.loads(text)
        if not isinstance(asked, dict):
            raise ValueError("the look is no object")
        asked = {word: asked[word] for word in LOOK_WORDS if word in asked}
        prompt = asked.get("prompt", "")
        if len(prompt) > MOST_PROMPT:
            raise ValueError(f"a description has {MOST_PROMPT} characters at most")
        parse_prompt(prompt)
        Style(**style_fields(asked))
        stability = asked.get("stability", 0.5)
        if not isinstance(stability, int | float) or not 0 <= stability <= 1:
            raise ValueError("stability is 0 to 1")
    except (ArithmeticError, TypeError, ValueError, RecursionError) as err:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(err)) from err
    return asked
