"""Digests beside files: damage of every kind is seen, and nothing else."""

import os
from pathlib import Path

import pytest

from models.acceleration.cache.digests import (
    DIGESTS_NAME,
    add_digest,
    drop_without_digests,
    has_digests,
    is_whole,
    trim,
    write_digests,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"{name} as it was")
    write_digests(tmp_path, ["a", "b"])
    return tmp_path


def test_what_was_sealed_is_whole(folder: Path) -> None:
    assert has_digests(folder) and is_whole(folder)
    (folder / "c").write_text("of no concern")
    assert is_whole(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c", DIGESTS_NAME]


@pytest.mark.parametrize("damage", ["other bytes", "shorter", "gone", "folder"])
def test_a_file_that_changed_breaks_the_seal(folder: Path, damage: str) -> None:
    path = folder / "b"
    match damage:
        case "other bytes":
            path.write_bytes(bytes(path.stat().st_size))
        case "shorter":
            path.write_text("b as")
        case "gone":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()
    assert has_digests(folder) and not is_whole(folder)


@pytest.mark.parametrize("words", ["", "{", "[]", "{}", "[1]"])
def test_a_seal_that_makes_no_sense_is_none(folder: Path, words: str) -> None:
    (folder / DIGESTS_NAME).write_text(words)
    assert not is_whole(folder)
    drop_without_digests(folder)
    assert not (folder / "a").exists()


def test_only_what_is_sealed_and_whole_stays(folder: Path) -> None:
    (folder / "b").write_text("damaged")
    (folder / "c").write_text("never sealed")
    drop_without_digests(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a", DIGESTS_NAME]


def test_what_came_since_is_added_and_what_was_there_is_not_sealed_anew(folder: Path) -> None:
    (folder / "b").write_text("damaged")
    (folder / "c").write_text("new")
    add_digest(folder)
    drop_without_digests(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c", DIGESTS_NAME]


def test_what_is_made_again_under_its_old_name_is_sealed_anew(folder: Path) -> None:
    (folder / "b").write_text("damaged")
    drop_without_digests(folder)
    (folder / "b").write_text("made again, not with the same bytes")
    add_digest(folder)
    assert is_whole(folder)
    drop_without_digests(folder)
    assert (folder / "b").exists()


def test_a_folder_that_is_not_there_has_nothing_to_drop_or_add(tmp_path: Path) -> None:
    drop_without_digests(tmp_path / "none")
    add_digest(tmp_path / "none")
    assert not is_whole(tmp_path / "none") and not (tmp_path / "none").exists()


def test_a_file_that_is_not_there_cannot_be_sealed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_digests(tmp_path, ["a"])
    assert not has_digests(tmp_path)


def test_the_oldest_files_go_until_the_rest_fits(folder: Path) -> None:
    for age, name in enumerate("cab"):
        (folder / name).write_bytes(bytes(10))
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    trim(folder, 20)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "c", DIGESTS_NAME]
