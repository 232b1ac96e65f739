"""File jobs in parts: the same bytes however often they are interrupted, nothing half published."""

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from clips import decoded, packet_times, stream_hash
from films import (
    FRAMES,
    PART_STARTS,
    FilmEngine,
    Job,
    in_folder,
    interrupted_and_resumed,
    run,
    whole_film,
    write_film,
)
from killed_job import MOMENTS

from models import ModelError
from stream.errors import SinkError, SourceError
from stream.offline.part_store import PartStore, parts_folder

SUPPORT = Path(__file__).resolve().parents[2] / "support"
EVEN: dict[str, Any] = {
    "time_base": Fraction(1, 25),
    "pts": range(FRAMES),
    "last_duration": 1,
    "options": {"qmin": "2", "qmax": "2"},
}
"""For codecs whose clock ticks once a frame."""

MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"look_ahead": False},
    "every": {"every": 3},
    "batch": {"batch": 3, "every": 2},
}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4")


def test_parts_join_to_a_film_with_all_frames_times_and_sound(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    result = job.run()
    assert (result.frames, result.finished, result.kept_frames) == (FRAMES, True, 0)
    assert packet_times(job.target) == packet_times(film)
    assert packet_times(job.target, "audio") == packet_times(film, "audio")
    assert stream_hash(job.target, "audio") == stream_hash(film, "audio")
    assert len(decoded(job.target)) == FRAMES
    assert in_folder(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.parametrize(
    "mode",
    ["plain", "causal", *(pytest.param(one, marks=pytest.mark.slow) for one in ("every", "batch"))],
)
def test_an_interrupted_film_goes_on_and_ends_in_the_same_bytes(
    film: Path, tmp_path: Path, mode: str
) -> None:
    whole = run(film, tmp_path / "whole.mp4", **MODES[mode])
    job = Job(film, tmp_path / "out.mp4", MODES[mode])
    assert interrupted_and_resumed(job, 35, 10) == whole


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("source", "out", "codec"),
    [
        ("film.mp4", "out.mkv", "libx264"),
        ("film.mkv", "out.mp4", "libx265"),
        ("film.mov", "out.webm", "libvpx-vp9"),
        ("film.avi", "out.mkv", "libsvtav1"),
        ("film.ts", "out.mkv", "ffv1"),
        ("film.mpg", "out.mov", "prores_ks"),
        ("film.webm", "out.webm", "libsvtav1"),
        ("film.m4v", "out.m4v", "libx264"),
        ("film.flv", "out.mp4", "libsvtav1"),
    ],
)
def test_the_matrix_of_containers_codecs_and_modes(
    tmp_path: Path, source: str, out: str, codec: str, mode: str
) -> None:
    traits = {
        ".webm": {"codec": "libvpx-vp9", "options": {"crf": "20"}, "audio": None},
        ".mpg": {"codec": "mpeg2video", **EVEN, "audio": None},
        ".avi": {"codec": "mpeg4", **EVEN, "audio": None},
    }.get(Path(source).suffix, {"audio": None})
    film = write_film(tmp_path / source, **traits)
    changes = {**MODES[mode], "codec": codec}
    whole = run(film, tmp_path / f"whole{Path(out).suffix}", **changes)
    job = Job(film, tmp_path / out, changes)
    assert interrupted_and_resumed(job, 20, 40) == whole
    assert len(decoded(job.target)) == FRAMES


def test_parts_equal_one_painting_over_the_whole_film(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of a lossless film: nothing of one part shows in another."""
    changes = {"codec": "ffv1", "look_ahead": False, "stability": 0.9}
    run(film, tmp_path / "parts.mkv", **changes)
    monkeypatch.setattr("films.LEAST_S", 1000)
    run(film, tmp_path / "one.mkv", **changes)
    for ours, theirs in zip(
        decoded(tmp_path / "parts.mkv"), decoded(tmp_path / "one.mkv"), strict=True
    ):
        assert (ours == theirs).all()


def test_finished_parts_are_not_painted_again(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    rest = job.again()
    result = rest.run()
    assert result.kept_parts in (2, 3)
    assert rest.painted[0] == PART_STARTS[result.kept_parts]
    assert len(rest.painted) == FRAMES - result.kept_frames


def test_a_killed_run_loses_no_more_than_a_part(film: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(count: int) -> None:
        if count == 100:
            raise Killed

    job = Job(film, tmp_path / "out.mp4")
    with pytest.raises(Killed):
        job.again(on_frame=die).run()
    assert not job.target.exists()
    rest = job.again()
    assert rest.run().kept_frames >= 60
    assert job.target.read_bytes() == whole_film()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_whoever_goes_on_clears_away_what_a_killed_driver_left(
    film: Path, tmp_path: Path, moment: str
) -> None:
    job = Job(film, tmp_path / "out.mp4")
    command = [sys.executable, str(SUPPORT / "killed_job.py"), str(film), str(job.target), moment]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert in_folder(tmp_path)[0] == ".out.mp4.parts"
    rest = job.again()
    assert rest.run().finished
    assert rest.painted == []
    assert in_folder(tmp_path) == ["film.mp4", "out.mp4"]
    assert job.target.read_bytes() == whole_film()


def test_what_a_worker_of_a_killed_driver_still_writes_meets_no_part(
    film: Path, tmp_path: Path
) -> None:
    """It goes on for a while, under a name of its own, and writes even while parts are removed."""
    job = Job(film, tmp_path / "out.mp4")
    described = job.film()
    dead = PartStore(job.target, described.job)
    orphan = dead.new_file(0, ".worker-0")
    dead.close(remove=False)

    def write(count: int) -> None:
        if count == FRAMES:
            orphan.write_bytes(b"half a part")

    assert job.again(on_frame=write).run().finished
    assert in_folder(tmp_path) == ["film.mp4", "out.mp4"]
    assert job.target.read_bytes() == whole_film()
    living = PartStore(job.target, described.job)
    assert living.new_file(0, ".worker-0") != orphan
    living.close(remove=True)


def test_a_failed_model_keeps_the_parts_that_are_done(film: Path, tmp_path: Path) -> None:
    class Fails(FilmEngine):
        def denoise(self, *given: Any, **named: Any) -> Any:
            if self.calls.counts.get("denoise", 0) == 80:
                raise ModelError("the card fell out")
            return super().denoise(*given, **named)

    job = Job(film, tmp_path / "out.mp4")
    with pytest.raises(ModelError, match="fell out"):
        job.again(engine=Fails()).run()
    assert not job.target.exists()
    assert job.again().run().kept_frames >= 30


def test_what_failed_before_its_first_part_leaves_nothing(film: Path, tmp_path: Path) -> None:
    class Fails(FilmEngine):
        def denoise(self, *given: Any, **named: Any) -> Any:
            raise ModelError("the card fell out")

    with pytest.raises(ModelError):
        Job(film, tmp_path / "out.mp4", engine=Fails()).run()
    assert in_folder(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize(
    "harm",
    [
        "torn",
        "foreign",
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ("flipped", "missing", "no side file")
        ),
    ],
)
def test_a_part_that_is_not_whole_is_painted_again(film: Path, tmp_path: Path, harm: str) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=100).run()
    (folder,) = (path for path in parts_folder(job.target).iterdir() if path.is_dir())
    part, side = folder / f"{PART_STARTS[1]}.nut", folder / f"{PART_STARTS[1]}.json"
    if harm == "torn":
        os.truncate(part, part.stat().st_size // 2)
    elif harm == "flipped":
        data = bytearray(part.read_bytes())
        data[len(data) // 2] ^= 255
        part.write_bytes(data)
    elif harm == "missing":
        part.unlink()
    elif harm == "foreign":
        side.write_text(json.dumps({**json.loads(side.read_text()), "job": "another"}))
    else:
        side.unlink()
    rest = job.again()
    rest.run()
    assert PART_STARTS[1] in rest.painted
    assert PART_STARTS[0] not in rest.painted
    assert job.target.read_bytes() == whole_film()


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "neon"}, {"strength": 0.3}, {"steps": 2}, {"seed": 4}, {"stability": 0.1},
        {"look_ahead": False}, {"every": 2}, {"batch": 2}, {"size": 32}, {"crf": 30},
        {"output_size": "48x32"}, {"codec": "libx265"}, {"encoder_preset": "fast"},
    ],
)  # fmt: skip
def test_every_setting_of_the_picture_changes_the_id(
    film: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    job = Job(film, tmp_path / "out.mp4")
    assert job.again(changes=change).film().job != job.film().job


def test_the_model_the_input_and_the_container_change_the_id_and_names_do_not(
    film: Path, tmp_path: Path
) -> None:
    job = Job(film, tmp_path / "out.mp4")
    other = write_film(tmp_path / "other.mp4", 7)
    moved = tmp_path / "moved.mp4"
    moved.write_bytes(film.read_bytes())
    ids = {
        job.film().job,
        job.again(engine=FilmEngine("other weights")).film().job,
        job.again(source=other).film().job,
        job.again(target=tmp_path / "out.mkv").film().job,
    }
    assert len(ids) == 4
    assert job.again(source=moved, target=tmp_path / "b.mp4").film().job == job.film().job
    assert job.again(changes={"json": "report.json", "quiet": False}).film().job == job.film().job


@pytest.mark.slow
def test_other_settings_never_meet_old_parts(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    job.target.unlink()
    result = job.again(changes={"seed": 5}).run()
    assert result.kept_parts == 0
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4", seed=5)


def test_an_unfinished_output_of_other_settings_is_in_the_way(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    with pytest.raises(SinkError, match="overwrite"):
        job.again(changes={"seed": 5}).run()
    assert job.again().run().kept_parts >= 2


def test_an_output_that_was_changed_meanwhile_is_in_the_way(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    job.target.write_bytes(b"somebody's own")
    with pytest.raises(SinkError, match="overwrite"):
        job.again().run()
    assert job.target.read_bytes() == b"somebody's own"


def test_a_second_driver_is_refused_and_named(film: Path, tmp_path: Path) -> None:
    second: list[str] = []

    def try_it(count: int) -> None:
        if count == 40:
            with pytest.raises(SinkError) as refused:
                job.again(on_frame=lambda count: None).run()
            second.append(str(refused.value))

    job = Job(film, tmp_path / "out.mp4", on_frame=try_it)
    job.run()
    assert f"process {os.getpid()} on" in second[0]
    assert len(decoded(job.target)) == FRAMES


def test_an_input_that_changes_meanwhile_is_not_published(film: Path, tmp_path: Path) -> None:
    def change(count: int) -> None:
        if count == 110:
            with film.open("ab") as file:
                file.write(b"more")

    with pytest.raises(SourceError, match="has changed"):
        Job(film, tmp_path / "out.mp4", on_frame=change).run()
    assert not (tmp_path / "out.mp4").exists()
