"""File jobs that read their film from the middle, or cannot; and a film's report and losses."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clips import decoded
from films import (
    FRAMES,
    PART_STARTS,
    TICKS,
    Job,
    in_folder,
    interrupted_and_resumed,
    run,
    whole_film,
    write_film,
)

from stream.offline.film import still_size
from stream.offline.part_store import parts_folder
from stream.stats import Stats
from stream.temporal.state import Temporal
from stream.video_info import VideoInfo


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4")


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
    assert job.target.read_bytes() == whole_film()


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
