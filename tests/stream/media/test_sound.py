"""Sound: pieces and their places, drift and jumps, encoding without gaps, reading along."""

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from beeps import beeps_s, offsets_s, write_beeps
from clips import Clip, made_frames, made_info, write_clip

from stream.clock import ManualClock
from stream.errors import SourceError
from stream.live.fan_out import SOUND_BACKLOG, FanOut, Outlet
from stream.media.sound import HARD_S, SOUND_RATE, STRETCH, Sound, SoundClock, stretched
from stream.media.sound_encoding import SLACK_S, SoundTrack
from stream.sinks import open_sink
from stream.sources import open_source
from stream.sources.paced import PacedSource
from stream.sources.sound_decoding import FileSound, SoundDecoder, has_sound
from stream.stats import Stats
from stream.video_info import VideoInfo

PIECE = 1024
MS = SOUND_RATE // 1000


def piece(position: int = 0, count: int = PIECE, level: int = 1000) -> Sound:
    return Sound(np.full((count, 2), level, np.int16), position)


# Pieces


def test_a_piece_is_divided_at_a_position() -> None:
    sound = Sound(np.arange(20, dtype=np.int16).reshape(10, 2), 100)
    before, after = sound.before(104), sound.after(104)
    assert (before.position, before.end, after.position, after.end) == (100, 104, 104, 110)
    assert np.array_equal(np.concatenate([before.samples, after.samples]), sound.samples)
    assert sound.before(100) is None and sound.after(110) is None
    assert sound.before(110) is sound and sound.after(100) is sound


@pytest.mark.parametrize("direction", [1, -1])
def test_stretching_keeps_the_sound(direction: int) -> None:
    wave = np.sin(np.arange(PIECE) * 2 * np.pi * 440 / SOUND_RATE) * 10_000
    samples = np.stack([wave, wave], axis=1).astype(np.int16)
    longer = stretched(samples, direction)
    assert len(longer) - PIECE == direction * (PIECE // STRETCH)
    assert np.array_equal(longer[[0, -1]], samples[[0, -1]])
    assert np.abs(np.diff(longer[:, 0].astype(int))).max() < 620  # as smooth as it was: no click


# The clock


def test_nothing_is_placed_before_a_picture() -> None:
    assert SoundClock().place(piece()) is None


def test_sound_is_placed_by_the_pictures_of_its_clock() -> None:
    clock = SoundClock()
    clock.anchor(media_s=70.0, session_s=2.0)
    placed = clock.place(piece(70 * SOUND_RATE + 480))
    assert placed.position == 2 * SOUND_RATE + 480


def test_what_is_due_before_the_session_is_cut() -> None:
    clock = SoundClock()
    clock.anchor(10.0, 0.0)
    assert clock.place(piece(9 * SOUND_RATE)) is None
    assert clock.place(piece(10 * SOUND_RATE - 100)).position == 0


def run_clock(pictures: list[tuple[float, float]], rate: float = 1.0) -> tuple[list[Sound], float]:
    """Pieces end to end beside pictures at (media, session) times; and the last one's error.

    rate: seconds of the session's clock for one of the source's.
    """
    clock, placed, at = SoundClock(), [], 0
    for media_s, session_s in pictures:
        clock.anchor(media_s, session_s)
        while at < media_s * SOUND_RATE:
            placed.append(clock.place(piece(at)))
            at += PIECE
    wanted_s = (at - PIECE) / SOUND_RATE * rate
    return placed, placed[-1].position / SOUND_RATE - wanted_s


def gaps(placed: list[Sound]) -> int:
    return sum(one.end != other.position for one, other in pairwise(placed))


def test_jitter_of_pictures_makes_no_gap() -> None:
    jitter = np.random.default_rng(0).uniform(-0.02, 0.02, 2400)
    times = [(k / 24, k / 24 + late) for k, late in enumerate(jitter)]
    placed, error_s = run_clock(times[1:])
    assert gaps(placed) == 0
    assert abs(error_s) < 0.012


@pytest.mark.parametrize("ppm", [-300, 300])
def test_clocks_that_drift_are_followed_without_a_gap(ppm: int) -> None:
    """For ten minutes, in which they come apart by four frames."""
    rate = 1 + ppm / 1e6
    placed, error_s = run_clock([(k / 24, k / 24 * rate) for k in range(1, 600 * 24)], rate)
    assert gaps(placed) == 0
    assert abs(error_s) < 0.005


def test_a_source_that_comes_back_with_other_times_is_placed_anew() -> None:
    clock = SoundClock()
    clock.anchor(100.0, 1.0)
    clock.place(piece(100 * SOUND_RATE))
    clock.anchor(3.0, 9.0)
    assert clock.place(piece(3 * SOUND_RATE)).position == 9 * SOUND_RATE


def test_late_pictures_move_no_sound() -> None:
    """A busy machine reads a few pictures late, and then is in time again."""
    times = [(k / 24, k / 24 + (0.6 if k % 60 < 8 else 0.0)) for k in range(10, 480)]
    placed, error_s = run_clock(times)
    assert gaps(placed) == 0
    assert abs(error_s) < 0.001


def test_a_source_that_falls_behind_for_good_is_followed() -> None:
    times = [(k / 24, k / 24 + (0.6 if k > 100 else 0.0)) for k in range(1, 200)]
    placed, error_s = run_clock(times)
    assert gaps(placed) == 1
    assert error_s == pytest.approx(0.6, abs=0.03)


def test_a_nonsensical_time_is_not_believed() -> None:
    clock = SoundClock()
    clock.anchor(0.0, 0.0)
    clock.place(piece(0))
    assert clock.place(piece(1000 * SOUND_RATE)) is None
    assert clock.place(piece(PIECE)).position == PIECE


def test_a_gap_in_the_source_stays_one() -> None:
    clock = SoundClock()
    clock.anchor(0.0, 0.0)
    first = clock.place(piece(0))
    later = clock.place(piece(SOUND_RATE))
    assert (first.end, later.position) == (PIECE, SOUND_RATE)


def test_what_overlaps_by_far_is_cut() -> None:
    clock = SoundClock()
    clock.anchor(0.0, 0.0)
    clock.place(piece(0, SOUND_RATE))
    back = SOUND_RATE - round(2 * HARD_S * SOUND_RATE)
    assert clock.place(piece(back, SOUND_RATE)).position == SOUND_RATE


# The track


def encode(*steps: object, format: str = "matroska") -> np.ndarray:
    """The mean level of each ms of a track that hears pieces, and pictures at times in seconds."""
    memory = io.BytesIO()
    with av.open(memory, "w", format=format) as output:
        track = SoundTrack(output, format)
        for step in steps:
            if isinstance(step, Sound):
                track.hear(step)
            else:
                track.advance(step)
        track.flush()
    memory.seek(0)
    levels = np.zeros(20_000)
    with av.open(memory) as container:
        for frame in container.decode(audio=0):
            start = round(frame.time * 1000)
            samples = np.abs(frame.to_ndarray()[0])
            count = samples.size // MS
            levels[start : start + count] = samples[: count * MS].reshape(-1, MS).mean(axis=1)
    return levels


def test_gaps_become_silence_and_overlaps_are_cut() -> None:
    levels = encode(piece(0, 200 * MS), piece(400 * MS, 200 * MS), piece(500 * MS, 300 * MS))
    assert np.median(levels[50:180]) > 0.01 and np.median(levels[450:770]) > 0.01
    assert levels[230:370].max() < 0.01 and levels[840:].max() < 0.01


def test_where_no_sound_comes_silence_follows_the_pictures() -> None:
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as output:
        track = SoundTrack(output, "matroska")
        track.advance(SLACK_S)
        assert track._next == 0
        track.advance(SLACK_S + 90)
        assert track._next == 90 * SOUND_RATE
        track.flush()


def test_sound_that_comes_too_late_is_left_out() -> None:
    levels = encode(10.0, piece(SOUND_RATE, 200 * MS), piece(12 * SOUND_RATE, 200 * MS))
    assert levels[:11_900].max() < 0.01
    assert np.median(levels[12_050:12_150]) > 0.01


# Decoding


def decode_all(*paths: Path) -> list[Sound]:
    """What one decoder makes of one file after the other."""
    decoder, heard = SoundDecoder(), []
    for path in paths:
        with av.open(str(path)) as container:
            for packet in container.demux(audio=0):
                heard += decoder.decode(packet)
    return heard


def test_a_stream_may_change_its_rate_and_layout(tmp_path: Path) -> None:
    one = write_beeps(tmp_path / "one.mkv", 1)
    other = write_beeps(tmp_path / "other.mkv", 1, sound_rate=22050, layout="mono")
    heard = decode_all(one, other)
    counts = [sum(len(sound.samples) for sound in decode_all(path)) for path in (one, other)]
    assert sum(len(sound.samples) for sound in heard) == pytest.approx(sum(counts), abs=PIECE)
    assert counts[1] == pytest.approx(SOUND_RATE, abs=2 * PIECE)
    assert all(sound.samples.shape[1] == 2 for sound in heard)


def test_damaged_packets_are_skipped(tmp_path: Path) -> None:
    path = write_beeps(tmp_path / "clip.mkv", 1)
    decoder, good = SoundDecoder(), 0
    with av.open(str(path)) as container:
        for index, packet in enumerate(container.demux(audio=0)):
            if index == 7:
                damaged = av.Packet(b"\xff" * 50)
                damaged.stream = packet.stream
                assert decoder.decode(damaged) == []
            good += bool(decoder.decode(packet))
    assert good > 30


def test_a_files_sound_is_read_as_far_as_its_pictures(tmp_path: Path) -> None:
    sound = FileSound(write_beeps(tmp_path / "clip.mp4", 2))
    first, second = list(sound.until(0.5)), list(sound.until(1.25))
    sound.close()
    sound.close()
    assert first[-1].end == second[0].position == SOUND_RATE // 2
    assert second[-1].end == SOUND_RATE * 5 // 4


def test_a_file_without_sound_has_none(tmp_path: Path) -> None:
    assert not has_sound(write_clip(tmp_path / "silent.mp4", Clip()))
    (tmp_path / "text.mp4").write_text("no video")
    assert not has_sound(tmp_path / "text.mp4")


def test_rounds_of_a_loop_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    path, clock = write_beeps(tmp_path / "clip.mp4", 1), ManualClock()
    source = PacedSource(lambda: open_source(path), clock=clock, loop=True, sound=True)
    heard: list[Sound] = []
    times_s = []
    for _ in range(24 * 5):
        times_s.append(source.read().time_s)
        heard += source.sounds()
    source.close()
    assert np.allclose(np.diff(times_s), 1 / 24, atol=1e-3)
    assert gaps(heard) == 0
    assert heard[-1].end == pytest.approx(5 * SOUND_RATE, abs=2 * MS)
    assert clock.now_s() == pytest.approx(5 - 1 / 24, abs=0.01)


def test_time_begins_when_the_model_is_there(tmp_path: Path) -> None:
    path, clock = write_beeps(tmp_path / "clip.mp4", 1), ManualClock()
    source = PacedSource(lambda: open_source(path), clock=clock)
    source.read()
    clock.advance(0.3)
    source.read()
    assert clock.now_s() == pytest.approx(0.3 + 1 / 24, abs=1e-3)
    source.close()


# The way out


def make_outlet(sink: object) -> Outlet:
    return Outlet("list", sink, clock=ManualClock(), stats=Stats(), max_age_s=1.0)


def test_sound_waits_for_its_picture_however_long_that_takes(tmp_path: Path) -> None:
    from fakes import ListSink

    class Hearing(ListSink):
        hears = True

        def hear(self, sound: Sound) -> None:
            self.frames.append(sound.position)

    sink, deaf = Hearing(), ListSink()
    outlets = [make_outlet(sink), make_outlet(deaf)]
    fanout = FanOut(outlets)
    for k in range(6):
        fanout.hear(piece(k * PIECE))
    assert not outlets[1].sounds
    frames = made_frames(3)
    outlets[0].write(frames[0])
    outlets[0].write(frames[2])
    assert sink.frames == [0, frames[0], PIECE, 2 * PIECE, 3 * PIECE, frames[2]]
    for k in range(3 * SOUND_BACKLOG):
        fanout.hear(piece(k * PIECE))
    assert len(outlets[0].sounds) == SOUND_BACKLOG


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_recording_keeps_flash_and_beep_together(tmp_path: Path, suffix: str) -> None:
    clip = write_beeps(tmp_path / "clip.mkv", 3, sound_rate=44100, layout="mono")
    take = tmp_path / f"take{suffix}"
    sound = FileSound(clip)
    with open_source(clip) as source:
        info = VideoInfo(source.info.size, source.info.time_base, Fraction(24), sound=True)
        with open_sink(take, info=info) as sink:
            assert sink.hears
            for frame in source:
                for heard in sound.until(frame.time_s):
                    sink.hear(heard)
                sink.write(frame)
    sound.close()
    assert len(offsets_s(take)) == 3
    assert max(abs(one) for one in offsets_s(take)) < 0.005


def test_a_recording_that_is_given_no_sound_after_all_is_whole(tmp_path: Path) -> None:
    take = tmp_path / "take.mp4"
    info = VideoInfo((96, 64), Fraction(1, 90_000), Fraction(25), sound=True)
    with open_sink(take, info=info) as sink:
        for frame in made_frames(50):
            sink.write(frame)
    with av.open(str(take)) as container:
        ends = [float(s.duration * s.time_base) for s in container.streams]
    assert ends == pytest.approx([2.0, 2.0], abs=0.06)


def test_without_sound_a_recording_has_no_track(tmp_path: Path) -> None:
    with open_sink(tmp_path / "take.mp4", info=made_info()) as sink:
        sink.hear(piece())
        for frame in made_frames(3):
            sink.write(frame)
        sink.hear(piece())
    with av.open(str(tmp_path / "take.mp4")) as container:
        assert not container.streams.audio


def test_a_source_that_cannot_be_opened_is_still_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        PacedSource(lambda: open_source(tmp_path / "x.mp4"), clock=ManualClock(), sound=True)


def test_beeps_are_found_where_they_are(tmp_path: Path) -> None:
    """What measures the others is itself exact."""
    clip = write_beeps(tmp_path / "clip.mp4", 3)
    assert beeps_s(clip) == pytest.approx([0.5, 1.5, 2.5], abs=0.001)
    assert offsets_s(clip) == pytest.approx([0, 0, 0], abs=0.001)
