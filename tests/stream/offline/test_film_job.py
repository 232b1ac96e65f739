"""File jobs in parts: the same bytes however often they are interrupted, nothing half published."""

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clips import decoded, packet_times, stream_hash
from films import TICKS, FilmEngine, Job, run, write_film
from killed_job import MOMENTS

from models import ModelError
from stream.errors import SinkError, SourceError
from stream.offline.film import still_size
from stream.offline.part_store import PartStore, is_unfinished, parts_folder
from stream.stats import Stats
from stream.temporal.state import Temporal
from stream.video_info import VideoInfo

SUPPORT = Path(__file__).resolve().parents[2] / "support"
FRAMES = 120
PART_STARTS = [index * 30 * TICKS for index in range(4)]
"""Shots of 0.6 s make parts of two, where a part is a second or more."""

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


def in_folder(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted_and_resumed(job: Job, *stops: int) -> bytes:
    for stop in stops:
        job.again(stop_after=stop).run()
        assert is_unfinished(job.target)
    job.again().run()
    assert not parts_folder(job.target).exists()
    return job.target.read_bytes()


def test_parts_join_to_a_film_with_all_frames_times_and_sound(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    result = job.run()
    assert (result.frames, result.finished, result.kept_frames) == (FRAMES, True, 0)
    assert packet_times(job.target) == packet_times(film)
    assert packet_times(job.target, "audio") == packet_times(film, "audio")
    assert stream_hash(job.target, "audio") == stream_hash(film, "audio")
    assert len(decoded(job.target)) == FRAMES
    assert in_folder(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.parametrize("mode", MODES)
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
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4")


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
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4")


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
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4")
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


@pytest.mark.parametrize("harm", ["torn", "flipped", "missing", "foreign", "no side file"])
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
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4")


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


@pytest.mark.parametrize("shown_from", ["five frames late", "nowhere"])
def test_a_seek_that_lands_wrong_is_seen_and_the_film_read_from_its_start(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown_from: str
) -> None:
    """Nowhere: no key frame follows, and a decoder shows nothing to the film's end."""
    from stream.sources.video_range import VideoRange

    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    jumps: list[int] = []

    def lands_wrong(reading: VideoRange, container: Any, start: int) -> None:
        jumps.append(start)
        reading._from = 1 << 40 if shown_from == "nowhere" else start + 5 * TICKS

    monkeypatch.setattr(VideoRange, "_jump", lands_wrong)
    job.again().run()
    assert jumps[0] in PART_STARTS[2:]
    assert len(jumps) == 1
    assert job.target.read_bytes() == run(film, tmp_path / "whole.mp4")


def test_a_container_that_refuses_to_seek_is_read_from_its_start(tmp_path: Path) -> None:
    from stream.sources.video_range import VideoRange

    film = write_film(tmp_path / "film.flv", audio=None)
    with VideoRange(film, 900) as reading:
        frame = reading.read()
    assert frame is not None
    assert 900 <= frame.pts < 960


def test_a_film_that_is_stopped_in_its_first_part_is_replaced_by_the_same_command(
    film: Path, tmp_path: Path
) -> None:
    job = Job(film, tmp_path / "out.mp4", {"look_ahead": False})
    result = job.again(stop_after=5).run()
    assert 5 <= len(decoded(job.target)) < 30
    assert (result.finished, result.parts_bytes) == (False, 0)
    job.again().run()
    assert len(decoded(job.target)) == FRAMES
    assert in_folder(tmp_path) == ["film.mp4", "out.mp4"]


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["prores_ks", "qtrle"])
def test_codecs_that_nut_does_not_hold_are_painted_in_parts_too(tmp_path: Path, codec: str) -> None:
    changes = {"codec": codec}
    film = write_film(tmp_path / "film.mp4", count=4)
    whole = run(film, tmp_path / "whole.mov", **changes)
    job = Job(film, tmp_path / "out.mov", changes)
    assert interrupted_and_resumed(job, 20) == whole
    assert len(decoded(job.target)) == 60


def test_parts_begin_only_where_the_history_is_forgotten(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts: list[float] = []
    cut = Temporal._cut

    def noting(temporal: Temporal, *given: Any) -> Any:
        cuts.append(temporal._time_s)
        return cut(temporal, *given)

    monkeypatch.setattr(Temporal, "_cut", noting)
    Job(film, tmp_path / "out.mp4", stop_after=110).run()
    starts = [int(path.stem) for path in parts_folder(tmp_path / "out.mp4").glob("*/*.nut")]
    assert sorted(starts) == PART_STARTS[: len(starts)]
    assert len(starts) > 2
    assert len(cuts) == 7


def test_a_report_counts_what_was_painted_now(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    job.again(stop_after=70).run()
    stats = Stats()
    result = job.again().run(stats)
    assert stats.frames_out + result.kept_frames == FRAMES == result.frames


@pytest.mark.parametrize(
    ("size", "count", "carries_noise", "scale", "expected"),
    [
        ((4000, 3000), 1, True, 2, 768),
        ((2560, 1440), 1, True, 2, 720),
        ((1000, 800), 1, True, 2, 400),
        ((400, 300), 1, True, 2, None),  # the model's own is enough
        ((2560, 1440), 1, False, 1, 256),
        ((2560, 1440), 24, True, 2, None),  # moving pictures
    ],
)
def test_a_still_is_painted_as_large_as_suits_it_and_the_model(
    size: tuple[int, int], count: int, carries_noise: bool, scale: int, expected: int | None
) -> None:
    engine = SimpleNamespace(native_size=256, output_scale=scale, carries_noise=carries_noise)
    info = VideoInfo(size, Fraction(1, 24), Fraction(24), frame_count=count)
    assert still_size(engine, info) == expected  # type: ignore[arg-type]


def test_what_a_film_lacks_is_a_loss_whichever_part_it_is_in(tmp_path: Path) -> None:
    """Cut off, and so is what its file promises; each is said once."""
    source = write_film(tmp_path / "in.mkv", 4)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    result = Job(source, tmp_path / "out.mp4").run()
    told = " ".join(result.losses)
    assert "cut off" in told and "file promises" in told
    assert set(result.losses) <= set(result.notes)
    assert len(set(result.notes)) == len(result.notes)
