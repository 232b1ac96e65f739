"""Resumable download of one large file from the hub: it continues where it was interrupted.

The hub's library throws away what it has of a file when the program ends (huggingface_hub's pull
request 4228), which at five gigabytes a file is an evening. Here the part of a file stays in the
cache, beside where the whole one goes, and the library finds the whole one there. What was put
together of several tries is held against the digest by which the hub knows it.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]

from models.errors import ModelError

CONNECT_TIMEOUT_S = 5.0

SHA256 = re.compile(r"[0-9a-f]{64}")
"""What the ETag of a large file is."""

OnDownload = Callable[[str, int, int], None]
"""Told of a download as it goes: the hub id, bytes on this machine, bytes in all."""


class Progress:
    """Adds up the bytes of the files of one repository and tells of them."""

    def __init__(self, source: str, total: int, tell: OnDownload | None) -> None:
        self.source = source
        self.total = total
        self._done = 0
        self._tell = tell

    def add(self, count: int) -> None:
        self._done += count
        if self._tell is not None and self.total:
            self._tell(self.source, min(self._done, self.total), self.total)

    def bar_class(self) -> Any:
        """What `hf_hub_download` takes for a progress bar; it makes one a file."""
        progress = self

        class Bar:
            """The calls of a tqdm bar that the hub's library makes."""

            def __init__(self, *_: Any, initial: int = 0, **__: Any) -> None:
                progress.add(initial)

            def update(self, count: float | None = 1) -> None:
                progress.add(int(count or 0))

            def set_description(self, *_: Any, **__: Any) -> None:
                """Names are not shown."""

            def close(self) -> None:
                """Nothing is held."""

            def __enter__(self) -> Self:
                return self

            def __exit__(
                self,
                kind: type[BaseException] | None,
                error: BaseException | None,
                traceback: TracebackType | None,
            ) -> None:
                self.close()

        return Bar


def fetch_blob(source: str, name: str, commit: str, blobs: Path, progress: Progress) -> None:
    """Fetch one file into the cache's `blobs`, from where an earlier try stopped.

    Raises:
        ModelError: What came is not what the hub has; it is fetched anew the next time.
        OSError, or what the HTTP library raises: The hub, the network or the disk.
    """
    url = hf_hub_url(source, name, revision=commit)
    found = get_hf_file_metadata(url, timeout=CONNECT_TIMEOUT_S)
    if found.etag is None:
        raise OSError(f"the hub gives no ETag of {name}")
    blob, partial = blobs / found.etag, blobs / f"{found.etag}.partial"
    blobs.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(f"{partial}.lock"):  # another program may be fetching the same
        if blob.exists():
            return
        if partial.exists() and found.size is not None and partial.stat().st_size > found.size:
            partial.unlink()  # no part of this file
        with partial.open("ab") as file:
            http_get(
                url,
                file,
                resume_size=file.tell(),
                headers=build_hf_headers(),
                expected_size=found.size,
                tqdm_class=progress.bar_class(),
            )
        if not _is_whole(partial, found.etag):
            partial.unlink()
            raise ModelError(
                f"{name} of {source} came damaged and was thrown away; ask for it again."
            )
        partial.replace(blob)
    Path(f"{partial}.lock").unlink(missing_ok=True)


def _is_whole(path: Path, etag: str) -> bool:
    """Whether a file has the digest that its ETag tells; true where that tells none."""
    if SHA256.fullmatch(etag) is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == etag
