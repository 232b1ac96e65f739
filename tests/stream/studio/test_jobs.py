"""Dropped files: one after the other, apart from the studio, with the command's own bytes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from studios import plain, write_clip

from stream.clock import Clock, ManualClock
from stream.errors import SourceError
from stream.studio.downloads import Folder
from stream.studio.file_job import FileJob
from stream.studio.job_process import check_format, look
from stream.studio.jobs import JobQueue, start_process

PERSON, OTHER = "p" * 20, "o" * 20
MACHINE: dict[str, Any] = {
    "model": "bundled",
    "loras": [],
    "vae": None,
    "offline": True,
    "device": "cpu",
    "compile": "off",
    "size": 64,
}
WAIT_S = 600.0


def play(lines: list[dict[str, Any]]) -> "subprocess.Popen[str]":
    """A process that says these lines."""
    text = "\n".join(json.dumps(line) for line in lines)
    return subprocess.Popen(
        [sys.executable, "-c", f"print({text!r})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


LOOKED = {"size": [64, 48], "picture": False, "frames": 5, "seconds": 0.2, "rate": 25}


def make(
    folder: Path, answers: dict[str, list[dict[str, Any]]]
) -> tuple[JobQueue, list[dict[str, Any]]]:
    orders: list[dict[str, Any]] = []

    def start(order: dict[str, Any]) -> "subprocess.Popen[str]":
        orders.append(order)
        return play(answers[order["task"]])

    return JobQueue(MACHINE, clock=ManualClock(), start=start), orders


def add(queue: JobQueue, folder: Path, name: str, person: str = PERSON, **look: Any) -> FileJob:
    room = folder / name.replace(".", "-")
    room.mkdir()
    source = room / f"source{Path(name).suffix}"
    source.write_bytes(b"x")
    return queue.add(person, name, source, look)


def wait(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def join(queue: JobQueue) -> None:
    for reader in list(queue._readers):
        reader.join()


def test_files_run_in_order_and_each_is_its_own_persons(tmp_path: Path) -> None:
    done = {"done": True, "frames": 5, "fps": 9.0, "stopped": False, "damaged": False, "notes": []}
    queue, orders = make(
        tmp_path, {"look": [LOOKED], "restyle": [{"begun": True, "frames": 5}, {"frame": 3}, done]}
    )
    first = add(queue, tmp_path, "a.mp4", prompt="neon")
    second = add(queue, tmp_path, "b.mov", OTHER)
    join(queue)
    assert first.state == second.state == "waiting"
    assert (queue.place(first), queue.place(second)) == (0, 1)
    queue.tick()
    join(queue)
    assert first.state == "done" and second.state == "waiting"
    queue.tick()
    join(queue)
    assert second.state == "done"
    assert [order["name"] for order in orders if order["task"] == "restyle"] == ["a.mp4", "b.mov"]
    assert orders[-2]["options"]["prompt"] == "neon"
    assert queue.of(PERSON) == [first] and queue.find(OTHER, first.id) is None
    assert first.result.name == "painted.mp4" and second.result.name == "painted.mov"


def test_nothing_starts_while_somebody_is_live(tmp_path: Path) -> None:
    queue, orders = make(tmp_path, {"look": [LOOKED]})
    add(queue, tmp_path, "a.mp4")
    join(queue)
    queue.is_live = True
    queue.tick()
    assert [order["task"] for order in orders] == ["look"]


def test_a_process_that_dies_is_a_failed_file_and_no_more(tmp_path: Path) -> None:
    queue, _ = make(tmp_path, {"look": []})
    job = add(queue, tmp_path, "a.mp4")
    join(queue)
    assert job.state == "failed" and "a.mp4" in job.problem
    assert queue.as_dict(job)["place"] == 0


def test_what_the_process_refuses_is_said(tmp_path: Path) -> None:
    queue, _ = make(tmp_path, {"look": [{"error": "a.mp4 is no video."}]})
    job = add(queue, tmp_path, "a.mp4")
    join(queue)
    assert (job.state, job.problem) == ("failed", "a.mp4 is no video.")


def test_one_that_waits_can_be_stopped_and_removed(tmp_path: Path) -> None:
    queue, _ = make(tmp_path, {"look": [LOOKED]})
    job = add(queue, tmp_path, "a.mp4")
    join(queue)
    queue.stop(job)
    assert job.state == "stopped"
    queue.remove(job)
    assert queue.of(PERSON) == []
    queue.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mp4", b"ffconcat version 1.0\nfile secret.mp4\n"),
        ("a.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
        ("a.mp4", b"\x00" * 500),
        ("a.mov", b"not a film"),
    ],
)
def test_playlists_and_rubbish_open_no_other_file(
    tmp_path: Path, name: str, content: bytes
) -> None:
    write_clip(tmp_path / "secret.mp4", frames=5)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError):
        check_format(tmp_path / name)


def test_a_look_at_a_video_and_a_picture(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=7)
    told = look(tmp_path / "a.mp4", tmp_path / "poster.jpg")
    assert told["frames"] == 7 and not told["picture"]
    assert cv2.imread(str(tmp_path / "poster.jpg")) is not None
    cv2.imwrite(str(tmp_path / "b.png"), plain((1, 2, 3)))
    assert look(tmp_path / "b.png", tmp_path / "poster.jpg")["picture"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_dropped_file_has_the_bytes_of_the_command(tmp_path: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    write_clip(room / "source.mp4", frames=6)
    queue = JobQueue(MACHINE, clock=Clock(), start=start_process)
    job = queue.add(PERSON, "clip.mp4", room / "source.mp4", {"prompt": "neon", "strength": 0.7})
    for reader in list(queue._readers):
        reader._thread.join(WAIT_S)
    assert job.state == "waiting", job.problem
    queue.tick()
    for reader in list(queue._readers):
        reader._thread.join(WAIT_S)
    assert job.state == "done", job.problem
    command = [
        *(sys.executable, "-c", "from stream.command.main import main; main()", "restyle"),
        *(str(room / "source.mp4"), "-o", str(tmp_path / "command.mp4"), "--size", "64"),
        *("--prompt", "neon", "--strength", "0.7", "--device", "cpu", "--compile", "off"),
        *("--offline", "--quiet"),
    ]
    subprocess.run(command, check=True, timeout=WAIT_S)
    assert job.result.read_bytes() == (tmp_path / "command.mp4").read_bytes()
    assert job.preview.is_file()


def test_a_studio_that_is_started_again_goes_on_with_what_was_left(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "studio", Clock())
    assert folder.find_rooms() == []
    kept: dict[str, FileJob] = {}
    queue, _ = make(tmp_path, {"look": [LOOKED], "restyle": [{"begun": True, "frames": 5}]})
    for name in ("done", "waiting", "broken"):
        room = folder.room()
        (room / "source.mp4").write_bytes(name.encode())
        kept[name] = queue.add(PERSON, f"{name}.mp4", room / "source.mp4", {"prompt": "neon"})
    wait(lambda: all(job.state == "waiting" for job in kept.values()))
    kept["done"].state, kept["done"].frames_done = "done", 5
    queue.is_live = True
    queue.tick()
    (kept["broken"].room / "job.json").write_text("{}")
    queue.close()
    folder.close()

    again = Folder(tmp_path / "studio", Clock())
    rooms = again.find_rooms()
    assert len(rooms) == 3
    assert Folder(tmp_path / "studio", Clock()).find_rooms() == []  # somebody uses it
    queue, orders = make(tmp_path, {"restyle": [{"begun": True, "frames": 5}]})
    queue.go_on(rooms)
    found = {job.name: job for job in queue.of(PERSON)}
    assert {name: job.state for name, job in found.items()} == {
        "done.mp4": "done",
        "waiting.mp4": "waiting",
    }
    assert queue.as_dict(found["done.mp4"])["done"] == 5
    assert queue.find(OTHER, found["done.mp4"].id) is None
    queue.tick()
    assert orders[0]["options"]["prompt"] == "neon"
    assert Path(orders[0]["options"]["output"]) == kept["waiting"].result
    queue.close()
    again.close()


@pytest.mark.slow
def test_an_interrupted_film_goes_on_from_the_parts_that_are_painted(tmp_path: Path) -> None:
    """The bytes are those of a film that was never interrupted."""
    room = tmp_path / "room"
    room.mkdir()
    write_clip(room / "source.mp4", 60)
    queue = JobQueue(MACHINE, clock=Clock())
    job = queue.add(PERSON, "a.mp4", room / "source.mp4", {"prompt": "neon", "seed": 1})
    wait(lambda: job.state == "waiting")
    queue.tick()
    wait(lambda: job.frames_done > 5 or job.state == "done")
    queue.tick()
    queue.close()
    again = JobQueue(MACHINE, clock=Clock())
    again.go_on([room])
    (job,) = again.of(PERSON)
    again.tick()
    wait(lambda: job.state == "done")
    painted = job.result.read_bytes()
    again.close()

    other = tmp_path / "other"
    other.mkdir()
    (other / "source.mp4").write_bytes((room / "source.mp4").read_bytes())
    third = JobQueue(MACHINE, clock=Clock())
    whole = third.add(PERSON, "a.mp4", other / "source.mp4", {"prompt": "neon", "seed": 1})
    wait(lambda: whole.state == "waiting")
    third.tick()
    wait(lambda: whole.state == "done")
    assert whole.result.read_bytes() == painted
    third.close()
