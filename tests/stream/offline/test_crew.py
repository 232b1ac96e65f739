"""Workers: whatever becomes of them, every part is in the film once and the bytes are the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crews import FakeLink, FakeWorkers
from films import (
    LEAST_S,
    TICKS,
    FilmEngine,
    Job,
    make_engine,
    options_of,
    whole_film,
    write_film,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import ModelError
from stream.errors import SinkError, SourceError
from stream.offline.crew import Crew
from stream.offline.film_job import FilmJob
from stream.offline.part_store import parts_folder
from stream.offline.parts import CutRule, Edge, Part, PartFinder
from stream.offline.places import places
from stream.offline.planner import planned_parts
from stream.offline.processes import ProcessWorkers
from stream.offline.worker import Described, Failed, Place
from stream.sources.video_range import VideoRange
from stream.stats import Stats

FRAMES = 120


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def whole(film: Path) -> bytes:
    return whole_film()


def painted_by(workers: FakeWorkers) -> tuple[bytes, Stats]:
    stats = Stats()
    job = FilmJob(workers.job.film(), overwrite=True)
    result = job.run(Crew(workers), stats, lambda frame: None)
    assert result.frames == FRAMES
    assert not parts_folder(workers.job.target).exists()
    return workers.job.target.read_bytes(), stats


@pytest.mark.parametrize("count", [1, 4])
def test_the_bytes_do_not_depend_on_the_workers(
    film: Path, whole: bytes, tmp_path: Path, count: int
) -> None:
    workers = FakeWorkers(Job(film, tmp_path / "out.mp4"), count)
    data, stats = painted_by(workers)
    assert data == whole
    assert sorted(workers.painted) == [0, 1, 2, 3]
    assert stats.frames_out == FRAMES


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(
        st.integers(0, 3), st.lists(st.sampled_from(["die", "refuse"]), min_size=1, max_size=1)
    )
)
def test_whatever_happens_to_workers_the_film_is_whole(
    film: Path, whole: bytes, tmp_path: Path, script: dict[int, list[str]]
) -> None:
    data, _ = painted_by(FakeWorkers(Job(film, tmp_path / "out.mp4"), 3, script))
    assert data == whole


def test_a_part_that_ends_three_workers_stops_the_film_and_the_others_are_kept(
    film: Path, tmp_path: Path
) -> None:
    job = Job(film, tmp_path / "out.mp4")
    workers = FakeWorkers(job, 2, {1: ["die", "die", "die"]})
    with pytest.raises(ModelError, match=r"at 1\.2 s ended 3 workers"):
        painted_by(workers)
    assert not job.target.exists()
    assert job.again().run().kept_parts >= 1


def test_what_fails_in_a_worker_is_raised_here(film: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the file is gone"):
        painted_by(FakeWorkers(Job(film, tmp_path / "out.mp4"), 2, {2: ["fail"]}))


def test_a_part_that_was_read_wrong_is_read_from_the_start(film: Path, tmp_path: Path) -> None:
    workers = FakeWorkers(Job(film, tmp_path / "out.mp4"), 1, {2: ["refuse"]})
    painted_by(workers)
    assert [seek for number, seek in workers.seeks if number == 2] == [True, False]


def test_where_no_seek_can_be_trusted_the_plan_is_read_too(
    film: Path, whole: bytes, tmp_path: Path
) -> None:
    workers = FakeWorkers(Job(film, tmp_path / "out.mp4"), 1, {1: ["refuse", "refuse"]})
    data, _ = painted_by(workers)
    assert data == whole
    assert not any(seek for _, seek in workers.seeks[3:])


@pytest.mark.parametrize("seek", [True, False])
def test_a_plan_is_what_a_reading_of_all_finds(film: Path, tmp_path: Path, seek: bool) -> None:
    described = Job(film, tmp_path / "out.mp4").film()
    with VideoRange(film) as reading:
        frames = list(reading)
    finder = PartFinder(described.rule)
    starts = [frame.pts for frame in frames if finder.starts_part(frame)]
    gap = Part(Edge.of(frames[0]), None)
    plan = list(planned_parts(film, gap, described.rule, described.info.time_base, seek=seek))
    assert [part.start for part in plan] == starts == [30 * TICKS * index for index in range(4)]
    assert [part.beyond for part in plan] == [*(part.first for part in plan[1:]), None]


def test_parts_have_two_frames_and_the_least_time() -> None:
    rule = CutRule((96, 64), (12, 8), least_s=LEAST_S)
    finder = PartFinder(rule)
    from fakes import make_frames

    frames = [replace(frame, pts=45 * frame.pts) for frame in make_frames(6)]  # 1.5 s apart: gaps
    assert [finder.starts_part(frame) for frame in frames] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_a_share_of_the_cores_each_and_none_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.offline.places._cores", lambda: list(range(16)))
    monkeypatch.setattr("stream.offline.places.CORES_A_WORKER", 8)
    assert places("cpu", None) == [
        Place(0, cores=tuple(range(8))),
        Place(1, cores=tuple(range(8, 16))),
    ]
    assert places("cpu", 1) == [Place(0)]
    shares = [place.cores for place in places("cpu", 3)]
    assert sorted(core for share in shares for core in share) == list(range(16))
    assert len({place.cores for place in places("cpu", 20)}) == 16


def test_a_worker_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert places("auto", None) == [Place(0, "3"), Place(1, "5")]
    assert places("cuda:1", None) == [Place(0, "5")]
    assert [place.visible for place in places("cuda", 4)] == ["3", "5", "3", "5"]


@pytest.mark.slow
def test_real_processes_one_of_which_is_killed(film: Path, whole: bytes, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    workers = ProcessWorkers(options_of(encoder_preset="ultrafast"), places("cpu", 2), make_engine)
    killed: list[int] = []

    def kill_once(frame: object) -> None:
        if not killed:
            process = next(one.process for one in workers._processes if one.recipe is not None)
            process.kill()
            killed.append(process.pid or 0)

    try:
        described = job.film()
        assert (
            workers.describe(film, job.target, described.info).facts["recipe"]
            == (described.facts["recipe"])
        )
        stats = Stats()
        FilmJob(described, overwrite=False).run(Crew(workers), stats, kill_once)
    finally:
        workers.close()
    assert killed
    assert job.target.read_bytes() == whole


class Scripted(ProcessWorkers):
    """One worker, whose answers are given."""

    def __init__(self, answers: list[object]) -> None:
        self.link = FakeLink("fake-0")
        self._answers = answers

    def links(self) -> list[Any]:
        return [self.link]

    def news(self, limit_s: float) -> list[tuple[Any, object]]:
        return [(self.link, self._answers.pop(0))]


def test_a_film_that_ends_the_workers_that_describe_it_is_an_error(
    film: Path, tmp_path: Path
) -> None:
    described = Job(film, tmp_path / "out.mp4").film()
    told = film, described.target, described.info
    assert Scripted([None, None, Described(described)]).describe(*told) is described
    with pytest.raises(ModelError, match="ended 3 workers"):
        Scripted([None, None, None]).describe(*told)
    with pytest.raises(SinkError, match="no such codec"):
        Scripted([Failed(SinkError("no such codec"))]).describe(*told)


@pytest.mark.slow
def test_a_model_that_no_worker_can_load_is_an_error(film: Path, tmp_path: Path) -> None:
    workers = ProcessWorkers(options_of(model="no such model"), places("cpu", 2))
    with pytest.raises(ModelError, match="no such model"):
        workers.describe(film, tmp_path / "out.mp4", Job(film, tmp_path / "out.mp4").film().info)
    workers.close()


def test_weights_that_differ_are_told_by_the_recipe(film: Path, tmp_path: Path) -> None:
    job = Job(film, tmp_path / "out.mp4")
    assert (
        job.film().facts["recipe"] != job.again(engine=FilmEngine("other")).film().facts["recipe"]
    )
