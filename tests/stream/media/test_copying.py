"""StreamCopier: what lies beside the pictures arrives bit for bit, or is reported."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clips import (
    CHAPTERS,
    Clip,
    copy_through,
    packet_times,
    quadrants,
    stream_hash,
    vfr_pts,
    write_clip,
    write_subtitles,
)


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """An mkv with sound, subtitles, a font, chapters and tags."""
    clip = Clip(
        audio="aac",
        subtitles=write_subtitles(tmp_path / "in.srt"),
        attachment=bytes(range(256)) * 20,
        metadata={"title": "Hafen", "artist": "Åse", "comment": "ein Versuch"},
        chapters=True,
    )
    return write_clip(tmp_path / "in.mkv", clip)


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_is_copied_bit_for_bit(tmp_path: Path, layout: str, suffix: str) -> None:
    source = write_clip(tmp_path / f"in{suffix}", Clip(audio="aac", layout=layout))
    copy_through(source, tmp_path / f"out{suffix}")
    assert stream_hash(tmp_path / f"out{suffix}", "audio") == stream_hash(source, "audio")


def test_sound_is_copied_bit_for_bit_between_containers(tmp_path: Path, rich: Path) -> None:
    copy_through(rich, tmp_path / "out.mp4")
    assert stream_hash(tmp_path / "out.mp4", "audio") == stream_hash(rich, "audio")


def test_subtitles_are_copied_bit_for_bit(tmp_path: Path, rich: Path) -> None:
    copy_through(rich, tmp_path / "out.mkv")
    assert stream_hash(tmp_path / "out.mkv", "subtitle") == stream_hash(rich, "subtitle")
    assert packet_times(tmp_path / "out.mkv", "subtitle") == packet_times(rich, "subtitle")


def test_attachments_are_copied_bit_for_bit(tmp_path: Path, rich: Path) -> None:
    copy_through(rich, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        (font,) = container.streams.attachments
        assert font.data == bytes(range(256)) * 20
        assert font.metadata["filename"] == "font.ttf"


def test_chapters_are_kept(tmp_path: Path, rich: Path) -> None:
    for name in ("out.mkv", "out.mp4"):
        copy_through(rich, tmp_path / name)
        with av.open(str(tmp_path / name)) as container:
            found = [
                (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
                for c in container.chapters()
            ]
        assert found == [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in CHAPTERS
        ]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_tags_are_kept(tmp_path: Path, rich: Path, suffix: str) -> None:
    copy_through(rich, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert (tags["title"], tags["artist"], tags["comment"]) == ("Hafen", "Åse", "ein Versuch")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_languages_are_kept(tmp_path: Path, rich: Path, suffix: str) -> None:
    copy_through(rich, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.audio[0].language == "fra"


def test_tags_in_an_old_encoding_do_no_harm(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(metadata={"title": "caf??"}))
    source.write_bytes(source.read_bytes().replace(b"caf??", b"caf\xe9\xe8"))
    copy_through(source, tmp_path / "out.mkv")
    assert b"caf\xe9\xe8" in (tmp_path / "out.mkv").read_bytes()


def test_dispositions_are_kept(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", Clip(audio="aac"))
    with av.open(str(source)) as before, av.open(str(tmp_path / "forced.mkv"), "w") as output:
        copies = {s.index: output.add_stream_from_template(s, opaque=True) for s in before.streams}
        copies[1].disposition = av.stream.Disposition.hearing_impaired
        for packet in before.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    copy_through(tmp_path / "forced.mkv", tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        disposition = container.streams.audio[0].disposition
    assert disposition & av.stream.Disposition.hearing_impaired


@pytest.mark.parametrize(
    ("source", "target"),
    [("in.mp4", "out.mp4"), ("in.mkv", "out.mkv"), ("in.ts", "out.mp4"), ("in.mkv", "out.mp4")],
)
@pytest.mark.parametrize("late_s", [0.0, 0.256])
def test_sound_stays_in_step_with_the_pictures(
    tmp_path: Path, source: str, target: str, late_s: float
) -> None:
    clip = Clip(pts=vfr_pts(), audio="aac", late_audio_s=late_s)
    write_clip(tmp_path / source, clip)
    copy_through(tmp_path / source, tmp_path / target)
    before, after = (
        packet_times(path, "audio")[3][0] - packet_times(path, "video")[3][0]
        for path in (tmp_path / source, tmp_path / target)
    )
    tolerance = 0 if source == target == "out.mp4" else Fraction(1, 1000)
    assert abs(before - after) <= tolerance


def test_sound_that_is_longer_than_the_video_is_copied_whole(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(audio="aac"))
    longer = tmp_path / "longer.mkv"
    with av.open(str(source)) as before, av.open(str(longer), "w") as output:
        copies = {s.index: output.add_stream_from_template(s, opaque=True) for s in before.streams}
        for packet in before.demux():
            if packet.size and not (packet.stream_index == 0 and packet.pts >= 36000):
                packet.stream = copies[packet.stream_index]
                output.mux(packet)
    copy_through(longer, tmp_path / "out.mkv")
    assert stream_hash(tmp_path / "out.mkv", "audio") == stream_hash(longer, "audio")


def test_sound_ends_with_the_pictures_when_they_were_cut_short(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(pts=range(0, 180000, 3600), audio="aac"))
    copy_through(source, tmp_path / "out.mp4", stop_after=20)
    last, length = packet_times(tmp_path / "out.mp4", "audio")[-1]
    assert 0.75 < float(last + length) < 0.83
    assert len(packet_times(tmp_path / "out.mp4")) == 20


def test_what_the_container_cannot_hold_is_reported(tmp_path: Path, rich: Path) -> None:
    notes = copy_through(rich, tmp_path / "out.mp4")
    assert any("subtitle #2" in note and "to mov_text" in note for note in notes)
    assert any("attachment" in note and "not copied" in note for note in notes)


def test_what_was_copied_is_reported(tmp_path: Path, rich: Path) -> None:
    notes = copy_through(rich, tmp_path / "out.mkv")
    assert any("audio #1 (aac, fra)" in note and "bit for bit" in note for note in notes)


def test_text_of_mp4_is_converted_where_matroska_cannot_hold_it(tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 96, 64
        text = output.add_stream("mov_text")
        text.codec_context.subtitle_header = b"[Script Info]\n"
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(quadrants())
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        packet = av.Packet(b"\x00\x05Hallo")
        packet.stream, packet.pts, packet.dts, packet.duration = text, 0, 0, 100
        packet.time_base = Fraction(1, 1000)
        output.mux(packet)
        output.mux(video.encode(None))
    notes = copy_through(source, tmp_path / "out.mkv")
    assert any("subtitle #1 (mov_text) to srt" in note for note in notes)
    with av.open(str(tmp_path / "out.mkv")) as container:
        (text,) = [bytes(packet) for packet in container.demux(subtitles=0) if packet.size]
    assert b">Hallo<" in text  # in the font that the MP4 names
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        texts = [bytes(packet) for packet in container.demux(subtitles=0) if packet.size > 2]
    assert texts == [b"\x00\x05Hallo"]  # the muxer ends each line by an empty one of two bytes


def test_a_time_code_is_written_anew(tmp_path: Path) -> None:
    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 96, 64
        video.metadata["timecode"] = "01:02:03:04"
        for _ in range(5):
            output.mux(video.encode(av.VideoFrame.from_ndarray(quadrants())))
        output.mux(video.encode(None))
    notes = copy_through(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:02:03:04"
    assert not any("not copied" in note for note in notes)


def with_cover(path: Path) -> Path:
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 96, 64
        cover = output.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(quadrants((64, 48)))))
        output.mux(cover.encode(None))
        for _ in range(5):
            output.mux(video.encode(av.VideoFrame.from_ndarray(quadrants())))
        output.mux(video.encode(None))
    return path


def test_a_cover_picture_is_copied_into_matroska(tmp_path: Path) -> None:
    source = with_cover(tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.mkv")
    copy_through(tmp_path / "out.mkv", tmp_path / "again.mkv")
    with av.open(str(tmp_path / "again.mkv")) as container:
        assert [
            bool(stream.disposition & av.stream.Disposition.attached_pic)
            for stream in container.streams.video
        ] == [False, True]
    assert stream_hash(tmp_path / "again.mkv", "video", 1) == stream_hash(source, "video", 1)


def test_a_cover_picture_is_copied_into_mp4(tmp_path: Path) -> None:
    source = with_cover(tmp_path / "in.mp4")
    copy_through(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [
            bool(stream.disposition & av.stream.Disposition.attached_pic)
            for stream in container.streams.video
        ] == [False, True]
    assert stream_hash(tmp_path / "out.mp4", "video", 1) == stream_hash(source, "video", 1)


@pytest.mark.parametrize("suffix", [".mov", ".webm"])
def test_a_cover_picture_that_the_container_cannot_hold_is_reported(
    tmp_path: Path, suffix: str
) -> None:
    notes = copy_through(with_cover(tmp_path / "in.mp4"), tmp_path / f"out{suffix}")
    assert any("video #1 (mjpeg)" in note and "not copied" in note for note in notes)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert len(container.streams) == 1


def test_memory_holds_only_what_is_due(tmp_path: Path) -> None:
    """The copier never runs ahead of the pictures by more than it must."""
    from stream.media.copying import StreamCopier

    source = write_clip(tmp_path / "in.mp4", Clip(pts=range(0, 360000, 3600), audio="aac"))
    with av.open(str(tmp_path / "out.mkv"), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 96, 64
        copier = StreamCopier(source, output, video, Fraction(0), [])
        copier.advance(Fraction(1))
        video.encode(av.VideoFrame.from_ndarray(quadrants()))
        copier.close()
    last, _ = packet_times(tmp_path / "out.mkv", "audio")[-1]
    assert 0.9 < float(last) <= 1.05


def test_sound_of_recordings_in_a_row_goes_on_with_the_pictures(tmp_path: Path) -> None:
    one = write_clip(tmp_path / "a.ts", Clip(audio="aac"))
    row = tmp_path / "row.ts"
    row.write_bytes(one.read_bytes() * 3)
    copy_through(row, tmp_path / "out.mkv")
    times = [float(pts) for pts, _ in packet_times(tmp_path / "out.mkv", "audio")]
    assert len(times) == 3 * len(packet_times(one, "audio"))
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert max(steps) < 0.05
    assert times[-1] - times[0] == pytest.approx(3 * 0.8, abs=0.15)


def test_sound_does_not_drift_from_the_pictures_over_many_recordings(tmp_path: Path) -> None:
    """Each recording's sound is 24 ms longer than its pictures."""
    one = write_clip(tmp_path / "a.ts", Clip(pts=range(0, 25 * 3600, 3600), audio="aac"))
    row = tmp_path / "row.ts"
    row.write_bytes(one.read_bytes() * 10)
    copy_through(row, tmp_path / "out.mkv")
    sound, video = (packet_times(tmp_path / "out.mkv", kind) for kind in ("audio", "video"))
    assert (len(video), len(sound)) == (250, 10 * len(packet_times(one, "audio")))
    drift_s = (video[225][0] - video[0][0]) - (sound[len(sound) // 10 * 9][0] - sound[0][0])
    assert abs(drift_s) < 0.04


def test_titles_are_those_of_the_video_that_is_painted(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, (name, side) in zip(streams, [("Preview", 32), ("Main", 64)], strict=True):
            stream.width = stream.height = side
            stream.metadata["title"] = name
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(quadrants((stream.width, stream.height)))
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    copy_through(path, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.video[0].metadata["title"] == "Main"
