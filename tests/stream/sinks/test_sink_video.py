"""VideoSink: exact times, true colours, everything copied, and never half a file under its name."""

import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import (
    SIZE,
    TIME_BASE,
    Clip,
    copy_through,
    decoded,
    frame_times,
    made_frames,
    made_info,
    packet_times,
    picture,
    vfr_pts,
    write_clip,
    write_made,
)

from stream.errors import SinkError
from stream.frame import Frame
from stream.sinks import open_sink
from stream.sinks.base import VideoEncoding
from stream.sinks.muxing import Muxer
from stream.sinks.video import VideoSink
from stream.sources import open_source
from stream.video_info import VideoInfo

PATCHES = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128), (235, 220, 40)]


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_uneven_times_are_exact_in_every_packet(tmp_path: Path, suffix: str) -> None:
    pts = vfr_pts()
    source = write_clip(tmp_path / "in.mp4", Clip(pts=pts, audio="aac"))
    target = tmp_path / f"out{suffix}"
    copy_through(source, target, encoding=VideoEncoding(preset="medium"))
    assert [time for time, _ in packet_times(target)] == [p * TIME_BASE for p in pts]
    assert frame_times(target) == [p * TIME_BASE for p in pts]


def test_uneven_times_are_within_a_tick_of_matroska(tmp_path: Path) -> None:
    pts = vfr_pts()
    source = write_clip(tmp_path / "in.mp4", Clip(pts=pts))
    copy_through(source, tmp_path / "out.mkv", encoding=VideoEncoding(preset="medium"))
    written = frame_times(tmp_path / "out.mkv")
    errors = [abs(a - p * TIME_BASE) for a, p in zip(written, pts, strict=True)]
    assert max(errors) <= Fraction(1, 2000)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("count", [25, 29, 31, 40])
def test_file_and_last_frame_last_as_long_as_given(tmp_path: Path, suffix: str, count: int) -> None:
    pts = vfr_pts(count)
    times = zip(pts, [*pts[1:], pts[-1] + 7200], strict=True)
    frames = [Frame(picture(i), pts, TIME_BASE, end - pts) for i, (pts, end) in enumerate(times)]
    target = tmp_path / f"out{suffix}"
    write_made(target, frames, preset="medium")
    with av.open(str(target)) as container:
        assert container.duration == pytest.approx((pts[-1] + 7200) / 0.09, abs=1001)
    with open_source(target) as source:
        last = list(source)[-1]
    assert float((last.duration or 0) * last.time_base) == pytest.approx(0.08, abs=0.0011)


def test_average_rate_is_the_sources(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(pts=vfr_pts()))
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert after.streams.video[0].average_rate == before.streams.video[0].average_rate


def test_times_start_at_zero_though_the_source_does_not(tmp_path: Path) -> None:
    clip = Clip(pts=range(450000, 522000, 3600))
    copy_through(write_clip(tmp_path / "in.ts", clip), tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(20)]


@pytest.mark.parametrize(
    ("primaries", "transfer", "matrix", "full"),
    [(1, 1, 1, 1), (1, 1, 1, 2), (5, 6, 5, 1), (6, 6, 6, 2), (9, 14, 9, 1)],
    ids=["709-tv", "709-pc", "601-625-tv", "601-525-pc", "2020-tv"],
)
def test_tagged_colours_go_through_within_three_levels(
    tmp_path: Path, primaries: int, transfer: int, matrix: int, full: int
) -> None:
    pictures = [np.full((64, 96, 3), colour, np.uint8) for colour in PATCHES]
    clip = Clip(
        pts=range(0, 5 * 3600, 3600),
        pictures=pictures,
        colour=(primaries, transfer, matrix, full),
        options={"crf": "1", "preset": "ultrafast"},
    )
    source = write_clip(tmp_path / "in.mp4", clip)
    target = tmp_path / "out.mp4"
    copy_through(source, target, encoding=VideoEncoding(preset="ultrafast", crf=1))
    for data, expected in zip(decoded(target), pictures, strict=True):
        assert np.abs(data.astype(int) - expected).max() <= 3
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        tags = context.color_primaries, context.color_trc, context.colorspace, context.color_range
    assert tags == (primaries, transfer, 6 if matrix == 5 else matrix, 1) or tags == (
        primaries,
        transfer,
        matrix,
        1,
    )


@pytest.mark.parametrize(("size", "matrix"), [((96, 64), 6), ((1280, 96), 1)], ids=["sd", "hd"])
def test_untagged_colours_are_written_and_tagged_as_players_guess(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    frame = Frame(np.full((size[1], size[0], 3), (200, 30, 30), np.uint8), 0, TIME_BASE, 3600)
    write_made(tmp_path / "out.mp4", [frame], crf=1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        first = next(container.decode(video=0))
        assert (first.colorspace, first.color_range) == (matrix, 1)
    assert np.abs(decoded(tmp_path / "out.mp4")[0].astype(int) - frame.data).max() <= 3


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_rotation_is_baked_in_and_not_tagged_again(tmp_path: Path, rotation: int) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(rotation=rotation))
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        first = next(container.decode(video=0))
    assert first.rotation == 0
    assert (first.width, first.height) == (SIZE if rotation in (0, 180) else SIZE[::-1])


def test_pixel_aspect_ratio_is_kept(tmp_path: Path) -> None:
    clip = Clip(context={"sample_aspect_ratio": Fraction(16, 15)})
    copy_through(write_clip(tmp_path / "in.mp4", clip), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)


def test_odd_sizes_lose_a_pixel_where_the_codec_needs_it_and_say_so(tmp_path: Path) -> None:
    notes = write_made(tmp_path / "out.mp4", made_frames(3, (97, 65)))
    assert decoded(tmp_path / "out.mp4")[0].shape == (64, 96, 3)
    assert any("97x65 was cropped to 96x64" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("out.mp4", {"pix_fmt": "yuv444p"}),
        ("out.mkv", {"codec": "ffv1"}),
        ("out.webm", {}),
    ],
)
def test_odd_sizes_are_kept_where_the_codec_can(
    tmp_path: Path, name: str, encoding: dict[str, str]
) -> None:
    write_made(tmp_path / name, made_frames(3, (97, 65)), **encoding)
    assert decoded(tmp_path / name)[0].shape == (65, 97, 3)


@pytest.mark.parametrize(
    ("name", "encoding", "error"),
    [
        ("out.mkv", {"codec": "ffv1"}, 0),
        ("out.mp4", {"codec": "libx265", "preset": "ultrafast"}, 5),
        ("out.mp4", {"codec": "libx264", "pix_fmt": "yuv420p10le"}, 4),
        ("out.mp4", {"codec": "libsvtav1", "preset": "8", "crf": 8}, 6),
        ("out.webm", {"codec": "libvpx-vp9"}, 6),
        ("out.mov", {"codec": "prores_ks"}, 3),
    ],
    ids=lambda value: value.get("codec") if isinstance(value, dict) else None,
)
def test_every_offered_codec_keeps_count_times_and_picture(
    tmp_path: Path, name: str, encoding: dict[str, str], error: float
) -> None:
    write_made(tmp_path / name, made_frames(12, (128, 96)), **encoding)
    pictures = decoded(tmp_path / name)
    assert frame_times(tmp_path / name) == [Fraction(i, 25) for i in range(12)]
    for index, data in enumerate(pictures):
        assert np.abs(data.astype(int) - picture(index, (128, 96))).mean() <= error


@pytest.mark.parametrize("codec", ["dnxhd", "qtrle", "png", "prores", "libx264rgb"])
def test_other_encoders_write_in_a_format_that_they_have(tmp_path: Path, codec: str) -> None:
    frames = made_frames(3, (1280, 720))  # dnxhd knows few sizes
    options = {"b": "60M"} if codec == "dnxhd" else {}
    write_made(tmp_path / "out.mov", frames, codec=codec, options=options)
    pictures = decoded(tmp_path / "out.mov")
    assert len(pictures) == 3
    for frame, data in zip(frames, pictures, strict=True):
        assert np.abs(frame.data.astype(int) - data).mean() < 6


def test_an_option_that_another_encoder_has_is_passed_on(tmp_path: Path) -> None:
    sizes = []
    for crf in (10, 40):
        path = tmp_path / f"{crf}.mkv"
        write_made(path, made_frames(3), codec="libx264rgb", crf=crf, preset="ultrafast")
        sizes.append(path.stat().st_size)
    assert sizes[0] > sizes[1]


def test_same_frames_give_the_same_bytes_whatever_memory_holds(tmp_path: Path) -> None:
    write_made(tmp_path / "other.mp4", made_frames(12, (128, 96)), codec="libsvtav1")
    written = set()
    for run in range(6):
        write_made(tmp_path / f"{run}.mp4", made_frames(30))
        written.add((tmp_path / f"{run}.mp4").read_bytes())
    assert len(written) == 1


def made_take(path: Path) -> VideoSink:
    """A live recording of four seconds, which is still open."""
    sink = VideoSink(path, info=made_info(), is_take=True)
    for frame in made_frames(100):
        sink.write(frame)
    return sink


def test_of_a_take_that_is_aborted_what_there_is_is_published(tmp_path: Path) -> None:
    made_take(tmp_path / "take.mp4").abort()
    assert len(decoded(tmp_path / "take.mp4")) == 100
    VideoSink(tmp_path / "other.mp4", info=made_info(), is_take=True).abort()
    assert [path.name for path in tmp_path.iterdir()] == ["take.mp4"]


def test_of_a_take_on_a_full_disk_the_file_is_kept_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = made_take(tmp_path / "take.mp4")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Muxer, "write", full)
    with pytest.raises(SinkError, match="kept as") as caught:
        sink.write(made_frames(101)[100])
    sink.abort()
    (kept,) = tmp_path.iterdir()
    assert str(kept) in str(caught.value)
    assert kept.name != "take.mp4"
    assert len(decoded(kept)) >= 50


@pytest.mark.parametrize(
    ("name", "encoding", "word"),
    [
        ("out.webm", {"codec": "libx264"}, r"cannot hold libx264.*libvpx-vp9"),
        ("out.mp4", {"codec": "prores_ks"}, "cannot hold prores_ks"),
        ("out.mp4", {"pix_fmt": "yuv420p11"}, "does not write pix_fmt"),
    ],
)
def test_codecs_that_do_not_fit_are_refused_with_a_way_out(
    tmp_path: Path, name: str, encoding: dict[str, str], word: str
) -> None:
    with pytest.raises(SinkError, match=word):
        open_sink(tmp_path / name, info=made_info(), encoding=VideoEncoding(**encoding))  # type: ignore[arg-type]
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(("codec", "word"), [("libx246", "libx264"), ("aac", "encoder of video")])
def test_a_codec_that_is_none_is_a_wrong_argument(tmp_path: Path, codec: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"got codec={codec}, expected .*{word}"):
        open_sink(tmp_path / "out.mp4", info=made_info(), encoding=VideoEncoding(codec=codec))
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    "encoding",
    [
        {"crf": 52},
        {"crf": -1},
        {"preset": "fastest"},
        {"codec": "ffv1", "crf": 3},
        {"codec": "ffv1", "preset": "fast"},
        {"codec": "mpeg4", "crf": 20},
        {"codec": "mpeg4", "preset": "fast"},
    ],
    ids=str,
)
def test_bad_encoder_values_say_got_and_expected(
    tmp_path: Path, encoding: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"got .* expected"):
        open_sink(tmp_path / "out.mkv", info=made_info(), encoding=VideoEncoding(**encoding))  # type: ignore[arg-type]
    assert left_behind(tmp_path) == []


def test_an_option_that_the_encoder_rejects_is_a_sink_error(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot be written"):
        write_made(tmp_path / "out.mp4", made_frames(2), options={"profile": "nonsense"})
    assert left_behind(tmp_path) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.mp4", info=made_info()) as sink:
        sink.write(made_frames(1)[0])
        with pytest.raises(ValueError, match="got a frame of"):
            sink.write(made_frames(1, (32, 32))[0])


def test_a_single_picture_becomes_one_frame(tmp_path: Path) -> None:
    info = VideoInfo(size=SIZE, time_base=Fraction(1, 24))
    with open_sink(tmp_path / "out.mp4", info=info) as sink:
        sink.write(Frame(picture(0), 0, Fraction(1, 24), 1))
    assert packet_times(tmp_path / "out.mp4") == [(Fraction(0), Fraction(1, 24))]


def test_encoding_does_not_wait_for_the_end(tmp_path: Path) -> None:
    """Memory stays flat: the file grows while frames come."""
    sink = open_sink(
        tmp_path / "out.mkv", info=made_info(), encoding=VideoEncoding(preset="ultrafast")
    )
    sizes = []
    for index, frame in enumerate(made_frames(200)):
        sink.write(frame)
        if index % 50 == 49:
            sizes.append(next(tmp_path.iterdir()).stat().st_size)
    sink.close()
    assert sizes == sorted(set(sizes))
