"""Rates and lengths: pictures that get rarer, long last ones, key frames by time, odd rates."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags
from clips import Clip, packet_times, write_clip
from signals import SIZE, carry, presented

from stream.sinks.stream_process import Publication, _Sender

CONTAINERS = [".mp4", ".mkv", ".mov", ".webm"]


def rarer(path: Path, b_frames: int) -> Path:
    """A screen recording: 30 pictures a second at first, then one every two seconds; 12 s."""
    times = [*range(0, 90_000, 3000), *range(180_000, 12 * 90_000, 180_000)]
    options = {"preset": "veryfast", "bf": str(b_frames)}
    clip = Clip(pts=times, last_duration=180_000, options=options, audio="aac")
    return write_clip(path, clip)


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("b_frames", [0, 3])
def test_pictures_that_get_rarer_last_as_long_as_before(
    tmp_path: Path, suffix: str, b_frames: int
) -> None:
    source = rarer(tmp_path / "in.mkv", b_frames)
    ours = carry(source, tmp_path / f"out{suffix}")
    with av.open(str(ours.path)) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(12, abs=0.035)
    before, after = ([float(pts) for pts, _ in packet_times(path)] for path in (source, ours.path))
    assert np.diff(after) == pytest.approx(np.diff(before), abs=0.002)
    assert not ours.damaged


@pytest.mark.parametrize("held_s", [0.83, 2.5])
def test_a_last_picture_that_is_held_is_no_loss(tmp_path: Path, held_s: float) -> None:
    last = round(held_s * 90_000)
    clip = Clip(pts=range(0, 90_000, 3000), last_duration=last, options={"bf": "0"})
    for suffix in (".mp4", ".mkv"):
        source = write_clip(tmp_path / f"in{suffix}", clip)
        ours = carry(source, tmp_path / f"out-of{suffix[1:]}.mp4")
        assert not ours.damaged, ours.notes
        if suffix == ".mp4":
            end_s = packet_times(ours.path)[-1]
            assert float(sum(end_s)) == pytest.approx(29 / 30 + held_s, abs=0.001)


def test_a_file_that_is_cut_off_is_still_a_loss(tmp_path: Path) -> None:
    """Its index is whole and promises more than there is."""
    options = {"movflags": "faststart"}
    clip = Clip(pts=range(0, 270_000, 3000), muxer_options=options, options={"bf": "0"})
    source = write_clip(tmp_path / "in.mp4", clip)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    ours = carry(source, tmp_path / "out.mp4")
    assert ours.damaged and ours.losses


@pytest.mark.parametrize("ends_ms", [400, 1500, 5000])
def test_no_caption_is_added_after_the_last_one(tmp_path: Path, ends_ms: int) -> None:
    text = f"1\n00:00:00,100 --> 00:00:0{ends_ms // 1000},{ends_ms % 1000:03}\nWort\n\n"
    (tmp_path / "in.srt").write_text(text)
    source = write_clip(tmp_path / "in.mkv", Clip(subtitles=tmp_path / "in.srt", audio="aac"))
    for suffix in (".mp4", ".mov"):
        ours = carry(source, tmp_path / f"out{suffix}")
        again = carry(ours.path, tmp_path / f"again{suffix}")
        for path in (ours.path, again.path):
            with av.open(str(path)) as container:
                assert container.duration is not None
                longest_s = max(0.84, ends_ms / 1000 + 0.02)
                assert container.duration / 1e6 <= longest_s + 0.05


@pytest.mark.parametrize(
    ("rate", "codec"),
    [(4, "libx264"), (25, "libx264"), (5, "libx265"), (5, "libsvtav1"), (5, "libvpx-vp9")],
)
def test_key_frames_come_by_time_whatever_rate_the_file_names(
    tmp_path: Path, rate: int, codec: str
) -> None:
    source = _camera(tmp_path / "in.mkv", rate)
    carry(source, tmp_path / "out.mkv", codec=codec, preset=_quick(codec), options={})
    with av.open(str(tmp_path / "out.mkv")) as container:
        keys = [
            float(packet.pts * packet.time_base)
            for packet in container.demux(video=0)
            if packet.size and packet.is_keyframe
        ]
    apart = [b - a for a, b in itertools.pairwise(keys)]
    assert keys[0] == pytest.approx(0, abs=0.05) and max(apart) <= 2 + 1 / rate


def _quick(codec: str) -> str | None:
    return {"libx264": "ultrafast", "libx265": "ultrafast", "libsvtav1": "12"}.get(codec)


def _camera(path: Path, rate: int) -> Path:
    """MJPEG of another rate than the 25 that it names."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 128, 128, "yuvj420p"
        video.codec_context.time_base = Fraction(1, 1000)
        video.codec_context.flags |= Flags.frame_duration
        for index in range(7 * rate):
            data = np.full((128, 128, 3), 40 + index % 100, np.uint8)
            picture = av.VideoFrame.from_ndarray(data, format="rgb24")
            picture.pts, picture.time_base = index * 1000 // rate, Fraction(1, 1000)
            picture.duration = 1000 // rate
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
    return path


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_raw_dv_keeps_its_rate(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "in.dv"
    with av.open(str(path), "w", format="dv") as output:
        video = output.add_stream("dvvideo", rate=25)
        video.width, video.height, video.pix_fmt = 720, 576, "yuv420p"
        audio = output.add_stream("pcm_s16le", rate=48_000)
        audio.layout = "stereo"
        for index in range(10):
            output.mux(
                video.encode(
                    av.VideoFrame.from_ndarray(np.full((576, 720, 3), 20 * index, np.uint8))
                )
            )
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 2 * 1920), np.int16), format="s16", layout="stereo"
            )
            frame.sample_rate = 48_000
            output.mux(audio.encode(frame))
    ours = carry(path, tmp_path / f"out{suffix}")
    shown = presented(ours.path)
    assert shown.pictures == 10 and shown.end_s == pytest.approx(0.4, abs=0.01)
    assert not ours.losses


def test_a_time_code_that_does_not_fit_the_rate_is_left_out(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(metadata={"timecode": "01:02:03;04"}))
    ours = carry(source, tmp_path / "out.mov")
    assert any("01:02:03;04" in loss for loss in ours.losses)
    assert presented(ours.path).pictures == 20


def test_key_frames_of_a_stream_that_goes_out_come_by_time_too(tmp_path: Path) -> None:
    """A camera of 4 pictures a second that names 25, to RTMP: its FLV, in a file."""
    publication = Publication("rtmp://x", "flv", SIZE, Fraction(25))
    ticks = Fraction(1, 1000)
    with av.open(str(tmp_path / "out.flv"), "w") as output:
        sender = _Sender(publication, output, 0, ticks)
        for index in range(28):
            data = np.full((SIZE[1], SIZE[0], 3), 40 + index, np.uint8)
            sender.send(data, index * 250, [])
        sender.finish()
    with av.open(str(tmp_path / "out.flv")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        keys = [float(one.pts * one.time_base) for one in packets if one.is_keyframe]
    assert max(b - a for a, b in itertools.pairwise(keys)) <= 2.25
