"""plan_jobs: which output each input becomes, and what is refused before anything is opened."""

from pathlib import Path

import pytest

from stream.errors import SinkError, SourceError
from stream.offline.jobs import Job, plan_jobs


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """clip.mkv, old.mpg and a folder of pictures, in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("clip.mkv").touch()
    Path("old.mpg").touch()
    Path("pictures").mkdir()


def test_one_input_goes_where_it_is_told() -> None:
    assert plan_jobs(["clip.mkv"], "out.mov", overwrite=False) == [Job("clip.mkv", "out.mov")]


def test_several_keep_their_names_in_a_container_that_can_be_written() -> None:
    jobs = plan_jobs(
        ["clip.mkv", "old.mpg", "pictures", "testsrc=duration=1"], "out", overwrite=False
    )
    assert [job.sink for job in jobs] == [
        "out/clip.mkv",
        "out/old.mp4",
        "out/pictures/",
        "out/testsrc.mp4",
    ]
    assert Path("out").is_dir()


def test_several_are_not_joined_into_a_file() -> None:
    with pytest.raises(ValueError, match=r"output two\.mp4, expected a folder"):
        plan_jobs(["clip.mkv", "old.mpg"], "two.mp4", overwrite=False)
    assert not Path("two.mp4").exists()
    for folder in ("two.mp4/", "pictures"):
        assert len(plan_jobs(["clip.mkv", "old.mpg"], folder, overwrite=False)) == 2


def test_several_may_all_go_nowhere() -> None:
    jobs = plan_jobs(["clip.mkv", "old.mpg"], "null", overwrite=False)
    assert [job.sink for job in jobs] == ["null", "null"]
    assert not Path("null").exists()


def test_two_of_one_name_are_refused() -> None:
    Path("old.mp4").touch()
    with pytest.raises(ValueError, match=r"old\.mpg and old\.mp4, which would both become"):
        plan_jobs(["old.mpg", "old.mp4"], "out", overwrite=True)


def test_a_missing_input_is_refused_before_anything_is_made() -> None:
    for missing in (["nope.mp4"], ["nope.mp4", "gone.mp4"]):
        with pytest.raises(SourceError, match=r"no file or folder nope\.mp4"):
            plan_jobs(missing, "out", overwrite=False)
    assert not Path("out").exists()


def test_an_address_is_said_to_be_one() -> None:
    with pytest.raises(SourceError, match=r"https://example.org/a.mp4 is an address"):
        plan_jobs(["https://example.org/a.mp4"], "out.mp4", overwrite=False)


def test_a_missing_one_of_several_keeps_no_other_from_being_restyled() -> None:
    jobs = plan_jobs(["nope.mp4", "clip.mkv"], "out", overwrite=False)
    assert jobs == [Job("nope.mp4", "out/nope.mp4"), Job("clip.mkv", "out/clip.mkv")]


@pytest.mark.parametrize(
    ("spec", "sink"),
    [
        ("clip.mkv", "out/clip.mkv"),
        ("old.mpg", "out/old.mp4"),
        ("testsrc=duration=1", "out/testsrc.mp4"),
        ("pictures", "out/"),
        ("pictures/*.png", "out/"),
        ("pictures/b.png", "out/"),
    ],
)
def test_a_folder_takes_videos_of_videos(spec: str, sink: str) -> None:
    Path("pictures/b.png").touch()
    assert plan_jobs([spec], "out/", overwrite=False) == [Job(spec, sink)]
    Path("there").mkdir()
    (job,) = plan_jobs([spec], "there", overwrite=False)
    assert job.sink in ("there", sink.replace("out", "there"))
    (asked,) = plan_jobs([spec], "out/%06d.png", overwrite=False)
    assert asked.sink == "out/%06d.png"


def test_outputs_that_are_there_are_refused_before_the_first_is_made() -> None:
    Path("out").mkdir()
    Path("out/old.mp4").touch()
    assert len(plan_jobs(["clip.mkv", "old.mpg"], "out", overwrite=False)) == 2  # each for itself
    Path("out/clip.mkv").touch()
    with pytest.raises(SinkError, match="overwrite=True"):
        plan_jobs(["clip.mkv", "old.mpg"], "out", overwrite=False)
    assert len(plan_jobs(["clip.mkv", "old.mpg"], "out", overwrite=True)) == 2


def test_an_input_is_never_an_output_by_whatever_name() -> None:
    Path("link.mkv").symlink_to("clip.mkv")
    with pytest.raises(SinkError, match="is an input"):
        plan_jobs(["clip.mkv"], "link.mkv", overwrite=True)
    with pytest.raises(SinkError, match="is an input"):
        plan_jobs(["clip.mkv", "old.mpg"], ".", overwrite=True)


def test_pictures_are_never_written_over_those_that_are_read() -> None:
    for name in ("000001.png", "b.png"):
        Path("pictures", name).touch()
    here = Path.cwd()
    for spec in ("pictures", "pictures/*.png", "pictures/000001.png", f"{here}/pictures/?.png"):
        for output in ("pictures", "pictures/"):
            with pytest.raises(SinkError, match="another"):
                plan_jobs([spec], output, overwrite=True)
    assert plan_jobs(["pictures/b.png"], "other/", overwrite=True)
    assert plan_jobs(["clip.mkv"], "pictures/", overwrite=True)


def test_a_pattern_among_several_goes_to_a_folder_of_its_own() -> None:
    Path("pictures", "b.png").touch()
    for pattern in ("pictures/*.png", f"{Path.cwd()}/pictures/*.png"):
        jobs = plan_jobs([pattern, "clip.mkv"], "out", overwrite=False)
        assert [job.sink for job in jobs] == ["out/pictures/", "out/clip.mkv"]


def test_names_that_no_file_can_have_are_refused() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        plan_jobs(["x" * 300 + ".mp4"], "out.mp4", overwrite=False)
    assert plan_jobs(["clip.mkv"], "x" * 300 + ".mp4", overwrite=False)  # told when it is opened
