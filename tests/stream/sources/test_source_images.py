"""ImageSource: pictures as frames, in the order a person would put them."""

import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import copy_through, decoded, picture, quadrants
from PIL import Image

from stream.errors import SourceError
from stream.sources import open_source
from stream.sources.animation import is_animation
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


def test_one_of_another_size_is_fitted_in_and_named(folder: Path) -> None:
    save(folder / "frame3.png", np.full((32, 32, 3), 200, np.uint8))
    with open_source(folder) as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [(96, 64)] * 4
    square = frames[2].data[32]
    assert square[:15].max() == square[-15:].max() == 0 and square[20:-20].min() == 200
    assert source.damaged and "frame3.png is 32x32" in source.losses[0]


@pytest.mark.parametrize("lost", ["frame1.png", "frame2.png", "frame10.png"])
def test_one_that_cannot_be_read_is_left_out_and_named(folder: Path, lost: str) -> None:
    whole = (folder / lost).read_bytes()
    (folder / lost).write_bytes(whole[: len(whole) // 2])
    with open_source(folder) as source:
        frames = list(source)
    assert len(frames) == 2
    assert sum(frame.duration or 0 for frame in frames) == 3 - frames[0].pts
    assert source.damaged and len(source.losses) == 1 and lost in source.losses[0]


@pytest.mark.parametrize("bad", ["empty", "no picture", "gone", "a folder"])
def test_none_of_many_spoils_the_others(folder: Path, bad: str) -> None:
    path = folder / "frame5.png"
    if bad == "gone":
        path.symlink_to(folder / "nowhere")
    elif bad == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"" if bad == "empty" else b"no picture")
    with open_source(folder) as source:
        assert len(list(source)) == 3
    assert source.damaged == (bad in ("empty", "no picture"))


def test_a_sequence_is_named_as_ffmpeg_s_users_do(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        save(tmp_path / f"shot_{number:04}.png", picture(number))
    save(tmp_path / "shot_x.png", picture(0))
    for name in ("shot_%04d.png", "shot_%d.png"):
        with open_source(tmp_path / name, rate=30) as source:
            frames = list(source)
        assert source.info.rate == 30
        assert all(
            np.array_equal(frame.data, picture(number))
            for frame, number in zip(frames, (8, 9, 10, 11), strict=True)
        )


def test_pictures_keep_their_names(folder: Path) -> None:
    (folder / "out").mkdir()
    copy_through(folder, folder / "out")
    assert sorted(one.name for one in (folder / "out").iterdir()) == [
        "frame1.png",
        "frame10.png",
        "frame2.png",
    ]


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


def test_of_a_file_of_several_pages_the_others_are_missed(tmp_path: Path) -> None:
    pictures = [np.full((16, 16, 3), level, np.uint8) for level in (40, 80, 120)]
    path = tmp_path / "several.tiff"
    assert cv2.imwritemulti(str(path), pictures)
    with open_source(path) as source:
        assert source.read() is not None
        assert source.read() is None
        assert source.damaged
        assert [f"{path} holds 3 pictures" in note for note in source.notes] == [True]


def animation(path: Path, durations: list[int]) -> Path:
    """Pictures that get brighter, half of each transparent; each shown for so many ms."""
    pictures = []
    for index in range(len(durations)):
        data = np.full((16, 16, 4), 40 + 40 * index, np.uint8)
        data[:, :8, 3], data[:, 8:, 3] = 255, 0
        pictures.append(Image.fromarray(data))
    options = {"lossless": True} if path.suffix == ".webp" else {"disposal": 1}
    first, *rest = pictures
    first.save(path, save_all=True, append_images=rest, duration=durations, **options)
    return path


@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize("durations", [[40, 40, 40], [100, 30, 500, 20]])
def test_an_animation_keeps_its_pictures_and_times(
    tmp_path: Path, suffix: str, durations: list[int]
) -> None:
    with open_source(animation(tmp_path / f"a{suffix}", durations)) as source:
        frames = list(source)
        assert source.info.duration_s == pytest.approx(sum(durations) / 1000)
    assert [frame.duration for frame in frames] == durations
    assert [frame.pts for frame in frames] == [sum(durations[:n]) for n in range(len(durations))]
    for index, frame in enumerate(frames):
        assert abs(int(frame.data[8, 2, 0]) - (40 + 40 * index)) <= 2
        assert frame.data[8, 12, 0] == 255 and frame.alpha is not None
    copy_through(tmp_path / f"a{suffix}", tmp_path / "out.mp4")
    assert len(decoded(tmp_path / "out.mp4")) == len(durations)


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_an_opaque_animation_has_no_transparency(tmp_path: Path, suffix: str) -> None:
    first, *rest = [Image.fromarray(picture(index)) for index in range(3)]
    path = tmp_path / f"a{suffix}"
    first.save(path, save_all=True, append_images=rest, duration=40)
    with open_source(path) as source:
        assert not source.info.has_alpha
        assert [frame.alpha for frame in source] == [None] * 3


@pytest.mark.parametrize("suffix", [".webp", ".png"])
def test_a_still_is_no_animation(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", picture(1))
    assert not is_animation(path)
    assert is_animation(animation(tmp_path / f"b{suffix}", [40, 40]))
    with open_source(path) as source:
        assert source.info.frame_count == 1


def test_digits_that_are_no_numbers_sort_as_letters(tmp_path: Path) -> None:
    names = ["2.png", "3\u00b24.png"]
    for name in reversed(names):
        save(tmp_path / name, picture(1))
    assert [path.name for path in find_pictures(tmp_path)] == names
