"""Regions: where the painting shows, by pictures, films and people, and how it is composed."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import Clip, write_clip
from fakes import FakeEngine, make_frames
from PIL import Image

from models import PersonSegmenter, Style
from stream.errors import SourceError
from stream.frame import Frame
from stream.geometry import resize
from stream.sources import open_source
from stream.stylizer.masks import check_mask, mask_mark
from stream.stylizer.regions import (
    FilmRegion,
    PersonRegion,
    PictureRegion,
    Shots,
    composed,
    feathered,
    make_region,
    steadied,
)
from stream.stylizer.stylizer import Stylizer

FACE = Path(__file__).resolve().parents[3] / "examples" / "clips" / "face.mp4"
PAINTING = Style(prompt="oil painting", strength=0.5)
SIZE = (64, 48)


def left_half(width: int = 64, height: int = 48) -> np.ndarray:
    """A mask that shows the painting on the left."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


def a_frame(value: int = 90, time_s: float = 0.0) -> Frame:
    data = np.full((48, 64, 3), value, np.uint8)
    return Frame(data, round(time_s * 1000), Fraction(1, 1000))


class Answers:
    """A segmenter that gives one answer after the other."""

    def __init__(self, *answers: float) -> None:
        self.answers = [np.full((8, 8), answer, np.float32) for answer in answers]

    def __call__(self, data: np.ndarray) -> np.ndarray:
        return self.answers.pop(0)


# Composing


def test_the_painting_shows_only_where_the_mask_says() -> None:
    frames = make_frames(3, SIZE)
    whole = [out.data for f in frames for out in Stylizer(FakeEngine(), PAINTING).process(f)]
    region = PictureRegion(left_half())
    stylizer = Stylizer(FakeEngine(), PAINTING, region=region, stability=0.0)
    for frame, painted in zip(frames, whole, strict=True):
        (out,) = stylizer.process(frame)
        assert np.array_equal(out.data[:, :28], painted[:, :28])
        assert np.array_equal(out.data[:, 36:], frame.data[:, 36:])
        assert out.mask is None
        assert out.unpainted is None


@pytest.mark.parametrize("options", [{"look_ahead": True}, {"every": 3}, {"batch": 4}])
def test_frames_that_are_held_back_keep_their_own_surroundings(options: dict[str, int]) -> None:
    frames = make_frames(9, SIZE)
    stylizer = Stylizer(FakeEngine(), PAINTING, region=PictureRegion(left_half()), **options)
    out = [one for frame in frames for one in stylizer.process(frame)] + list(
        stylizer.process(None)
    )
    assert len(out) == 9
    for frame, one in zip(frames, out, strict=True):
        assert np.array_equal(one.data[:, 36:], frame.data[:, 36:])
        assert not np.array_equal(one.data[:, :28], frame.data[:, :28])


def test_a_mask_is_composed_at_the_output_size() -> None:
    frame = make_frames(1, SIZE)[0]
    region = PictureRegion(left_half(16, 12))
    stylizer = Stylizer(FakeEngine(), PAINTING, region=region, output_size=(128, 96))
    (out,) = stylizer.process(frame)
    assert np.array_equal(out.data[:, 80:], resize(frame.data, (128, 96))[:, 80:])


def test_edges_are_soft() -> None:
    mask = feathered(left_half(512, 512))[100]
    assert mask[200] == 255
    assert mask[300] == 0
    assert len(set(mask[240:272].tolist())) > 6


def test_half_a_mask_is_half_of_both() -> None:
    one, other = np.full((4, 4, 3), 200, np.uint8), np.full((4, 4, 3), 100, np.uint8)
    mixed = composed(one, other, np.full((2, 2), 128, np.uint8))
    assert np.abs(mixed.astype(int) - 150).max() <= 1


def test_a_region_is_changed_between_two_frames() -> None:
    frames = make_frames(2, SIZE)
    stylizer = Stylizer(FakeEngine(), PAINTING, stability=0.0)
    (whole,) = stylizer.process(frames[0])
    stylizer.region = PictureRegion(np.zeros((4, 4), np.uint8))
    (nothing,) = stylizer.process(frames[1])
    assert not np.array_equal(whole.data, frames[0].data)
    assert np.array_equal(nothing.data, frames[1].data)


# Pictures and films


def test_a_picture_counts_by_its_brightness(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(left_half()).save(path)
    mask = make_region(str(path)).find(a_frame(), starts_shot=True)
    assert (mask[:, :28] == 255).all()
    assert (mask[:, 36:] == 0).all()


def test_a_picture_with_transparency_counts_by_that(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    black = np.zeros((48, 64, 3), np.uint8)
    Image.fromarray(np.dstack([black, left_half()])).save(path)
    mask = make_region(str(path)).find(a_frame(), starts_shot=True)
    assert (mask[:, :28] == 255).all()
    assert (mask[:, 36:] == 0).all()


def test_a_film_counts_frame_by_frame_and_begins_again(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "mask.mp4", Clip(pts=range(0, 6 * 3600, 3600)))
    region = FilmRegion(str(path))
    source = open_source(path)
    shown = [frame for frame in iter(source.read, None)]
    source.close()
    expected = [feathered(cv2.cvtColor(one.data, cv2.COLOR_RGB2GRAY)) for one in shown]
    lasts_s = shown[-1].time_s + float(shown[-1].duration * shown[-1].time_base)
    times_s = [one.time_s + 0.001 for one in shown]
    for again in (0.0, lasts_s):
        for time_s, mask in zip(times_s, expected, strict=True):
            found = region.find(a_frame(time_s=time_s + again), starts_shot=False)
            assert np.array_equal(found, mask)
    region.close()
    region.close()


def test_what_is_no_mask_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got mask=nobody, expected person, background"):
        check_mask("nobody")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"text\.png"):
        make_region(str(tmp_path / "text.png"))


def test_another_file_is_another_mask(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    marks = {mask_mark(mask) for mask in (None, "person", "background")}
    marks |= {mask_mark(str(tmp_path / name)) for name in ("a.png", "b.png")}
    assert len(marks) == 5


# People


def test_people_are_found_in_a_film_and_nothing_else_is() -> None:
    source = open_source(FACE)
    frame = source.read()
    source.close()
    assert frame is not None
    mask = PersonRegion().find(frame, starts_shot=True)
    height, width = frame.data.shape[:2]
    whole = cv2.resize(mask, (width, height))
    assert (whole[150:200, 190:220] > 250).all()  # the face
    assert (whole[:70] == 0).all()  # the wall above
    assert (whole[100:200, 20:100] == 0).all()  # the map
    beyond = PersonRegion(inverted=True).find(frame, starts_shot=True)
    assert np.array_equal(beyond, 255 - mask)


def test_a_picture_of_nobody_has_no_person_in_it() -> None:
    sea = np.repeat(np.linspace(60, 200, 480, dtype=np.uint8), 640).reshape(480, 640)
    assert PersonSegmenter()(np.dstack([sea // 2, sea, sea])).max() < 0.5


def test_doubt_keeps_the_mask_and_certainty_moves_it() -> None:
    now, before = np.full((2, 2), 0.5, np.float32), np.ones((2, 2), np.float32)
    assert steadied(now, before).min() > 0.9
    assert steadied(np.zeros((2, 2), np.float32), before).max() == 0


def test_edges_flicker_less_than_the_network_does() -> None:
    doubts = [0.45, 0.65] * 10
    region = PersonRegion(segmenter=Answers(*doubts))
    masks = [region.find(a_frame(), starts_shot=i == 0) for i in range(20)]
    levels = [int(mask[4, 4]) for mask in masks[4:]]
    alone = [
        int(PersonRegion(segmenter=Answers(one)).find(a_frame(), starts_shot=True)[4, 4])
        for one in (0.45, 0.65)
    ]
    assert max(levels) - min(levels) < 0.4 * (alone[1] - alone[0])


def test_a_cut_forgets_who_was_there() -> None:
    kept = PersonRegion(segmenter=Answers(1.0, 0.5))
    kept.find(a_frame(), starts_shot=True)
    forgotten = PersonRegion(segmenter=Answers(1.0, 0.5))
    forgotten.find(a_frame(), starts_shot=True)
    assert kept.find(a_frame(), starts_shot=False)[4, 4] == 255
    assert forgotten.find(a_frame(), starts_shot=True)[4, 4] < 150


def test_a_cut_is_seen_where_parts_of_films_begin() -> None:
    shots = Shots()
    random = np.random.default_rng(1)
    dark, bright = (random.integers(low, low + 40, (48, 64, 3), np.uint8) for low in (0, 200))
    seen = [
        shots.starts(data, (8, 6), index / 24) for index, data in enumerate([dark, dark, bright])
    ]
    assert seen == [False, False, True]
    assert not shots.starts(dark, (4, 3), 3 / 24)  # the governor changed the size
