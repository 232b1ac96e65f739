"""ImageSink and NullSink: numbered pictures, one picture, nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import copy_through, decoded, made_frames, made_info, picture

from stream.errors import SinkError
from stream.sinks import open_sink
from stream.sinks.base import Sink
from stream.sinks.null import NullSink


def folder_sink(path: Path, *, overwrite: bool = False) -> Sink:
    return open_sink(f"{path}/", info=made_info(), overwrite=overwrite)


def test_frames_become_numbered_pictures(tmp_path: Path) -> None:
    with folder_sink(tmp_path / "out") as sink:
        for frame in made_frames(3):
            sink.write(frame)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["000001.png", "000002.png", "000003.png"]
    assert np.array_equal(decoded(tmp_path / "out")[2], picture(2))


def test_pictures_are_numbered_as_the_name_says(tmp_path: Path) -> None:
    target = tmp_path / "out" / "shot_%03d.jpg"
    with open_sink(target, info=made_info()) as sink:
        for frame in made_frames(2):
            sink.write(frame)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["shot_001.jpg", "shot_002.jpg"]
    with pytest.raises(SinkError, match="pictures in it already"):
        open_sink(target, info=made_info())
    open_sink(tmp_path / "out" / "%03d.jpg", info=made_info()).abort()
    open_sink(target, info=made_info(), overwrite=True).abort()


def test_an_existing_folder_needs_no_slash(tmp_path: Path) -> None:
    with open_sink(tmp_path, info=made_info()) as sink:
        sink.write(made_frames(1)[0])
    assert (tmp_path / "000001.png").exists()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.BMP", "a.tiff"])
def test_one_frame_becomes_one_picture(tmp_path: Path, name: str) -> None:
    with open_sink(tmp_path / name, info=made_info()) as sink:
        sink.write(made_frames(1)[0])
    assert np.abs(decoded(tmp_path / name)[0].astype(int) - picture(0)).mean() < 2
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_second_frame_for_one_picture_is_refused(tmp_path: Path) -> None:
    with open_sink(tmp_path / "a.png", info=made_info()) as sink:
        sink.write(made_frames(1)[0])
        with pytest.raises(SinkError, match="takes one frame"):
            sink.write(made_frames(2)[1])


def test_many_frames_for_one_picture_are_refused_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="takes one frame"):
        open_sink(tmp_path / "a.png", info=replace(made_info(), frame_count=8))


def test_an_aborted_sink_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError), open_sink(tmp_path / "a.png", info=made_info()) as sink:
        for frame in made_frames(2):
            sink.write(frame)
    folder_sink(tmp_path / "out").abort()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    folder_sink(tmp_path / "mine").abort()
    assert (tmp_path / "mine").is_dir()


def test_existing_pictures_are_refused_unless_they_may_be_replaced(tmp_path: Path) -> None:
    with folder_sink(tmp_path / "out") as sink:
        sink.write(made_frames(1)[0])
    with pytest.raises(SinkError, match="overwrite=True"):
        folder_sink(tmp_path / "out")
    with pytest.raises(SinkError, match="overwrite=True"):
        open_sink(tmp_path / "out" / "000001.png", info=made_info())
    with folder_sink(tmp_path / "out", overwrite=True) as sink:
        sink.write(made_frames(2)[1])
    assert np.array_equal(decoded(tmp_path / "out")[0], picture(1))


def test_a_missing_parent_folder_is_refused(tmp_path: Path) -> None:
    for spec in (f"{tmp_path}/no/out/", tmp_path / "no" / "a.png"):
        with pytest.raises(SinkError, match="create it first"):
            open_sink(spec, info=made_info())


def test_pictures_go_through_unchanged_as_png(tmp_path: Path) -> None:
    with folder_sink(tmp_path / "in") as sink:
        for frame in made_frames(3):
            sink.write(frame)
    (tmp_path / "out").mkdir()
    copy_through(tmp_path / "in", tmp_path / "out")
    for before, after in zip(decoded(tmp_path / "in"), decoded(tmp_path / "out"), strict=True):
        assert np.array_equal(before, after)


def test_pictures_become_a_video_of_their_rate(tmp_path: Path) -> None:
    with folder_sink(tmp_path / "in") as sink:
        for frame in made_frames(6):
            sink.write(frame)
    copy_through(tmp_path / "in", tmp_path / "out.mp4")
    import av

    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == 24
        assert container.duration == int(Fraction(6, 24) * 1_000_000)


def test_null_counts_and_keeps_nothing() -> None:
    sink = open_sink("null", info=made_info())
    assert isinstance(sink, NullSink)
    with sink:
        for frame in made_frames(3):
            sink.write(frame)
    assert sink.frame_count == 3
