"""Fetches models from the hub, once, into the hub library's own cache.

    "owner/name" ──Hub.folder──► folder of the cache, the wanted files whole ──► loaded as any other

All talk with the hub is in this file, so that loading is the same for a folder and a hub id. Before
the first byte it is known what there is, how large, and whether it fits on the disk. A download
that was cut short goes on where it stopped. A hub out of reach costs seconds, once, and what the
cache holds is used.
"""

import errno
import json
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from models.errors import ModelError, ModelFormatError, ModelNotFoundError
from models.presets import is_part_of_preset, nearest_presets
from models.weights.download import CONNECT_TIMEOUT_S, OnDownload, Progress, fetch_blob
from models.weights.file_selection import INDEX_NAME, Choose, missing_parts, named_file

logger = logging.getLogger(__name__)

HUB_NAME = re.compile(
    r"(?P<source>[A-Za-z0-9][\w.-]*/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>.+\.safetensors))?"
)
COMMIT = re.compile(r"[0-9a-f]{40}")
MAIN = "main"

FULL = {errno.ENOSPC, errno.EDQUOT}
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
"""What a disk says; the network has numbers of its own."""

FIRST_OUT_OF_ORDER = 500
"""Statuses from here on say that the hub is at fault, not the question."""

WORTH_RESUMING_BYTES = 8_000_000
SPARE_BYTES = 200_000_000
"""Left free on the disk beside what is fetched."""


@dataclass(frozen=True, slots=True)
class HubName:
    """A place on the hub, written owner/name[@revision][/file.safetensors].

    Attributes:
        source: "owner/name".
        revision: Branch, tag or commit; ``None`` is the main branch.
        file: One file of it, ``None`` for what the load wants.
    """

    source: str
    revision: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, text: str) -> "HubName | None":
        """The place that a text names, ``None`` if it cannot be one."""
        match = HUB_NAME.fullmatch(text)
        return cls(match["source"], match["revision"], match["file"]) if match else None


@dataclass(frozen=True, slots=True)
class _Listing:
    commit: str
    sizes: dict[str, int]


class Hub:
    """One load's dealings with the hub.

    Args:
        offline: Never ask the network (the environment's HF_HUB_OFFLINE says the same).
        on_download: Told how far the downloads are, while there are any.
    """

    def __init__(self, *, offline: bool = False, on_download: OnDownload | None = None) -> None:
        self._told_offline = offline or bool(constants.HF_HUB_OFFLINE)
        self._unreachable = False
        self._on_download = on_download
        self.notes: list[str] = []

    def file(self, name: HubName) -> Path:
        """The one file that a hub name ends in, fetched where need be.

        Raises:
            ModelNotFoundError, ModelFormatError, ModelError: As `folder`.
        """
        wanted = name.file or ""
        return self.folder(name, lambda names: [named_file(names, name.source, wanted)]) / wanted

    def folder(self, name: HubName, choose: Choose) -> Path:
        """The folder that holds the wanted files of a hub id; they are fetched where need be.

        Raises:
            ModelNotFoundError: The hub has no such model or revision, guards it, or is out of
                reach, and the cache has not all that is wanted.
            ModelFormatError: From `choose`.
            ModelError: The disk is full or not writable.
        """
        source, revision = name.source, name.revision
        cached = _cached(source, revision, choose)
        pinned = revision is not None and COMMIT.fullmatch(revision)
        if cached is not None and (pinned or self._told_offline or self._unreachable):
            return cached
        if self._told_offline:
            raise ModelNotFoundError(
                f"{source} is not whole in the local cache and offline mode is on; "
                "fetch it once without offline=True and HF_HUB_OFFLINE, or give a local folder."
            )
        if self._unreachable:
            raise ModelNotFoundError(_out_of_reach(source))
        with _explained(source, revision):
            try:
                listing = _list(source, revision)
            except _TRANSPORT_ERRORS as err:
                if cached is None or _was_answered(err):
                    raise
                self._unreachable = True
                self.notes.append("the hub cannot be reached; what the local cache has is used")
                return cached
            wanted = choose(sorted(listing.sizes))
            return self._fetch(source, revision, listing, wanted)

    def _fetch(
        self, source: str, revision: str | None, listing: _Listing, wanted: list[str]
    ) -> Path:
        repository = _repository(source)
        folder = repository / "snapshots" / listing.commit
        missing = [name for name in wanted if not (folder / name).is_file()]
        progress = Progress(source, sum(listing.sizes[n] for n in missing), self._on_download)
        _check_space(source, progress.total)
        for index, name in enumerate(missing or wanted[:1]):
            # asked by branch, the first one also notes which commit the branch is at
            asked = revision or MAIN if index == 0 else listing.commit
            logger.debug("fetching %s of %s", name, source)
            if listing.sizes[name] >= WORTH_RESUMING_BYTES and name in missing:
                fetch_blob(source, name, listing.commit, repository / "blobs", progress)
            hf_hub_download(
                source,
                name,
                revision=asked,
                etag_timeout=CONNECT_TIMEOUT_S,
                tqdm_class=progress.bar_class(),
            )
        return folder


def file_names(folder: Path) -> list[str]:
    """The names of all files in a folder, as the hub would list them; sorted."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def is_whole(folder: Path, choose: Choose) -> bool:
    """Whether all that is wanted seems to be in a folder; of a pipeline, all that its index has."""
    try:
        names = file_names(folder)
        wanted = choose(names)
        index = json.loads((folder / INDEX_NAME).read_bytes()) if INDEX_NAME in wanted else {}
    except (OSError, ValueError, ModelFormatError):
        return False
    return not missing_parts(index, names)


def _cached(source: str, revision: str | None, choose: Choose) -> Path | None:
    """The cache's folder if all that is wanted seems to be in it."""
    try:
        folder = Path(snapshot_download(source, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    return folder if is_whole(folder, choose) else None


def _repository(source: str) -> Path:
    """Where the cache keeps (or will keep) what is fetched of a repository."""
    return Path(constants.HF_HUB_CACHE) / "--".join(["models", *source.split("/")])


def _list(source: str, revision: str | None) -> _Listing:
    info = HfApi().model_info(
        source, revision=revision, files_metadata=True, timeout=CONNECT_TIMEOUT_S
    )
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    return _Listing(info.sha or revision or MAIN, sizes)


def _check_space(source: str, wanted_bytes: int) -> None:
    if not wanted_bytes:
        return
    cache = Path(constants.HF_HUB_CACHE)
    place = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < wanted_bytes + SPARE_BYTES:
        raise ModelError(
            f"{source} needs {_size(wanted_bytes)} on the disk and {_size(SPARE_BYTES)} to spare, "
            f"and {_size(free)} are free in {cache}; make room, or set HF_HOME to a folder on "
            "another disk."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def _explained(source: str, revision: str | None) -> Iterator[None]:
    """Around calls of the hub's library: its errors become one sentence, the cause attached."""
    try:
        yield
    except _HUB_ERRORS as err:
        raise explain(err, source, revision) from err


def explain(err: BaseException, source: str, revision: str | None = None) -> ModelError:
    """One sentence on what went wrong with the hub, and what to do."""
    chain = list(_causes(err))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return ModelError(
                f"The disk is full; make room in {constants.HF_HUB_CACHE}, then ask for {source} "
                "again (what was fetched is kept)."
            )
        if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
            return ModelError(
                f"The cache {constants.HF_HUB_CACHE} cannot be written; "
                "set HF_HOME to a folder that can."
            )
    for kinds, sentence in _SENTENCES:
        if any(isinstance(cause, kinds) for cause in chain):
            near = f", and it is no preset ({nearest_presets(source)})"
            page = f"{constants.ENDPOINT}/{source}"
            near = "" if is_part_of_preset(source) else near
            return ModelNotFoundError(
                sentence.format(source=source, revision=revision, near=near, page=page)
            )
    answers = [answer for cause in chain if (answer := _answer(cause)) is not None]
    if answers:
        return ModelNotFoundError(_refused(source, answers[0]))
    return ModelNotFoundError(_out_of_reach(source))


def _refused(source: str, status: int) -> str:
    hub = f"The hub ({constants.ENDPOINT})"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return (
            f"{hub} answers no more questions for now; wait some minutes, or log in with "
            "`hf auth login`."
        )
    if status >= FIRST_OUT_OF_ORDER:
        return (
            f"{hub} is out of order (it answers {status}) and {source} is not whole in the local "
            "cache; try again later (what was fetched is kept), or give a local folder."
        )
    return f"{hub} does not give {source}: it answers {status}; check HF_ENDPOINT and the name."


def _out_of_reach(source: str) -> str:
    return (
        f"{source} is not whole in the local cache and the hub cannot be reached "
        f"({constants.ENDPOINT}); check the network and try again (what was fetched is kept), "
        "or give a local folder."
    )


def _was_answered(err: BaseException) -> bool:
    """Whether the hub said no, which is an answer, and not that it is out of order."""
    status = _answer(err)
    return status is not None and status < FIRST_OUT_OF_ORDER


def _answer(err: BaseException) -> int | None:
    """The status that the hub answered with, where it did."""
    status: int | None = getattr(getattr(err, "response", None), "status_code", None)
    return status if isinstance(err, HfHubHTTPError) else None


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the HTTP library raises; which one it is depends on the release of huggingface_hub."""
    named = (("httpx2", "HTTPError"), ("httpx", "HTTPError"), ("requests", "RequestException"))
    kinds = [getattr(sys.modules.get(module), error, None) for module, error in named]
    return (HfHubHTTPError, LocalEntryNotFoundError, *(kind for kind in kinds if kind is not None))


_TRANSPORT_ERRORS = _transport_errors()
_HUB_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, *_TRANSPORT_ERRORS)

_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (GatedRepoError,),
        "{source} is gated: accept its licence at {page}, then log in with `hf auth login`.",
    ),
    (
        (RepositoryNotFoundError, HFValidationError),
        "The hub has no model {source} (or it is private: log in with `hf auth login`){near}.",
    ),
    (
        (RevisionNotFoundError,),
        "{source} has no revision {revision} on the hub; see {page}/commits.",
    ),
)
