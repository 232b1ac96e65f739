"""Time: what is shown when. Edit lists, joined recordings, clocks that jump, uneven pictures and
long last ones; sound keeps to its pictures in every container.
"""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import Clip, packet_times, write_clip
from edit_lists import EMPTY, with_edits
from signals import SIZE, Presented, Signal, carry, reference, write_signal

IN_STEP_S = 0.04
FRAME_S = 0.04
CONTAINERS = [".mp4", ".mkv", ".mov", ".webm"]


def same_moments(ours: Presented, theirs: Presented, tolerance_s: float = IN_STEP_S) -> None:
    assert len(ours.flashes_s) == len(theirs.flashes_s)
    assert len(ours.beeps_s) == len(theirs.beeps_s)
    shift_s = ours.flashes_s[0] - theirs.flashes_s[0]
    assert abs(shift_s) < 0.1  # Matroska's zero is that of the sound's first sample
    for our, their in (
        (ours.flashes_s, theirs.flashes_s),
        (ours.beeps_s, theirs.beeps_s),
    ):
        assert np.abs(np.array(our) - np.array(their) - shift_s).max() <= tolerance_s
    assert abs(ours.end_s - theirs.end_s) <= FRAME_S + 1e-3


@pytest.fixture(scope="module")
def signal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds, with B-frames and a key frame every three seconds."""
    path = tmp_path_factory.mktemp("signal") / "in.mp4"
    return write_signal(path, Signal(seconds=6, b_frames=2, key_every=75))


EDITS = {
    "two parts": {0: [(2, 0.08), (2, 3.08)], 1: [(2, 0.0213), (2, 3.0213)]},
    "a part that is repeated": {0: [(1.5, 0.08), (1.5, 0.08)], 1: [(1.5, 0.0213), (1.5, 0.0213)]},
    "parts in another order": {0: [(2, 3.08), (2, 0.08)], 1: [(2, 3.0213), (2, 0.0213)]},
    "a begin inside of a group of pictures": {0: [(3, 1.08)], 1: [(3, 1.0213)]},
    "a late begin": {0: [(0.5, EMPTY), (3, 0.08)], 1: [(0.5, EMPTY), (3, 0.0213)]},
    "sound that begins later": {0: [(4, 0.08)], 1: [(0.4, EMPTY), (3.6, 0.4213)]},
    "an end before the file's": {0: [(2.6, 0.08)], 1: [(2.6, 0.0213)]},
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_edit_lists_are_obeyed(
    tmp_path: Path, signal: Path, edits: dict[int, list[tuple[float, float]]], suffix: str
) -> None:
    source = with_edits(signal, tmp_path / "in.mp4", edits)
    ours = carry(source, tmp_path / f"out{suffix}")
    same_moments(ours.presented(), reference(source, tmp_path))
    assert not ours.damaged


def test_the_pictures_of_two_parts_flash_when_they_should(tmp_path: Path, signal: Path) -> None:
    source = with_edits(signal, tmp_path / "in.mp4", EDITS["two parts"])
    ours = carry(source, tmp_path / "out.mp4").presented()
    assert ours.flashes_s == pytest.approx([0.4, 1.4, 2.4, 3.4], abs=0.081)
    assert np.abs(ours.offsets_s()).max() <= 0.081  # as FFmpeg has it: whole pictures and packets


def test_sound_that_is_cut_up_is_encoded_anew_and_that_is_said(
    tmp_path: Path, signal: Path
) -> None:
    source = with_edits(signal, tmp_path / "in.mp4", EDITS["two parts"])
    notes = carry(source, tmp_path / "out.mp4").notes
    assert any("audio #1 (aac) to aac" in note and "edit list" in note for note in notes)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_hidden_sound_stays_hidden(tmp_path: Path, signal: Path, suffix: str) -> None:
    """An edit that begins at 2.9 s: a player decodes what comes before, and plays none of it."""
    edits = {0: [(2, 2.98)], 1: [(2, 2.9213)]}
    source = with_edits(signal, tmp_path / "in.mp4", edits)
    carry(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert 2 * 48_000 - 1024 <= heard <= 2 * 48_000 + 2048


def joined(path: Path, *signals: Signal) -> Path:
    """Recordings of their own, one after the other in one file."""
    parts = [
        write_signal(path.with_name(f"{index}{path.suffix}"), signal)
        for index, signal in enumerate(signals)
    ]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


JOINS = {
    "back to zero": (Signal(2, b_frames=2), Signal(2, b_frames=2)),
    "back by less than a picture": (
        Signal(1, b_frames=2, sound_rate=44_100),
        Signal(2, b_frames=2, sound_rate=44_100, begin_s=0.97),
    ),
    "back by half a second": (Signal(2), Signal(2, begin_s=1.5)),
    "forward by a quarter of an hour": (Signal(2, b_frames=2), Signal(2, begin_s=900)),
    "forward, then back": (Signal(1), Signal(1, begin_s=500), Signal(2, begin_s=3)),
    "three of a second": (Signal(1, b_frames=2), Signal(1), Signal(1, b_frames=2)),
    "pictures of another rate": (Signal(2, rate=25), Signal(2, rate=50)),
    "uneven pictures": (Signal(2, uneven=1, b_frames=2), Signal(2, uneven=2, begin_s=7000)),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("signals", JOINS.values(), ids=JOINS)
def test_recordings_in_a_row_keep_their_sound_in_step(
    tmp_path: Path, signals: tuple[Signal, ...], suffix: str
) -> None:
    source = joined(tmp_path / "in.ts", *signals)
    ours = carry(source, tmp_path / f"out{suffix}")
    shown = ours.presented()
    expected = sum(round(one.seconds) for one in signals)
    assert len(shown.flashes_s) == len(shown.beeps_s) == expected
    assert np.abs(shown.offsets_s()).max() <= IN_STEP_S + 0.5 / min(one.rate for one in signals)
    length_s = sum(one.seconds for one in signals)
    assert shown.end_s == pytest.approx(length_s, abs=0.12 * len(signals))
    assert any("jumped" in note for note in ours.notes)
    assert not ours.damaged


def test_programme_streams_can_be_joined_too(tmp_path: Path) -> None:
    one = Signal(2, sound="mp2")
    source = joined(tmp_path / "in.mpg", one, one)
    shown = carry(source, tmp_path / "out.mkv").presented()
    assert len(shown.flashes_s) == len(shown.beeps_s) == 4
    assert np.abs(shown.offsets_s()).max() <= IN_STEP_S + 0.02
    assert shown.end_s == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_matroska_files_can_be_joined_too(tmp_path: Path, b_frames: int, is_live: bool) -> None:
    """As a browser's recorder does that is stopped and started: each begins at zero again."""
    options = {"live": "1"} if is_live else {}
    one = write_signal(tmp_path / "one.mkv", Signal(2, b_frames=b_frames), options=options)
    count = 3 if is_live else 2
    (tmp_path / "in.mkv").write_bytes(one.read_bytes() * count)
    ours = carry(tmp_path / "in.mkv", tmp_path / "out.mp4")
    shown = ours.presented()
    assert shown.pictures == 50 * count
    assert len(shown.flashes_s) == len(shown.beeps_s) == 2 * count
    assert np.abs(shown.offsets_s()).max() <= IN_STEP_S
    assert shown.end_s == pytest.approx(2 * count, abs=0.15)
    assert any("jumped" in note for note in ours.notes)
    assert not ours.damaged


def test_of_three_matroska_files_ffmpeg_reads_two_and_that_is_said(tmp_path: Path) -> None:
    one = write_signal(tmp_path / "one.mkv", Signal(1))
    (tmp_path / "in.mkv").write_bytes(one.read_bytes() * 3)
    ours = carry(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert ours.presented().pictures == 50
    assert any("several recordings" in loss for loss in ours.losses)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".flv"])
def test_where_only_the_first_of_joined_recordings_plays_that_is_said(
    tmp_path: Path, suffix: str
) -> None:
    one = write_signal(tmp_path / f"one{suffix}", Signal(1, sound_rate=44_100))
    path = tmp_path / f"in{suffix}"
    path.write_bytes(one.read_bytes() * 2)
    ours = carry(path, tmp_path / "out.mp4")
    assert ours.presented().pictures == 25
    assert any("several recordings" in loss for loss in ours.losses)
    assert not carry(one, tmp_path / "whole.mp4").losses


def playlist(folder: Path, *signals: Signal) -> Path:
    """Segments with a discontinuity between each two."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:3"]
    for index, signal in enumerate(signals):
        write_signal(folder / f"{index}.ts", signal)
        lines += ["#EXT-X-DISCONTINUITY"] if index else []
        lines += [f"#EXTINF:{signal.seconds},", f"{index}.ts"]
    path = folder / "list.m3u8"
    path.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return path


def test_a_discontinuity_of_a_playlist_is_no_frozen_picture(tmp_path: Path) -> None:
    source = playlist(tmp_path, Signal(3, b_frames=2), Signal(3, b_frames=2, begin_s=700))
    ours = carry(source, tmp_path / "out.mp4")
    shown = ours.presented()
    assert shown.end_s == pytest.approx(6, abs=0.15)
    assert np.abs(shown.offsets_s()).max() <= IN_STEP_S
    assert any("jumped" in note for note in ours.notes)


def test_a_clock_that_wraps_goes_on(tmp_path: Path) -> None:
    """Transport streams count 33 bits of 90 kHz: this one starts anew after a second."""
    wrap_s = 2**33 / 90_000
    source = write_signal(tmp_path / "in.ts", Signal(3, b_frames=2, begin_s=wrap_s - 1 - 1.4))
    ours = carry(source, tmp_path / "out.mp4")
    shown = ours.presented()
    assert shown.end_s == pytest.approx(3, abs=0.05)
    assert len(shown.flashes_s) == 3 and np.abs(shown.offsets_s()).max() <= IN_STEP_S
    assert not ours.damaged


def test_a_long_still_is_no_jump(tmp_path: Path) -> None:
    clip = Clip(pts=[0, 3600, 7200, 40 * 90_000, 40 * 90_000 + 3600])
    for suffix in (".mp4", ".mkv"):
        source = write_clip(tmp_path / f"in{suffix}", clip)
        ours = carry(source, tmp_path / f"out{suffix}").presented()
        assert ours.end_s == pytest.approx(40.08, abs=0.041)


def test_pictures_that_pause_while_the_sound_goes_on_are_no_jump(tmp_path: Path) -> None:
    """A transport stream of radio with a slide every twelve seconds."""
    path = tmp_path / "in.ts"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"bf": "0", "g": "1"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        audio = output.add_stream("aac", rate=48_000)
        audio.layout = "mono"
        for second in range(26):
            if second % 12 == 0:
                picture = av.VideoFrame.from_ndarray(np.full((*SIZE[::-1], 3), 90, np.uint8))
                picture.pts, picture.time_base = second * 90_000, Fraction(1, 90_000)
                output.mux(video.encode(picture))
            tone = np.zeros((1, 48_000), np.float32)
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = (
                48_000,
                second * 48_000,
                Fraction(1, 48_000),
            )
            output.mux(audio.encode(frame))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    ours = carry(path, tmp_path / "out.mkv")
    times = [float(pts) for pts, _ in packet_times(tmp_path / "out.mkv")]
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([12, 12], abs=0.01)
    sound = packet_times(tmp_path / "out.mkv", "audio")
    assert float(sound[-1][0]) == pytest.approx(26, abs=0.1)
    assert not any("jumped" in note for note in ours.notes)


def test_a_wild_time_stamp_among_good_ones_moves_nothing_else(tmp_path: Path) -> None:
    source = write_signal(tmp_path / "good.ts", Signal(3))
    broken = bytearray(source.read_bytes())
    starts = [at for at in range(0, len(broken), 188) if broken[at + 1] & 0x40]
    video_starts = [at for at in starts if broken.find(b"\0\0\1\xe0", at, at + 188) >= 0]
    at = broken.find(b"\0\0\1\xe0", video_starts[30])
    assert broken[at + 7] & 0x80
    broken[at + 9] ^= 0x08  # the highest bit of the 33: half a day later
    (tmp_path / "in.ts").write_bytes(bytes(broken))
    shown = carry(tmp_path / "in.ts", tmp_path / "out.mkv").presented()
    assert shown.end_s == pytest.approx(3, abs=0.1)
    assert np.abs(shown.offsets_s()).max() <= IN_STEP_S
