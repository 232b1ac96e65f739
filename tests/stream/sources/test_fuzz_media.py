"""Damaged files: whatever was cut off or flipped, reading ends, with a sentence at worst."""

import itertools
import random
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import pytest
from clips import Clip, copy_through, decoded, stream_hash, write_clip

from stream.errors import SourceError, StreamError
from stream.sources import open_source

CUTS = 40
FLIPS = 60
FRAMES = 24
CLIP = Clip(pts=range(0, FRAMES * 3600, 3600), audio="aac")
FAST_START = {"movflags": "faststart"}
STEADY = {"pts": range(FRAMES), "time_base": Fraction(1, 25), "last_duration": 1}
KINDS = {
    "whole.mp4": CLIP,
    "faststart.mp4": Clip(pts=CLIP.pts, audio="aac", muxer_options=FAST_START),
    "whole.mkv": CLIP,
    "whole.ts": CLIP,
    "mpeg2.mpg": Clip(**STEADY, codec="mpeg2video", options={"g": "6"}),
    "vp9.webm": Clip(pts=CLIP.pts, codec="libvpx-vp9", options={"cpu-used": "8", "b": "200k"}),
}


@cache
def whole(kind: str, folder: Path) -> bytes:
    return write_clip(folder / kind, KINDS[kind]).read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


def read_all(path: Path) -> int:
    """How many frames came; 0 if the file was refused. Anything but a SourceError goes through."""
    try:
        with open_source(path) as source:
            frames = list(source)
    except SourceError as err:
        assert str(err).endswith(".")
        return 0
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert all(frame.duration and frame.duration > 0 for frame in frames)
    assert len({frame.size for frame in frames}) == 1
    return len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_gives_what_decodes(tmp_path: Path, folder: Path, kind: str) -> None:
    data = whole(kind, folder)
    counts = []
    for cut in range(CUTS):
        path = tmp_path / f"{cut}-{kind}"
        path.write_bytes(data[: len(data) * cut // CUTS])
        counts.append(read_all(path))
    assert max(counts) <= FRAMES
    if kind not in ("whole.mp4",):  # whose table of contents is at the end
        assert counts[-1] >= FRAMES // 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_wrong_bytes_anywhere_is_read_or_refused(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    random_bytes = random.Random(kind)
    for flip in range(FLIPS):
        data = bytearray(whole(kind, folder))
        start = random_bytes.randrange(len(data))
        length = random_bytes.choice([1, 1, 4, 64, 500])
        for position in range(start, min(len(data), start + length)):
            data[position] ^= random_bytes.randrange(1, 256)
        path = tmp_path / f"{flip}-{kind}"
        path.write_bytes(data)
        read_all(path)


@pytest.mark.parametrize("kind", ["faststart.mp4", "whole.mkv", "whole.ts"])
def test_a_damaged_file_goes_through_to_a_whole_one(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    random_bytes = random.Random(kind)
    for case in range(10):
        data = bytearray(whole(kind, folder))
        if case % 2:
            del data[len(data) * (case + 2) // 14 :]
        else:
            for _ in range(20):
                data[random_bytes.randrange(len(data))] ^= 0x55
        path, target = tmp_path / f"{case}-{kind}", tmp_path / f"{case}.mp4"
        path.write_bytes(data)
        try:
            copy_through(path, target)
        except StreamError:
            assert not target.exists()
        else:
            assert decoded(target)
        assert not list(tmp_path.glob(".*"))


def test_a_stream_that_turns_up_late_does_no_harm(tmp_path: Path) -> None:
    alone, both = tmp_path / "alone.ts", tmp_path / "both.ts"
    write_clip(alone, Clip(pts=range(0, 250 * 3600, 3600)))
    write_clip(both, Clip(pts=range(250 * 3600, 260 * 3600, 3600), audio="aac"))
    path = tmp_path / "in.ts"
    path.write_bytes(alone.read_bytes() + both.read_bytes() + alone.read_bytes() * 2)
    with av.open(str(path)) as container:
        assert len(container.streams) == 1
    copy_through(path, tmp_path / "out.mp4")
    assert len(decoded(tmp_path / "out.mp4")) == 250 * 3 + 10


def damage(path: Path, first: int, last: int) -> None:
    """Break the packets of these frames, counted in the order of the file."""
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        spans = [(packet.pos, packet.size) for packet in packets[first:last]]
    data = bytearray(path.read_bytes())
    for position, size in spans:
        assert position is not None
        data[position + 5 : position + size] = bytes(size - 5)
    path.write_bytes(data)


def test_damage_in_the_middle_is_reported_with_its_place(tmp_path: Path) -> None:
    clip = Clip(**STEADY, codec="mpeg4", options={"g": "1"})
    path = write_clip(tmp_path / "in.mp4", clip)
    damage(path, 10, 13)
    with open_source(path) as source:
        frames = list(source)
    assert len(frames) <= FRAMES
    (note,) = source.notes
    assert "damaged" in note
    assert "between 0.4" in note


def test_lost_frames_leave_the_others_at_their_times(tmp_path: Path) -> None:
    clip = Clip(pts=CLIP.pts, codec="mjpeg", pix_fmt="yuvj420p", options={})
    path = write_clip(tmp_path / "in.mp4", clip)
    damage(path, 10, 13)
    with open_source(path) as source:
        times = [frame.pts for frame in source]
    assert set(times) <= set(CLIP.pts)
    assert {*times} >= {*CLIP.pts[:10], *CLIP.pts[13:]}


def test_an_end_that_came_too_early_is_reported(tmp_path: Path) -> None:
    clip = Clip(pts=range(0, 60 * 3600, 3600), muxer_options=FAST_START)
    path = write_clip(tmp_path / "in.mp4", clip)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_source(path) as source:
        list(source)
    assert any("of the 2.40 s that its file promises" in note for note in source.notes)


def test_a_whole_file_is_not_called_damaged(tmp_path: Path) -> None:
    for number, clip in enumerate(KINDS.values()):
        with open_source(write_clip(tmp_path / f"{number}.mkv", clip)) as source:
            assert len(list(source)) == FRAMES
            assert source.notes == []


def test_sound_beside_damaged_pictures_is_still_copied(tmp_path: Path, folder: Path) -> None:
    whole("whole.mkv", folder)
    path = tmp_path / "in.mp4"
    write_clip(path, CLIP)
    before = stream_hash(path, "audio")
    damage(path, 8, 12)
    copy_through(path, tmp_path / "out.mp4")
    assert stream_hash(tmp_path / "out.mp4", "audio") == before
