"""The command with a folder of films, and `allaprima jobs`."""

import json
from pathlib import Path

import pytest
from clips import Clip, decoded, write_clip
from command import allaprima, assert_refused
from miniature import make_lcm, save

from stream.command.exit_codes import ExitCode
from stream.offline.part_store import PartStore, parts_folder

FEW = tuple(range(0, 8 * 3600, 3600))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A miniature pipeline's folder."""
    return save(make_lcm(vae="tiny"), tmp_path_factory.mktemp("model"))


def test_a_folder_is_painted_with_a_table_and_again_with_nothing_to_do(
    tmp_path: Path, model: str
) -> None:
    (tmp_path / "films").mkdir()
    write_clip(tmp_path / "films" / "a.mp4", Clip(pts=FEW))
    (tmp_path / "films" / "bad.mp4").write_text("no video")
    args = ["restyle", tmp_path / "films", "-o", tmp_path / "out", "--model", model, "--size", 64]
    first = allaprima(*args)
    assert first.exit_code == ExitCode.PARTIAL, first.output
    assert "bad.mp4" in first.stdout
    assert len(decoded(tmp_path / "out" / "a.mp4")) == 8
    report = tmp_path / "report.json"
    second = allaprima(*args, "--json", report, "--quiet")
    assert second.exit_code == ExitCode.PARTIAL
    told = json.loads(report.read_text("utf-8"))
    assert told["skipped"] == ["a.mp4"]
    assert list(told["failed"]) == ["bad.mp4"]
    assert told["files"]["bad.mp4"]["tries"] == 2


def test_recursive_and_watch_are_for_folders_of_films(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", Clip(pts=FEW))
    for option in ("--recursive", "--watch"):
        result = allaprima("restyle", clip, "-o", tmp_path / "out.mp4", option)
        assert_refused(result, ExitCode.USAGE, option, "folder of videos")


def test_jobs_lists_what_is_unfinished_and_clears_it(tmp_path: Path) -> None:
    store = PartStore(tmp_path / "deep.mp4", "0123", {"input": {"name": "film.mp4"}})
    store.path(0).write_bytes(b"x" * 2_000_000)
    running = allaprima("jobs", tmp_path)
    assert "deep.mp4" in running.stdout
    assert "film.mp4" in running.stdout
    assert "2.0 MB" in running.stdout
    assert "being painted by process" in running.stdout
    assert allaprima("jobs", tmp_path, "--clear").exit_code == ExitCode.DONE
    assert store.path(0).exists()  # somebody is at it
    store.close(remove=False)
    (told,) = json.loads(allaprima("jobs", tmp_path, "--json").stdout)
    assert (told["job"], told["holder"], told["source"]) == ("0123", "", "film.mp4")
    assert "Removed 2.0 MB" in allaprima("jobs", tmp_path, "--clear").stdout
    assert not parts_folder(tmp_path / "deep.mp4").exists()
    assert "Nothing is unfinished" in allaprima("jobs", tmp_path).stdout
    assert_refused(allaprima("jobs", tmp_path / "nope"), ExitCode.INPUT, "no folder")


@pytest.mark.slow
def test_a_recipe_of_another_machine_is_refused(tmp_path: Path, model: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", Clip(pts=FEW))
    report = tmp_path / "report.json"
    args = ["restyle", clip, "-o", tmp_path / "out.mp4", "--model", model, "--size", 64, "--quiet"]
    assert allaprima(*args, "--json", report).exit_code == ExitCode.DONE
    first = (tmp_path / "out.mp4").read_bytes()
    assert allaprima(*args, "--overwrite", "--recipe", report).exit_code == ExitCode.DONE
    assert (tmp_path / "out.mp4").read_bytes() == first
    told = json.loads(report.read_text("utf-8"))
    told["recipe"]["device"] = "an abacus"
    report.write_text(json.dumps(told))
    refused = allaprima(*args, "--overwrite", "--recipe", report)
    assert_refused(refused, ExitCode.MODEL, "its device is", "an abacus")
    report.write_text("{}")
    refused = allaprima(*args, "--overwrite", "--recipe", report)
    assert_refused(refused, ExitCode.USAGE, "recipe")
