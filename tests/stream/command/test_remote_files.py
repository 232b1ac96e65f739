"""Inputs and outputs in a store: fetched once, painted as files are, delivered whole."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from clips import Clip, write_clip
from command import allaprima, assert_refused, restyle

from models import cache_folder
from stream.command.exit_codes import ExitCode
from stream.errors import SourceError
from stream.offline import remote

FEW = tuple(range(0, 8 * 3600, 3600))


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's store in memory, empty."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def left_here() -> list[Path]:
    folder = cache_folder()
    assert folder is not None
    return [path for path in (folder / "remote").rglob("*") if path.is_file()]


def test_a_film_of_a_store_becomes_one_in_a_store(
    tmp_path: Path, clip: Path, store: fsspec.AbstractFileSystem, model: str
) -> None:
    assert restyle(clip, tmp_path / "here.mp4", model).exit_code == ExitCode.DONE
    store.pipe("/films/clip.mp4", clip.read_bytes())
    result = restyle("memory://films/clip.mp4", "memory://painted/out.mp4", model)
    assert result.exit_code == ExitCode.DONE, result.output
    assert "memory://painted/out.mp4: 8 frames" in result.stdout
    assert store.cat("/painted/out.mp4") == (tmp_path / "here.mp4").read_bytes()
    assert store.ls("/painted", detail=False) == ["/painted/out.mp4"]
    assert left_here() == []


def test_several_keep_their_names_in_a_folder_of_the_store(
    clip: Path, store: fsspec.AbstractFileSystem, model: str
) -> None:
    store.pipe("/films/other.mkv", write_clip(clip.with_suffix(".mkv"), Clip(pts=FEW)).read_bytes())
    inputs = clip, "memory://films/other.mkv"
    args = "-o", "memory://painted/", "--model", model, "--size", 64
    assert allaprima("restyle", *inputs, *args).exit_code == ExitCode.DONE
    assert sorted(store.ls("/painted", detail=False)) == ["/painted/clip.mp4", "/painted/other.mkv"]


def test_what_is_in_the_way_or_missing_is_told_at_once(
    clip: Path, store: fsspec.AbstractFileSystem
) -> None:
    store.pipe("/painted/out.mp4", b"there")
    taken = restyle(clip, "memory://painted/out.mp4", "never loaded")
    assert_refused(taken, ExitCode.OUTPUT, "memory://painted/out.mp4", "already there")
    missing = restyle("memory://films/no.mp4", "memory://painted/new.mp4", "never loaded")
    assert_refused(missing, ExitCode.INPUT, "There is no memory://films/no.mp4")
    stream = restyle("udp://127.0.0.1:9", "memory://painted/new.mp4", "never loaded")
    assert_refused(stream, ExitCode.INPUT, "is an address")


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    result = restyle("s3://key:secret@bucket/film.mp4", "out.mp4", "never loaded")
    assert_refused(result, ExitCode.INPUT, "s3://***@bucket/film.mp4", "Install s3fs", "pip")


def test_a_copy_is_kept_as_long_as_the_original_is_the_same(
    store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.pipe("/films/a.mp4", b"one")
    copy = remote.fetch("memory://films/a.mp4")
    assert (copy.read_bytes(), remote.address_of(copy)) == (b"one", "memory://films/a.mp4")
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "get_file", None)
        assert remote.fetch("memory://films/a.mp4") == copy
    store.pipe("/films/a.mp4", b"another")
    assert remote.fetch("memory://films/a.mp4").read_bytes() == b"another"
    remote.forget("memory://films/a.mp4")
    assert not copy.parent.exists()


@pytest.mark.parametrize(
    "spec", ["file:///etc/passwd", "zip://a.mp4::memory://x.zip", "simplecache::memory://a.mp4"]
)
def test_only_stores_may_be_named(spec: str) -> None:
    assert not remote.is_remote(spec)


def test_a_list_in_a_store_names_no_file_of_this_machine(
    clip: Path, store: fsspec.AbstractFileSystem
) -> None:
    lines = f"ffconcat version 1.0\nfile {clip}\n"
    for name in ("list.ffconcat", "list.mp4"):
        store.pipe(f"/films/{name}", lines.encode())
        result = restyle(f"memory://films/{name}", "memory://painted/out.mp4", "never loaded")
        assert result.exit_code == ExitCode.INPUT
        assert not store.exists("/painted/out.mp4")


def test_what_was_delivered_in_part_has_no_name(
    tmp_path: Path, store: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = tmp_path / "out.mp4"
    painted.write_bytes(b"painted")

    def fail(*given: object, **named: object) -> None:
        raise OSError("the store is full")

    monkeypatch.setattr(type(store), "mv", fail)
    with pytest.raises(Exception, match="the store is full"):
        remote.deliver(painted, "memory://painted/out.mp4")
    assert store.find("/painted") == []


def test_a_folder_is_no_film(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/films/a.mp4", b"one")
    with pytest.raises(SourceError, match="no file"):
        remote.fetch("memory://films")
