"""ImageSource: pictures as frames, in the order a person would put them."""

import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import picture, quadrants

from stream.errors import SourceError
from stream.sources import open_source
from stream.sources.images import find_pictures


def save(path: Path, data: np.ndarray) -> Path:
    colours = cv2.COLOR_RGBA2BGRA if data.shape[2] == 4 else cv2.COLOR_RGB2BGR
    assert cv2.imwrite(str(path), cv2.cvtColor(data, colours))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 1, 2 and 10, beside things that are no pictures."""
    for number in (10, 2, 1):
        save(tmp_path / f"frame{number}.png", picture(number))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    return tmp_path


def test_pictures_come_in_natural_order(folder: Path) -> None:
    with open_source(folder) as source:
        pictures = [frame.data for frame in source]
    for data, number in zip(pictures, (1, 2, 10), strict=True):
        assert np.array_equal(data, picture(number))


def test_a_folder_plays_at_24_frames_a_second_unless_told_otherwise(folder: Path) -> None:
    with open_source(folder) as source:
        assert source.info.rate == 24
        assert [(f.pts, f.duration, f.time_base) for f in source] == [
            (index, 1, Fraction(1, 24)) for index in range(3)
        ]
    with open_source(folder, rate=23.976) as source:
        assert source.info.rate == Fraction(2997, 125)


def test_a_pattern_chooses_pictures(folder: Path) -> None:
    with open_source(folder / "frame1*.png") as source:
        assert source.info.frame_count == 2


def test_one_picture_has_no_rate(folder: Path) -> None:
    with open_source(folder / "frame2.png") as source:
        assert source.info.rate is None
        assert [np.array_equal(frame.data, picture(2)) for frame in source] == [True]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".JPG"])
def test_every_offered_format_is_read(tmp_path: Path, suffix: str) -> None:
    with open_source(save(tmp_path / f"a{suffix}", picture(3))) as source:
        (frame,) = source
    assert np.abs(frame.data.astype(int) - picture(3)).mean() < 3


def test_transparency_is_dropped(tmp_path: Path) -> None:
    data = np.dstack([picture(0), np.zeros((64, 96), np.uint8)])
    with open_source(save(tmp_path / "a.png", data)) as source:
        (frame,) = source
    assert np.array_equal(frame.data, picture(0))


def test_grey_and_deep_pictures_become_rgb(tmp_path: Path) -> None:
    deep = np.full((8, 8), 65535, np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    with open_source(tmp_path / "a.png") as source:
        (frame,) = source
    assert (frame.data == 255).all()
    assert frame.data.shape == (8, 8, 3)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", quadrants())
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = path.read_bytes()
    path.write_bytes(data[:2] + segment + data[2:])
    with open_source(path) as source:
        assert source.info.size == (64, 96)
        (frame,) = source
    expected = np.rot90(quadrants(), -1)
    assert np.abs(frame.data.astype(int) - expected).mean() < 8


def test_another_size_is_refused_by_the_name_of_the_file(folder: Path) -> None:
    save(folder / "frame3.png", picture(0, (32, 32)))
    with open_source(folder) as source, pytest.raises(SourceError, match=r"frame3\.png is 32x32"):
        list(source)


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    (tmp_path / "b.png").touch()
    for name in ("a.png", "b.png"):
        with pytest.raises(SourceError, match=f"{name[0]}\\.png is not a picture"):
            open_source(tmp_path / name)


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    for spec, word in [
        (tmp_path, "holds no pictures"),
        (tmp_path / "*.png", "no picture"),
        (tmp_path / "a.png", "no picture"),
        (tmp_path / "no" / "a.png", "no picture"),
    ]:
        with pytest.raises(SourceError, match=word):
            open_source(spec)


def test_a_rate_must_be_positive_and_of_pictures(folder: Path) -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        open_source(folder, rate=0)
    with pytest.raises(ValueError, match="a video has its own"):
        open_source("testsrc", rate=25)


def test_a_closed_source_gives_nothing(folder: Path) -> None:
    source = open_source(folder)
    source.close()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize("suffix", ["webp", "png", "tiff"])
def test_of_a_file_of_several_pictures_the_others_are_missed(tmp_path: Path, suffix: str) -> None:
    pictures = [np.full((16, 16, 4), level, np.uint8) for level in (40, 80, 120)]
    path = tmp_path / f"several.{suffix}"
    if suffix == "tiff":
        assert cv2.imwritemulti(str(path), [data[..., :3] for data in pictures])
    else:
        animation = cv2.Animation()
        animation.frames, animation.durations = pictures, np.array([40] * 3)
        assert cv2.imwriteanimation(str(path), animation)
    with open_source(path) as source:
        assert source.read() is not None
        assert source.read() is None
        assert source.damaged
        assert [f"{path} holds 3 pictures" in note for note in source.notes] == [True]


def test_digits_that_are_no_numbers_sort_as_letters(tmp_path: Path) -> None:
    names = ["2.png", "3\u00b24.png"]
    for name in reversed(names):
        save(tmp_path / name, picture(1))
    assert [path.name for path in find_pictures(tmp_path)] == names
