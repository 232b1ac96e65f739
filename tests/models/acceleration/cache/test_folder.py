"""The cache folder: whole or not there, the newest few, and whatever home there is."""

import os
from pathlib import Path

import pytest

from models.acceleration.cache.folder import FOLDER_VARIABLE, begin, cache_folder, prune, put

MARKER = "whole"


def make(folder: Path, age_s: float = 0.0) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / MARKER).write_text(folder.name)
    os.utime(folder, (2e9 - age_s, 2e9 - age_s))
    return folder


def test_what_a_killed_process_left_is_removed_and_what_another_fills_is_not(
    tmp_path: Path,
) -> None:
    place, dead = make(tmp_path / "little"), begin(tmp_path)
    os.utime(dead, (0, 0))
    alive = begin(tmp_path)
    prune(tmp_path, MARKER, 3)
    assert sorted(tmp_path.iterdir()) == [alive, place]


def test_the_newest_few_stay_and_what_is_of_no_concern(tmp_path: Path) -> None:
    newer, older, _oldest = (
        make(tmp_path / name, age) for name, age in zip("cab", (1, 2, 3), strict=True)
    )
    other = tmp_path / "other"
    other.mkdir()
    prune(tmp_path, MARKER, 2)
    assert sorted(tmp_path.iterdir()) == sorted([newer, older, other])


def test_whoever_is_quicker_wins(tmp_path: Path) -> None:
    place = make(tmp_path / "little")
    folder = make(begin(tmp_path))
    put(folder, place, MARKER)
    assert (place / MARKER).read_text() == "little"
    assert list(tmp_path.iterdir()) == [place]


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        begin(tmp_path / "file" / "cache")
    with pytest.raises(OSError):
        put(begin(tmp_path), tmp_path / "file", MARKER)


def test_the_variable_names_another_folder_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert cache_folder() is None
    monkeypatch.setenv(FOLDER_VARIABLE, "~no-such-user/cache")
    with pytest.raises(OSError, match="home"):
        cache_folder()
