"""Film jobs over films of every container: each is read in ranges, whatever its seeks can do."""

from fractions import Fraction
from pathlib import Path

import pytest
from av.container import InputContainer
from clips import decoded
from damaged import INPUTS
from films import Job, write_film

from stream.sources.video_range import NotSeekableError, VideoRange

KINDS = {
    name: count
    for name, (_, count) in INPUTS.items()
    if name not in ("png", "jpeg", "tiff", "bmp", "webp", "moving webp", "moving png")
}


@pytest.mark.parametrize("name", KINDS)
def test_every_container_is_painted_whole(tmp_path: Path, name: str) -> None:
    """AVI and GIF refuse to be sought before their first frame, and others know no seeks."""
    job = Job(INPUTS[name][0](tmp_path), tmp_path / "out.mp4")
    job.run()
    assert len(decoded(tmp_path / "out.mp4")) == KINDS[name]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".ts", ".nut"])
def test_a_range_is_what_a_reading_of_all_gives(tmp_path: Path, suffix: str) -> None:
    traits = {"codec": "mpeg4", "options": {"g": "6", "bf": "2"}, "audio": None}
    steady = {"time_base": Fraction(1, 25), "last_duration": 1, "pts": range(120)}
    film = write_film(tmp_path / f"in{suffix}", **traits, **steady)
    with VideoRange(film) as reading:
        frames = list(reading)
    for index in (0, 10, 80):
        with VideoRange(film, frames[index].pts) as reading:
            some = list(reading)
        assert [frame.pts for frame in some] == [frame.pts for frame in frames[index:]]


def test_what_cannot_be_sought_is_read_from_its_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = write_film(tmp_path / "in.mkv")
    with VideoRange(film) as reading:
        frames = list(reading)

    def refused(reading: VideoRange, container: InputContainer, start: int) -> None:
        raise NotSeekableError

    monkeypatch.setattr(VideoRange, "_jump", refused)
    with VideoRange(film, frames[80].pts) as reading:
        assert [frame.pts for frame in reading] == [frame.pts for frame in frames[80:]]
