"""Structure: what is whole is never called damaged, and a piece that is gone is missed."""

import subprocess
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from clips import Clip, write_clip
from damaged import FRAMES, MPEG2, STEADY
from signals import carry

from stream.sources import open_source
from stream.sources.structure import ASF_DATA, ASF_DATA_HEAD, ASF_FILE, has_hole

HEALTHY = {
    "cues in front": ("a.mkv", "-c:v copy -c:a copy -cues_to_front 1"),
    "small clusters": ("a.mkv", "-c:v copy -c:a copy -cluster_size_limit 2000 -write_crc32 1"),
    "live": ("a.mkv", "-c:v copy -c:a copy -live 1"),
    "captions": ("a.mkv", "-i {captions} -map 0 -map 1 -c:v copy -c:a copy -c:s srt"),
    "webm": ("a.webm", "-c:v libvpx -c:a libopus -g 5"),
    "avi": ("a.avi", "-c:v mpeg4 -c:a pcm_s16le"),
    "avi of two sounds": ("a.avi", "-map 0 -map 0:a -c:v mjpeg -c:a mp3"),
    "wmv": ("a.wmv", "-c:v wmv2 -c:a wmav2"),
    "wmv of large pictures": ("a.wmv", "-c:v wmv2 -c:a wmav2 -s 640x480 -q:v 1 -packet_size 800"),
    "ogg": ("a.ogv", "-c:v libtheora -c:a libopus"),
    "ogg of small pages": ("a.ogv", "-c:v libtheora -c:a libvorbis -page_duration 40000"),
    "nut": ("a.nut", "-c:v mpeg4 -c:a pcm_s16le -g 3"),
    "mov": ("a.mov", "-c:v copy -c:a pcm_s24le -movflags faststart"),
    "dash": ("a.mp4", "-c:v copy -c:a copy -movflags dash+frag_keyframe"),
    "cmaf": ("a.mp4", "-c:v copy -c:a copy -movflags cmaf+frag_keyframe+separate_moof"),
    "cut": ("a.mp4", "-ss 0.3 -c:v copy -c:a copy"),
    "variable": ("a.mp4", "-vf select=not(between(n\\,5\\,9)) -fps_mode vfr -c:v libx264"),
    "mxf": ("a.mxf", "-c:v mpeg2video -c:a pcm_s16le -ar 48000"),
    "ts": ("a.ts", "-vf select=not(between(n\\,5\\,9)) -fps_mode vfr -c:v libx264 -c:a aac"),
}
CAPTIONS = "1\n00:00:00,100 --> 00:00:00,400\nOne\n\n2\n00:00:00,500 --> 00:00:00,700\nTwo\n"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "captions.srt").write_text(CAPTIONS)
    clip = replace(STEADY, audio="aac", options={"g": "6", "bf": "2", "preset": "ultrafast"})
    return write_clip(folder / "plain.mkv", clip)


def made(plain: Path, path: Path, options: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(plain)]
    captions = str(plain.parent / "captions.srt")
    words = [word.replace("{captions}", captions) for word in options.split()]
    subprocess.run([*command, *words, str(path)], check=True)
    return path


@pytest.mark.parametrize("kind", HEALTHY)
def test_what_is_whole_is_not_called_damaged(tmp_path: Path, plain: Path, kind: str) -> None:
    name, options = HEALTHY[kind]
    path = made(plain, tmp_path / name, options)
    with av.open(str(path)) as container:
        assert not has_hole(path, container.format.name)
    with open_source(path) as source:
        list(source)
    assert source.losses == []
    assert carry(path, tmp_path / "out.mkv").losses == []


def without(path: Path, at: int, count: int) -> Path:
    """The same file without these bytes."""
    data = bytearray(path.read_bytes())
    del data[at : at + count]
    path.write_bytes(data)
    return path


def losses(path: Path) -> list[str]:
    with open_source(path) as source:
        list(source)
    return list(source.losses)


def test_a_packet_of_wmv_that_is_gone_is_missed(tmp_path: Path, plain: Path) -> None:
    """Whole ones follow each other, so that only the numbers in them tell."""
    options = "-c:v wmv2 -c:a wmav2 -s 640x480 -q:v 1 -packet_size 800"
    path = made(plain, tmp_path / "a.wmv", options)
    packets = path.read_bytes().index(ASF_DATA) + ASF_DATA_HEAD
    data = bytearray(without(path, packets + 8 * 800, 800).read_bytes())
    size = data.index(ASF_FILE) + 40
    data[size : size + 8] = len(data).to_bytes(8, "little")
    path.write_bytes(data)
    assert "cannot be found" in " ".join(losses(path))


def test_a_page_of_ogg_that_is_gone_is_missed(tmp_path: Path, plain: Path) -> None:
    options = "-c:v libtheora -c:a libvorbis -page_duration 40000"
    path = made(plain, tmp_path / "a.ogv", options)
    data = path.read_bytes()
    pages = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    without(path, pages[-6], pages[-5] - pages[-6])
    assert "cannot be found" in " ".join(losses(path))


@pytest.mark.parametrize("kind", ["small clusters", "webm", "captions"])
def test_a_block_of_matroska_that_is_none_is_missed(tmp_path: Path, plain: Path, kind: str) -> None:
    """Its length is as it was, so that all others are found."""
    name, options = HEALTHY[kind]
    path = made(plain, tmp_path / name, options)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        at = data.index(bytes(packets[9]))
    block = data.rindex(b"\xa3", at - 16, at)
    data[block] = 0xEF
    path.write_bytes(data)
    assert any("cannot be found" in loss for loss in losses(path))


def test_an_index_that_lists_fewer_pictures_is_missed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", STEADY)
    data = path.read_bytes()
    table = data.index(b"stts") + 8
    changed = data[: table + 4] + (20).to_bytes(4) + data[table + 8 :]
    path.write_bytes(changed)
    assert any("cannot be found" in loss for loss in losses(path))


TS_PACKET = 188


def ts_packets(path: Path, pid: int) -> list[int]:
    """Where the packets of one stream lie."""
    data = path.read_bytes()
    starts = range(0, len(data), TS_PACKET)
    return [at for at in starts if int.from_bytes(data[at + 1 : at + 3]) & 0x1FFF == pid]


@pytest.mark.parametrize("clip", [replace(MPEG2, options={"g": "1"}), MPEG2, STEADY])
def test_pictures_that_are_gone_are_missed_in_a_transport_stream(
    tmp_path: Path, clip: Clip
) -> None:
    path = write_clip(tmp_path / "a.ts", clip)
    data = path.read_bytes()
    begins = [at for at in ts_packets(path, 0x100) if data[at + 1] & 0x40]  # of the pictures
    without(path, begins[9], begins[11] - begins[9])
    (loss,) = losses(path)
    assert "frames lost: 2" in loss
    path.write_bytes(data[: begins[9]] + data[begins[9] + TS_PACKET :])
    assert losses(path)  # of the piece of a picture, or of a whole one


def test_uneven_pictures_of_a_transport_stream_are_not_missed(tmp_path: Path) -> None:
    uneven = [index for index in range(75) if index < 20 or index % 7 == 0]
    path = write_clip(tmp_path / "a.ts", replace(STEADY, pts=uneven, audio="aac"))
    assert losses(path) == []


@pytest.mark.parametrize("gap", [0, 25])
def test_segments_that_count_anew_are_not_missed(tmp_path: Path, gap: int) -> None:
    """As packagers of HLS write them: one clock, but each segment's counters are its own."""
    parts = []
    for number in range(8):
        begin = number * (FRAMES + gap)
        clip = replace(STEADY, pts=range(begin, begin + FRAMES), audio="aac")
        muxing = {"mpegts_copyts": "1"}
        path = write_clip(tmp_path / "part.ts", replace(clip, muxer_options=muxing))
        parts.append(path.read_bytes())
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    assert losses(path) == []


def test_sound_that_is_gone_is_missed_in_a_transport_stream(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", replace(STEADY, pts=range(75), audio="aac"))
    sound = ts_packets(path, 0x101)
    for at in reversed(sound[len(sound) // 3 : len(sound) // 3 + 8]):
        without(path, at, TS_PACKET)
    carried = carry(path, tmp_path / "out.mp4")
    assert any("has holes; packets lost" in loss for loss in carried.losses)


@pytest.mark.parametrize("first", ["h264", "mpeg2video", "mpeg1video", "mpeg4"])
def test_no_picture_is_lost_where_the_size_changes(tmp_path: Path, first: str) -> None:
    """MPEG-2's decoder holds one back, and would drop it."""
    options = {"g": "6"} if first != "h264" else {"preset": "ultrafast"}
    clip = replace(STEADY, codec=first, options=options)
    parts = []
    for number, size in enumerate([(64, 48), (48, 64), (64, 48)]):
        made_of = replace(clip, size=size)
        parts.append(write_clip(tmp_path / f"{number}.ts", made_of).read_bytes())
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    with open_source(path) as source:
        assert len(list(source)) == 72
    assert source.losses == []
    assert any("fitted into 64x48: 24" in note for note in source.notes)
