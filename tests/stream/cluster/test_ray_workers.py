"""Actors of a cluster, without one: who is left out, who dies, and what is said."""

import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fake_ray import FakeRay
from films import FilmEngine, Job, make_engine, options_of, run, write_film

from models import ModelError
from stream.cluster.ray_workers import RayWorkers
from stream.errors import ClusterError
from stream.offline import remote
from stream.offline.crew import Crew
from stream.offline.film_job import FilmJob
from stream.offline.part_store import parts_folder
from stream.stats import Stats


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4")


def workers_of(ray: FakeRay, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> RayWorkers:
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr("stream.cluster.ray_workers.RETRY_S", 0.0)
    options = options_of(encoder_preset="ultrafast", device="auto", **changes)
    return RayWorkers(options, "auto", make_engine)


def paint(workers: RayWorkers, film: Path, target: Path) -> Stats:
    job, stats = Job(film, target), Stats()
    workers.describe(film, target, job.film().info)
    FilmJob(job.film(), overwrite=False).run(Crew(workers), stats, lambda frame: None)
    workers.close()
    return stats


def test_a_cluster_paints_the_same_bytes_though_an_actor_dies(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay({0: ["die"]})
    stats = paint(workers_of(ray, monkeypatch), film, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == run(film, tmp_path / "whole.mp4")
    assert len(ray.painted) == len(set(ray.painted)) == 4
    assert any("painted again" in note for note in stats.notes)
    assert (ray.needs["num_gpus"], ray.needs["num_cpus"]) == (1, 0)
    assert ray.closed


def cannot_load(options: object) -> FilmEngine:
    raise ModelError("There is no model of that name.")


def is_broken(options: object) -> FilmEngine:
    raise AttributeError("no such thing")


@pytest.mark.parametrize(
    ("load", "error", "told"),
    [
        (cannot_load, ModelError, "no model of that name"),
        (is_broken, ClusterError, "actor-0 was left out: AttributeError: no such thing"),
    ],
)
def test_a_model_that_no_actor_can_load_is_told_and_not_tried_again(
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load: Any,
    error: type[Exception],
    told: str,
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    workers = RayWorkers(options_of(), "auto", load)
    with pytest.raises(error, match=told):
        workers.describe(film, tmp_path / "out.mp4", Job(film, tmp_path / "out.mp4").film().info)
    assert ray.waits == 2


def test_workers_that_have_nothing_to_do_are_waited_for(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_of(FakeRay(), monkeypatch)
    workers.describe(film, tmp_path / "out.mp4", Job(film, tmp_path / "out.mp4").film().info)
    while len(workers.links()) < 2:
        workers.news(0.0)
    assert workers.news(0.0) == []


def test_nodes_that_differ_are_left_out_and_named(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(blind=(1,), other=(2,), gpus=(1, 1, 1))
    stats = paint(workers_of(ray, monkeypatch), film, tmp_path / "out.mp4")
    assert any("does not read the same input" in note for note in stats.notes)
    assert any("its device is 'another'" in note for note in stats.notes)


def test_where_nobody_can_paint_it_that_is_said(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = workers_of(FakeRay(blind=(0, 1)), monkeypatch)
    with pytest.raises(ClusterError, match="does not read the same input"):
        paint(workers, film, tmp_path / "out.mp4")


def test_a_cluster_that_goes_leaves_what_is_painted(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match="the same command goes on"):
        paint(workers_of(FakeRay(gone_after=2), monkeypatch), film, tmp_path / "out.mp4")
    assert list(parts_folder(tmp_path / "out.mp4").glob("*/*.nut"))
    ray = FakeRay()
    paint(workers_of(ray, monkeypatch), film, tmp_path / "out.mp4")
    assert len(ray.painted) < 4


def test_a_cluster_out_of_reach_and_a_missing_ray_are_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ClusterError, match="cannot be reached"):
        workers_of(FakeRay(reachable=False), monkeypatch)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"allaprima\[cluster\]"):
        RayWorkers(options_of(), "auto", make_engine)


def test_without_gpus_an_actor_has_eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(gpus=(0, 0), cores=16)
    workers_of(ray, monkeypatch)
    assert ray.needs["num_cpus"] == 8
    assert ray.actors == 4
    small = FakeRay(gpus=(0,), cores=2)
    workers_of(small, monkeypatch, workers=3)
    assert (small.needs["num_cpus"], small.actors) == (2, 3)


def test_each_node_fetches_an_input_that_is_in_a_store(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").pipe("/films/film.mp4", film.read_bytes())
    copy = remote.fetch("memory://films/film.mp4")
    fetched: list[str] = []

    def fetch(address: str) -> Path:
        fetched.append(address)
        return film  # where this node keeps it

    monkeypatch.setattr(remote, "fetch", fetch)
    paint(workers_of(FakeRay(), monkeypatch), copy, tmp_path / "out.mp4")
    assert fetched == ["memory://films/film.mp4"] * 2
    assert (tmp_path / "out.mp4").read_bytes() == run(film, tmp_path / "whole.mp4")
    remote.forget("memory://films/film.mp4")
    fsspec.filesystem("memory").rm("/films", recursive=True)
