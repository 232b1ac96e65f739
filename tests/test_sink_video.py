"""VideoSink: exact times, true colours, everything copied, and never half a file under its name."""

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
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
from stream.sink import VideoEncoding, open_sink
from stream.source import VideoInfo

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
def test_last_frame_and_file_last_as_long_as_the_source(tmp_path: Path, suffix: str) -> None:
    pts = vfr_pts()
    clip = Clip(pts=pts, last_duration=7777)
    target = tmp_path / f"out{suffix}"
    copy_through(write_clip(tmp_path / "in.mp4", clip), target)
    with av.open(str(target)) as container:
        assert container.duration == pytest.approx((pts[-1] + 7777) / 0.09, abs=1001)


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


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_made(tmp_path / name, made_frames(30))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_finished_mp4_is_an_ordinary_one(tmp_path: Path) -> None:
    write_made(tmp_path / "out.mp4", made_frames(60))
    assert top_level_boxes(tmp_path / "out.mp4") == ["ftyp", "free", "mdat", "moov"]


def top_level_boxes(path: Path) -> list[str]:
    data, position, names = path.read_bytes(), 0, []
    while position < len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        names.append(name.decode())
        position += size
    return names


def test_only_the_finished_file_is_left(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.mp4", info=made_info()) as sink:
        for frame in made_frames(5):
            sink.write(frame)
        assert "out.mp4" not in left_behind(tmp_path)
    assert left_behind(tmp_path) == ["out.mp4"]


def test_new_files_have_the_users_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_made(tmp_path / "out.mp4", made_frames(2))
    assert (tmp_path / "out.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_existing_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with pytest.raises(SinkError, match="--overwrite"):
        open_sink(target, info=made_info())
    assert target.read_text() == "precious"
    assert left_behind(tmp_path) == ["out.mp4"]


def test_an_existing_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    target.write_text("precious")
    with open_sink(target, info=made_info(), overwrite=True) as sink:
        for frame in made_frames(5):
            sink.write(frame)
        assert target.read_text() == "precious"
    assert len(decoded(target)) == 5


def test_a_file_that_came_up_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    sink = open_sink(target, info=made_info())
    for frame in made_frames(5):
        sink.write(frame)
    target.write_text("precious")
    with pytest.raises(SinkError, match=r"kept as .*part\.mp4"):
        sink.close()
    assert target.read_text() == "precious"
    (kept,) = (path for path in tmp_path.iterdir() if path != target)
    assert len(decoded(kept)) == 5


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", Clip())
    before = source.read_bytes()
    with pytest.raises(SinkError, match="input itself"):
        copy_through(source, source, overwrite=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("no/such/out.mp4", "create it first"),
        ("file/out.mp4", "not a folder"),
        ("out.xyz", r"\.mp4"),
    ],
)
def test_impossible_places_are_refused_at_once(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=word):
        open_sink(tmp_path / name, info=made_info())
    assert left_behind(tmp_path) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(SinkError, match="may not be written to"):
        open_sink(folder / "out.mp4", info=made_info())


@pytest.mark.parametrize(
    ("name", "encoding", "word"),
    [
        ("out.webm", {"codec": "libx264"}, r"cannot hold libx264.*libvpx-vp9"),
        ("out.mp4", {"codec": "libx246"}, "libx264"),
        ("out.mp4", {"codec": "aac"}, "does not encode video"),
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


@pytest.mark.parametrize(
    "encoding",
    [
        {"crf": 52},
        {"crf": -1},
        {"preset": "fastest"},
        {"codec": "ffv1", "crf": 3},
        {"codec": "ffv1", "preset": "fast"},
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


def test_an_error_of_the_caller_publishes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_sink(tmp_path / "out.mp4", info=made_info()) as sink:
        sink.write(made_frames(1)[0])
        raise RuntimeError
    assert left_behind(tmp_path) == []


def test_an_interrupt_publishes_what_there_is(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_sink(tmp_path / "out.mp4", info=made_info()) as sink,
    ):
        for frame in made_frames(5):
            sink.write(frame)
        raise KeyboardInterrupt
    assert len(decoded(tmp_path / "out.mp4")) == 5


def test_closing_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mp4", info=made_info())
    sink.close()
    sink.close()
    sink.abort()
    assert left_behind(tmp_path) == []
    assert "No frame came" in sink.notes[0]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 96, 3), np.uint8)
    frames = [Frame(data, i * 3600, TIME_BASE, 3600) for i, data in enumerate(noise)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(SinkError, match="larger than is allowed"):
            write_made(tmp_path / "out.mp4", frames, crf=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert left_behind(tmp_path) == []


def test_the_advice_for_a_full_disk_is_to_free_some() -> None:
    from stream.media.publishing import sink_errors

    with (
        pytest.raises(SinkError, match="free some space"),
        sink_errors(Path("out.mp4")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from clips import made_frames, made_info
from stream.sink import VideoEncoding, open_sink
sink = open_sink({target!r}, info=made_info(), encoding=VideoEncoding(preset="ultrafast"))
for frame in made_frames(200):
    sink.write(frame)
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_what_was_written_before_a_kill_can_be_played(tmp_path: Path, suffix: str) -> None:
    tests = Path(__file__).parent
    script = KILLED.format(tests=str(tests), target=str(tmp_path / f"out{suffix}"))
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tests.parent,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".out.")
    assert part.suffix == suffix
    assert len(decoded(part)) >= 100  # two seconds between key frames, and what x264 holds


def test_sink_takes_no_frame_after_closing(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "out.mp4", info=made_info())
    sink.write(made_frames(1)[0])
    sink.close()
    with pytest.raises(ValueError, match="is closed"):
        sink.write(made_frames(1)[0])


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
