"""VideoSource: every frame once, at its own time, upright, in true colours."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import SIZE, SPEEDY, TIME_BASE, Clip, quadrants, vfr_pts, write_clip
from fields import write_fields

from stream.errors import SourceError
from stream.frame import Frame
from stream.sources import open_source

PATCHES = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128), (235, 220, 40)]


def read(path: Path | str) -> tuple[list[Frame], list[str]]:
    with open_source(path) as source:
        return list(source), source.notes


def mean_error(data: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(data.astype(float) - expected.astype(float)).mean())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_every_frame_comes_once_in_order(tmp_path: Path, suffix: str) -> None:
    frames, notes = read(write_clip(tmp_path / f"a{suffix}", Clip()))
    assert len(frames) == 20
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert not notes


def test_variable_frame_times_are_kept_to_the_tick(tmp_path: Path) -> None:
    pts = vfr_pts()
    frames, _ = read(write_clip(tmp_path / "a.mp4", Clip(pts=pts)))
    assert [frame.pts for frame in frames] == pts
    assert {frame.time_base for frame in frames} == {TIME_BASE}


def test_each_frame_lasts_until_the_next_one(tmp_path: Path) -> None:
    pts = vfr_pts()
    frames, _ = read(write_clip(tmp_path / "a.mp4", Clip(pts=pts)))
    assert [frame.duration for frame in frames[:-1]] == list(np.diff(pts))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_last_frame_lasts_as_long_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    with_b_frames = {"preset": "medium", "crf": "12"}
    clip = Clip(pts=vfr_pts(31), last_duration=7200, options=with_b_frames)
    frames, _ = read(write_clip(tmp_path / f"a{suffix}", clip))
    assert float(frames[-1].duration * frames[-1].time_base) == pytest.approx(0.08, abs=0.001)


def test_info_tells_size_rate_count_and_duration_before_the_first_read(tmp_path: Path) -> None:
    with open_source(write_clip(tmp_path / "a.mp4", Clip())) as source:
        info = source.info
    assert info.size == SIZE
    assert info.rate == 25
    assert info.frame_count == 20
    assert info.duration_s == pytest.approx(0.8)


def test_average_rate_is_that_of_uneven_times(tmp_path: Path) -> None:
    pts = vfr_pts()
    with open_source(write_clip(tmp_path / "a.mp4", Clip(pts=pts))) as source:
        assert float(source.info.rate or 0) == pytest.approx(
            40 * 90000 / (pts[-1] + 3600), rel=1e-6
        )


@pytest.mark.parametrize(
    ("rotation", "turns"), [(0, 0), (90, 1), (180, 2), (-90, 3)], ids=lambda value: str(value)
)
def test_frames_come_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    clip = Clip(pts=[0, 3600], pictures=[quadrants()] * 2, rotation=rotation)
    frames, _ = read(write_clip(tmp_path / "a.mp4", clip))
    assert mean_error(frames[0].data, np.rot90(quadrants(), turns)) < 6


def test_info_has_the_upright_size_and_pixel_shape(tmp_path: Path) -> None:
    clip = Clip(rotation=90, context={"sample_aspect_ratio": Fraction(4, 3)})
    with open_source(write_clip(tmp_path / "a.mp4", clip)) as source:
        assert source.info.size == (SIZE[1], SIZE[0])
        assert source.info.sample_aspect_ratio == Fraction(3, 4)
        assert source.read().size == source.info.size  # type: ignore[union-attr]


@pytest.mark.parametrize("matrix", [1, 5, 6], ids=["bt709", "bt470bg", "smpte170m"])
@pytest.mark.parametrize("full", [1, 2], ids=["tv", "pc"])
def test_tagged_colours_decode_within_two_levels(tmp_path: Path, matrix: int, full: int) -> None:
    pictures = [np.full((64, 96, 3), colour, np.uint8) for colour in PATCHES]
    clip = Clip(
        pts=range(0, len(PATCHES) * 3600, 3600),
        pictures=pictures,
        colour=(1, 1, matrix, full),
        options={"crf": "1", "preset": "ultrafast"},
    )
    frames, _ = read(write_clip(tmp_path / "a.mp4", clip))
    for frame, expected in zip(frames, pictures, strict=True):
        assert np.abs(frame.data.astype(int) - expected).max() <= 2


def test_pictures_come_out_neither_darker_nor_brighter(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(16, 240, (40, 3))
    pictures = [np.full((64, 96, 3), level, np.uint8) for level in levels]
    clip = Clip(
        pts=range(0, 40 * 3600, 3600),
        pictures=pictures,
        colour=(1, 1, 1, 1),
        options={"crf": "1", "preset": "ultrafast"},
    )
    frames, _ = read(write_clip(tmp_path / "a.mp4", clip))
    errors = [f.data.astype(int) - p for f, p in zip(frames, pictures, strict=True)]
    assert abs(np.mean(errors)) < 0.3


@pytest.mark.parametrize(("size", "matrix"), [((96, 64), 6), ((1280, 96), 1)], ids=["sd", "hd"])
def test_untagged_colours_decode_as_players_guess(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    pictures = [np.full((size[1], size[0], 3), colour, np.uint8) for colour in PATCHES]
    clip = Clip(
        pts=range(0, len(PATCHES) * 3600, 3600),
        pictures=pictures,
        size=size,
        colour=(2, 2, matrix, 1),
        tagged=False,
        options={"crf": "1", "preset": "ultrafast"},
    )
    untagged = write_clip(tmp_path / "a.mp4", clip)
    with av.open(str(untagged)) as container:
        assert container.streams.video[0].codec_context.colorspace == 2
    frames, _ = read(untagged)
    for frame, expected in zip(frames, pictures, strict=True):
        assert np.abs(frame.data.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size", [(97, 65), (33, 17)])
def test_odd_sizes_are_read_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = Clip(size=size, pix_fmt="yuv444p")
    frames, _ = read(write_clip(tmp_path / "a.mkv", clip))
    assert {frame.size for frame in frames} == {size}


def test_ten_bit_input_is_read(tmp_path: Path) -> None:
    clip = Clip(pts=[0, 3600], pictures=[quadrants()] * 2, pix_fmt="yuv420p10le")
    frames, _ = read(write_clip(tmp_path / "a.mp4", clip))
    assert mean_error(frames[0].data, quadrants()) < 6


def interlaced(tmp_path: Path) -> Path:
    """Bars that move between the fields: combed unless deinterlaced."""
    pictures = []
    for index in range(10):
        data = np.full((64, 96, 3), 40, np.uint8)
        data[0::2, 8 * index : 8 * index + 16] = 220
        data[1::2, 8 * index + 4 : 8 * index + 20] = 220
        pictures.append(data)
    flags = int(av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me)
    clip = Clip(
        pts=range(0, 10 * 3600, 3600),
        pictures=pictures,
        options={**SPEEDY, "x264-params": "tff=1"},
        context={"flags": flags},
    )
    return write_clip(tmp_path / "a.mp4", clip)


def test_interlaced_frames_keep_count_and_times(tmp_path: Path) -> None:
    frames, notes = read(interlaced(tmp_path))
    assert [frame.pts for frame in frames] == list(range(0, 10 * 3600, 3600))
    assert [frame.duration for frame in frames] == [3600] * 10
    assert "deinterlaced" in " ".join(notes)


def test_interlaced_frames_lose_their_combs(tmp_path: Path) -> None:
    frames, _ = read(interlaced(tmp_path))
    luma = frames[5].data.astype(int).mean(axis=2)
    between_lines = np.abs(np.diff(luma, axis=0)).mean()
    assert between_lines < 4  # 8 of 96 columns comb by 180 levels when left as they are: 15


def test_pictures_in_two_packets_are_whole_and_last_as_long_as_both(tmp_path: Path) -> None:
    frames, notes = read(write_fields(tmp_path / "a.ts", 12))
    assert len(frames) == 12
    assert {frame.duration for frame in frames} == {3600}
    assert [note for note in notes if "deinterlaced" not in note] == []


def test_a_change_of_size_is_fitted_in_and_noted(tmp_path: Path) -> None:
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    write_clip(parts[0], Clip(options={**SPEEDY, "tune": "zerolatency"}))
    write_clip(
        parts[1],
        Clip(
            size=(128, 96),
            pts=range(72000, 144000, 3600),
            options={**SPEEDY, "tune": "zerolatency"},
        ),
    )
    both = tmp_path / "both.ts"
    both.write_bytes(parts[0].read_bytes() + parts[1].read_bytes())
    frames, notes = read(both)
    assert {frame.size for frame in frames} == {SIZE}
    assert len(frames) == 40
    assert any("another size" in note for note in notes)


def test_a_clock_that_jumps_back_is_carried_on(tmp_path: Path) -> None:
    clip = Clip(pts=range(450000, 450000 + 20 * 3600, 3600), options={**SPEEDY, "bf": "0"})
    write_clip(tmp_path / "a.ts", clip)
    write_clip(tmp_path / "b.ts", Clip(options={**SPEEDY, "bf": "0"}))
    both = tmp_path / "both.ts"
    both.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    frames, notes = read(both)
    assert len(frames) == 40
    assert {b.pts - a.pts for a, b in itertools.pairwise(frames)} == {3600}
    assert any("jumped" in note for note in notes)


@pytest.mark.parametrize("options", [{"bf": "2"}, {"bf": "3", "b-pyramid": "normal"}], ids=str)
@pytest.mark.parametrize("suffix", [".avi", ".mxf"])
def test_pictures_of_a_container_without_their_times_keep_their_order(
    tmp_path: Path, suffix: str, options: dict[str, str]
) -> None:
    """AVI and MXF: the times that FFmpeg makes up for reordered pictures run back and forth."""
    clip = Clip(
        pts=range(48), last_duration=1, time_base=Fraction(1, 25), options={**SPEEDY, **options}
    )
    frames, notes = read(write_clip(tmp_path / f"a{suffix}", clip))
    assert len(frames) == 48
    times_s = [frame.pts * frame.time_base for frame in frames]
    assert {b - a for a, b in itertools.pairwise(times_s)} == {Fraction(1, 25)}
    assert notes == []


def test_short_recordings_in_a_row_are_as_long_as_all_of_them(tmp_path: Path) -> None:
    one = write_clip(tmp_path / "a.ts", Clip(audio="aac"))
    row = tmp_path / "row.ts"
    row.write_bytes(one.read_bytes() * 3)
    frames, notes = read(row)
    assert len(frames) == 60
    steps = [b.pts - a.pts for a, b in itertools.pairwise(frames)]
    assert set(steps[:19] + steps[20:39] + steps[40:]) == {3600}
    assert all(3600 <= step < 7200 for step in steps)  # the next begins where the sound ends
    assert not any("damaged" in note for note in notes)


def test_very_short_recordings_in_a_row_are_not_squashed(tmp_path: Path) -> None:
    clip = Clip(pts=range(0, 4 * 3600, 3600), options={**SPEEDY, "bf": "0"})
    one = write_clip(tmp_path / "a.ts", clip)
    row = tmp_path / "row.ts"
    row.write_bytes(one.read_bytes() * 3)
    frames, _ = read(row)
    assert {b.pts - a.pts for a, b in itertools.pairwise(frames)} == {3600}


def test_frames_without_times_are_spaced_evenly_and_noted(tmp_path: Path) -> None:
    frames, notes = read(write_clip(tmp_path / "a.h264", Clip(options={**SPEEDY, "bf": "0"})))
    steps = {b.pts - a.pts for a, b in itertools.pairwise(frames)}
    assert len(frames) == 20
    assert len(steps) == 1
    assert all("damaged" not in note for note in notes)


def test_the_larger_of_two_videos_is_read_and_the_other_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, (width, height) in zip(streams, [(32, 32), SIZE], strict=True):
            stream.width, stream.height = width, height
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(quadrants((stream.width, stream.height)))
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    frames, notes = read(path)
    assert frames[0].size == SIZE
    assert any("2 video streams" in note for note in notes)


def test_read_gives_none_at_the_end_and_ever_after(tmp_path: Path) -> None:
    source = open_source(write_clip(tmp_path / "a.mp4", Clip(pts=[0, 3600])))
    assert [source.read() is None for _ in range(4)] == [False, False, True, True]
    source.close()
    source.close()
    assert source.read() is None


def test_test_pattern_ends_by_itself() -> None:
    with open_source("testsrc2=size=64x48:rate=10:duration=1") as source:
        assert source.info.path is None
        assert sum(1 for _ in source) == 10


def test_test_pattern_has_defaults() -> None:
    with open_source("testsrc") as source:
        assert source.info.size == (640, 360)
        assert source.info.rate == 24


def test_test_pattern_with_nonsense_is_refused() -> None:
    with pytest.raises(SourceError, match="write it like"):
        open_source("testsrc=nonsense=1")


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no video stream"):
        open_source(path)


def test_sound_with_a_cover_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(quadrants((64, 48)))))
        output.mux(cover.encode(None))
    with pytest.raises(SourceError, match="cover picture"):
        open_source(path)


def test_no_frame_at_all_is_refused(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4", Clip()).read_bytes()
    start, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    hollow = tmp_path / "hollow.mp4"
    hollow.write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    with pytest.raises(SourceError, match="Not one frame"):
        open_source(hollow)


def test_places_without_a_video_are_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video " * 100)
    for name, word in [
        ("missing.mp4", "no file"),
        ("empty.mp4", "empty"),
        ("text.mp4", "not a video"),
        ("missing.mp4/below", "no file"),
    ]:
        with pytest.raises(SourceError, match=word):
            open_source(tmp_path / name)


def test_names_are_never_taken_for_protocols(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", Clip(pts=[0, 3600]))
    odd = path.rename(tmp_path / "concat:what %d?.mp4")
    assert len(read(odd)[0]) == 2
