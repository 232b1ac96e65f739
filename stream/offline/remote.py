"""Remote: inputs and outputs in stores such as S3, by copies on this machine; through fsspec.

    s3://bucket/film.mp4 ──fetch, once──► copy ──painted in parts──► output ──deliver──► gs://…

Block by block over a network a film crawls; so it is copied whole. Copies and unfinished outputs
stay in the cache folder until the job is done, so that the same command goes on. Only what the user
named is asked for: a copy lies alone in its folder, and what it may name beside itself is not
there.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from models import cache_folder
from stream.addresses import shown
from stream.errors import SinkError, SourceError, StreamError
from stream.offline.part_store import is_unfinished

SCHEMES = (
    *("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hdfs", "webhdfs"),
    *("sftp", "ssh", "smb", "memory"),
)
"""Stores that may be named. Not what is a view of another store or of this machine's files."""

ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://(?!.*::).+", re.IGNORECASE)
ORIGIN = "origin.json"


def is_remote(spec: str) -> bool:
    """Whether a spec is an address in a store, of a file or (ending in a slash) of a folder."""
    return ADDRESS.fullmatch(spec) is not None


def fetch(address: str) -> Path:
    """A copy of what is at an address; the one that is there, if that has not changed.

    Raises:
        SourceError: It cannot be had.
    """
    with _told(address, SourceError, "read"):
        store, path = _store(address)
        info = store.info(path)
        if info["type"] != "file":
            raise SourceError(f"{shown(address)} is no file; give the address of one.")
        origin = {"address": address, "bytes": info["size"], "mark": str(store.ukey(path))}
        copy = _place(address) / _name(address)
        if copy.is_file() and _origin(copy) == origin:
            return copy
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f".{uuid4().hex}.partial")
        try:
            store.get_file(path, str(partial))
            partial.replace(copy)
        finally:
            partial.unlink(missing_ok=True)
        (copy.parent / ORIGIN).write_text(json.dumps(origin), "utf-8")
        return copy


def address_of(copy: Path) -> str:
    """The address that a file was fetched from; "" of one that was not."""
    return str(_origin(copy).get("address", ""))


def local_output(address: str, *, overwrite: bool) -> str:
    """Where what is to go to an address is painted: a file, or a folder with a slash at its end.

    Raises:
        SinkError: Something is there already, or the address cannot be used.
    """
    with _told(address, SinkError, "written"):
        folder = _place(address)
        folder.mkdir(parents=True, exist_ok=True)
        store, path = _store(address)
        if address.endswith("/"):
            return f"{folder}/"
        painted = folder / _name(address)
        if not (overwrite or is_unfinished(painted)) and store.exists(path):
            raise SinkError(
                f"{shown(address)} is already there; allow that with overwrite=True, or give the "
                "output another name."
            )
        return str(painted)


def deliver(painted: Path, address: str) -> str:
    """Copy what was painted to where it belongs, or into that folder; gives its address. It has its
    name only when it is whole.

    Raises:
        SinkError: It cannot be written there.
    """
    target = address + painted.name if address.endswith("/") else address
    with _told(target, SinkError, "written"):
        store, path = _store(target)
        folder, _, name = path.rpartition("/")
        partial = f"{folder}/.{name}.{uuid4().hex}.partial"
        store.makedirs(folder, exist_ok=True)
        try:
            store.put_file(str(painted), partial)
            store.mv(partial, path)
        except BaseException:
            if store.exists(partial):
                store.rm(partial)
            raise
    return target


def forget(address: str) -> None:
    """Remove what lies here for an address."""
    shutil.rmtree(_place(address), ignore_errors=True)


def _store(address: str) -> tuple[Any, str]:
    import fsspec

    store, path = fsspec.core.url_to_fs(address)
    return store, str(path)


def _place(address: str) -> Path:
    folder = cache_folder()
    if folder is None:
        raise OSError("there is no cache folder; let ALLAPRIMA_CACHE name one")
    return folder / "remote" / hashlib.sha256(address.encode()).hexdigest()[:16]


def _name(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2]


def _origin(copy: Path) -> dict[str, Any]:
    try:
        read = json.loads((copy.parent / ORIGIN).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


@contextmanager
def _told(address: str, error: type[StreamError], done: str) -> Iterator[None]:
    """Whatever a store's library raises, in one sentence."""
    try:
        yield
    except StreamError:
        raise
    except ImportError as err:
        raise error(
            f"{shown(address)} needs a package that is not installed ({err}); install it with pip."
        ) from err
    except FileNotFoundError as err:
        raise error(f"There is no {shown(address)}; check the address.") from err
    except Exception as err:
        reason = " ".join(str(err).split())[:200] or type(err).__name__
        if isinstance(err, OSError) and err.errno is not None:
            reason = os.strerror(err.errno)
        raise error(
            f"{shown(address)} cannot be {done} ({reason}); check the address and your access."
        ) from err
