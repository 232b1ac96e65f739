"""Folders: what is done is not painted again, a bad film stops no other, a full disk stops all."""

import errno
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from films import options_of

from models import ModelNotFoundError
from stream.clock import ManualClock
from stream.errors import SinkError, SourceError
from stream.media.partial_file import sink_errors
from stream.offline.batch import (
    Batch,
    find_films,
    is_batch,
    left_out,
    settings_id,
    with_films,
)
from stream.offline.jobs import Job, Outcome
from stream.offline.manifest import MANIFEST_NAME, Manifest
from stream.offline.watching import LOOK_EVERY_S, QUIET_S, Watch
from stream.stats import Stats
from stream.stylizer.options import OptionError


@dataclass
class FakeRestyler:
    """Copies the input, or raises what it is told for a name."""

    errors: dict[str, Exception] = field(default_factory=dict)
    stop_at: str = ""
    stopped: bool = False
    painted: list[str] = field(default_factory=list)

    def restyle(self, job: Job) -> Outcome:
        name = Path(job.source).name
        if name in self.errors:
            raise self.errors[name]
        self.painted.append(name)
        self.stopped = name == self.stop_at
        Path(job.sink).write_bytes(b"painted " + Path(job.source).read_bytes())
        return Outcome(job, Stats(), interrupted=self.stopped)


@pytest.fixture(autouse=True)
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "b.avi", "deep/c.mkv", ".hidden.mp4", "notes.txt", ".d/e.mp4"):
        path = Path("films", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return Path("films")


def asked(**changes: Any) -> Any:
    return options_of(**{"inputs": ("films",), "output": "out", "recursive": True, **changes})


def run(restyler: FakeRestyler, **changes: Any) -> Batch:
    batch = Batch(
        asked(**changes),
        restyler,
        code_of=lambda error: 3 if isinstance(error, SourceError) else 4,
        on_begin=lambda film, index, count: None,
    )
    batch.run(list(find_films(Path("films"), asked(**changes))))
    return batch


def test_every_film_keeps_its_place_and_gets_a_container_that_is_written() -> None:
    batch = run(FakeRestyler())
    assert batch.tally.done == ["a.mp4", "b.avi", "deep/c.mkv"]
    assert {p.as_posix() for p in Path("out").rglob("*") if p.is_file()} == {
        "out/a.mp4", "out/b.mp4", "out/deep/c.mkv", f"out/{MANIFEST_NAME}",
    }  # fmt: skip
    assert run(FakeRestyler(), recursive=False, output="flat").tally.done == ["a.mp4", "b.avi"]


def test_a_second_run_paints_nothing() -> None:
    run(FakeRestyler())
    restyler = FakeRestyler()
    assert len(run(restyler).tally.skipped) == 3
    assert restyler.painted == []


@pytest.mark.parametrize("change", ["input", "output", "no output", "settings"])
def test_what_has_changed_is_painted_again(change: str) -> None:
    run(FakeRestyler())
    if change == "input":
        Path("films/a.mp4").write_bytes(b"another")
    elif change == "output":
        Path("out/a.mp4").write_bytes(b"changed")
    elif change == "no output":
        Path("out/a.mp4").unlink()
    restyler = FakeRestyler()
    run(restyler, **({"seed": 7} if change == "settings" else {}))
    assert restyler.painted == (["a.mp4", "b.avi", "c.mkv"] if change == "settings" else ["a.mp4"])


def test_a_date_alone_is_no_change() -> None:
    run(FakeRestyler())
    data = Path("films/a.mp4").read_bytes()
    Path("films/a.mp4").unlink()
    Path("films/a.mp4").write_bytes(data)
    restyler = FakeRestyler()
    run(restyler)
    assert restyler.painted == []


def test_a_bad_film_stops_no_other_and_is_tried_again() -> None:
    batch = run(FakeRestyler({"b.avi": SourceError("b.avi is no video.")}))
    assert batch.tally.failed == {"b.avi": "b.avi is no video."}
    assert batch.tally.done == ["a.mp4", "deep/c.mkv"]
    told = json.loads(Path("out", MANIFEST_NAME).read_text())["files"]["b.avi"]
    assert told["state"] == "failed"
    assert told["error"] == {"kind": "SourceError", "code": 3, "text": "b.avi is no video."}
    again = run(FakeRestyler())
    assert again.tally.done == ["b.avi"]
    assert again.entries["b.avi"].tries == 2
    assert again.entries["b.avi"].error is None


def full_disk() -> SinkError:
    try:
        with sink_errors(Path("out/b.mp4")):
            raise OSError(errno.ENOSPC, "no space")
    except SinkError as err:
        return err


@pytest.mark.parametrize("error", [full_disk(), ModelNotFoundError("no such model")])
def test_a_full_disk_and_a_missing_model_stop_them_all(error: Exception) -> None:
    restyler = FakeRestyler({"b.avi": error})
    with pytest.raises(type(error)):
        run(restyler)
    assert restyler.painted == ["a.mp4"]
    assert run(FakeRestyler()).tally.done == ["b.avi", "deep/c.mkv"]


def test_a_stop_leaves_the_rest_to_the_next_run() -> None:
    batch = run(FakeRestyler(stop_at="b.avi"))
    assert batch.tally.done == ["a.mp4"]
    assert batch.tally.left == ["b.avi", "deep/c.mkv"]
    assert run(FakeRestyler()).tally.done == ["b.avi", "deep/c.mkv"]


def test_two_films_of_one_output_do_not_overwrite_each_other() -> None:
    Path("films/b.mpg").write_bytes(b"the same stem")
    batch = run(FakeRestyler())
    assert "would both become b.mp4" in batch.tally.failed["b.mpg"]
    assert Path("out/b.mp4").read_bytes() == b"painted b.avi"


def test_an_output_folder_amid_the_films_is_not_an_input() -> None:
    run(FakeRestyler(), output="films/out")
    found = [film.name for film in find_films(Path("films"), asked(output="films/out"))]
    assert found == ["a.mp4", "b.avi", "deep/c.mkv"]


def test_what_is_a_batch_and_what_is_refused() -> None:
    assert is_batch(asked())
    assert is_batch(asked(recursive=False))
    assert not is_batch(asked(inputs=("films/a.mp4",), recursive=False))
    with pytest.raises(OptionError, match="one folder of videos"):
        is_batch(asked(inputs=("films/a.mp4",)))
    with pytest.raises(OptionError, match="not joined"):
        is_batch(asked(output="out.mp4"))
    Path("films/p.png").touch()
    assert is_batch(asked())
    assert left_out(Path("films")) == ["Pictures among the videos of films that were left out: 1."]
    Path("pictures").mkdir()
    Path("pictures/p.png").touch()
    assert not is_batch(asked(inputs=("pictures",), recursive=False))


def test_a_folder_among_several_inputs_stands_for_its_films() -> None:
    Path("films/p.png").touch()
    Path("pictures").mkdir()
    Path("pictures/p.png").touch()
    options = asked(inputs=("x.mp4", "films", "pictures"), recursive=False)
    changed, left = with_films(options)
    assert changed.inputs == ["x.mp4", "films/a.mp4", "films/b.avi", "pictures"]
    assert left == left_out(Path("films"))


def test_a_manifest_of_somebody_else_is_refused() -> None:
    Path("out").mkdir()
    Path("out", MANIFEST_NAME).write_text('{"name": "not ours"}')
    with pytest.raises(SinkError, match="not a list of films"):
        run(FakeRestyler())


def test_ten_thousand_done_films_are_skipped_by_two_looks_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(FakeRestyler())
    manifest = Manifest(Path("out"))
    entry = manifest.entries["a.mp4"]
    manifest.entries = {str(index): entry for index in range(10_000)}
    looks: list[object] = []
    monkeypatch.setattr("stream.offline.manifest.file_mark", looks.append)
    source, settings = Path("films/a.mp4"), settings_id(asked())
    assert all(manifest.is_done(str(index), source, settings) for index in range(10_000))
    assert looks == []  # no contents are read


# Watching


def test_a_film_is_given_once_it_has_stopped_growing() -> None:
    clock, path = ManualClock(), Path("films/new.mp4")
    watch = Watch(lambda: find_films(Path("films"), asked()), clock)
    path.write_bytes(b"1")
    assert watch.new() == []
    clock.advance(QUIET_S - 1)
    path.write_bytes(b"12")
    assert watch.new() == []
    clock.advance(QUIET_S - 1)
    assert "new.mp4" not in [film.name for film in watch.new()]
    clock.advance(1)
    assert [film.name for film in watch.new()] == ["new.mp4"]
    assert watch.new() == []
    path.write_bytes(b"another film of that name")
    watch.new()
    clock.advance(QUIET_S)
    assert [film.name for film in watch.new()] == ["new.mp4"]


def test_watching_goes_on_until_it_is_stopped() -> None:
    stop, clock = threading.Event(), ManualClock()
    for films in Watch(lambda: find_films(Path("films"), asked()), clock).rounds(stop):
        assert len(films) == 3
        stop.set()
    assert clock.now_s() >= QUIET_S - LOOK_EVERY_S
