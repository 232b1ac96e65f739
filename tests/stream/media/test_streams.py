"""What becomes of each stream: copied, converted or lost with a word, as docs/streams.md has it."""

import os
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from clips import Clip, made_frames, packet_times, stream_hash, write_clip, write_made
from damaged import MPEG2
from signals import Carried, Signal, carry, presented, write_signal

from stream.errors import SinkError
from stream.media.stream_plan import programmes

FEW = range(0, 25 * 3600, 3600)


def codecs(path: Path, kind: str = "audio") -> list[str]:
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [stream.codec_context.codec.canonical_name for stream in streams]


def sounding(path: Path, codec: str, layout: str = "stereo", rate: int = 48_000) -> Path:
    """A second of pictures and of a tone."""
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = output.add_stream(codec, rate=rate)
        audio.layout = layout
        audio.metadata["language"] = "fra"
        for index in range(25):
            picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 10 * index, np.uint8))
            output.mux(video.encode(picture))
            times = np.arange(index * rate // 25, (index + 1) * rate // 25)
            tone = (8000 * np.sin(2 * np.pi * 440 * times / rate)).astype(np.int16)
            data = np.repeat(tone[None], channels, 0).T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), "s16", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, int(times[0]), Fraction(1, rate)
            output.mux(audio.encode(frame))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


SOUND = [
    # input, its codec, layout, output, what it is there
    ("in.mkv", "aac", "stereo", "out.webm", "opus"),
    ("in.mkv", "aac", "5.1", "out.webm", "opus"),
    ("in.mkv", "libopus", "stereo", "out.webm", "opus"),
    ("in.mkv", "libopus", "stereo", "out.mp4", "opus"),
    ("in.mov", "pcm_mulaw", "mono", "out.mp4", "aac"),
    ("in.mov", "pcm_alaw", "stereo", "out.mp4", "aac"),
    ("in.avi", "pcm_s16le", "stereo", "out.mp4", "pcm_s16le"),
    ("in.avi", "pcm_s16le", "stereo", "out.mov", "pcm_s16le"),
    ("in.avi", "pcm_s16le", "stereo", "out.webm", "opus"),
    ("in.mkv", "flac", "5.1", "out.mp4", "flac"),
    ("in.mkv", "flac", "stereo", "out.mov", "aac"),
    ("in.avi", "adpcm_ms", "stereo", "out.mp4", "aac"),
    ("in.mkv", "wavpack", "stereo", "out.mp4", "aac"),
]


def level(path: Path) -> float:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", 48_000)
        heard = [
            piece.to_ndarray()
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    return float(np.sqrt(np.mean(np.concatenate(heard, axis=1) ** 2)))


@pytest.mark.parametrize(
    ("name", "codec", "layout", "target", "becomes"), SOUND, ids=[f"{s[1]} {s[3]}" for s in SOUND]
)
def test_sound_is_never_lost(
    tmp_path: Path, name: str, codec: str, layout: str, target: str, becomes: str
) -> None:
    source = sounding(tmp_path / name, codec, layout)
    ours = carry(source, tmp_path / target)
    assert codecs(ours.path) == [becomes]
    assert not ours.damaged
    converted = any("Converted: audio" in note for note in ours.notes)
    assert converted == (becomes != codecs(source)[0])
    length_s = float(sum(packet_times(ours.path, "audio")[-1]))
    assert length_s == pytest.approx(1, abs=0.1)
    assert level(ours.path) == pytest.approx(level(source), rel=0.15)
    with av.open(str(ours.path)) as container:
        assert container.streams.audio[0].layout.nb_channels == {"mono": 1, "stereo": 2}.get(
            layout, 6
        )
        if source.suffix != ".avi":
            assert container.streams.audio[0].language == "fra"


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_converted_sound_keeps_to_its_pictures(tmp_path: Path, suffix: str) -> None:
    source = write_signal(tmp_path / "in.mkv", Signal(3, sound="mp2", sound_rate=44_100))
    ours = carry(source, tmp_path / f"out{suffix}", audio="encode")
    shown = ours.presented()
    assert np.abs(shown.offsets_s()).max() <= 0.04
    assert len(shown.beeps_s) == 3


def test_sound_can_be_left_out(tmp_path: Path) -> None:
    ours = carry(sounding(tmp_path / "in.mkv", "aac"), tmp_path / "out.mkv", audio="none")
    assert codecs(ours.path) == [] and not ours.damaged
    assert any("left out" in note for note in ours.notes)


# Subtitles


def captioned(path: Path, text: str, suffix: str) -> Path:
    captions = path.with_name(f"captions{suffix}")
    captions.write_text(text, encoding="utf-8")
    return write_clip(path, Clip(pts=FEW, subtitles=captions))


SRT = "1\n00:00:00,100 --> 00:00:00,400\n<b>Größe</b> und <i>Maß</i>\n\n"
VTT = "WEBVTT\n\n00:00.100 --> 00:00.400\n<b>Größe</b> und <i>Maß</i>\n\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    "Style: Default,Arial,16\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:00.10,0:00:00.40,Default,,0,0,0,,{\\b1}Größe{\\b0} und {\\i1}Maß{\\i0}\n"
)
TEXTS = {"SubRip": (SRT, ".srt"), "WebVTT": (VTT, ".vtt"), "ASS": (ASS, ".ass")}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "mov_text"), (".mov", "mov_text"), (".webm", "webvtt")]
)
def test_captions_are_converted(tmp_path: Path, kind: str, suffix: str, codec: str) -> None:
    source = captioned(tmp_path / "in.mkv", *TEXTS[kind])
    ours = carry(source, tmp_path / f"out{suffix}")
    assert codecs(ours.path, "subtitle") == [codec]
    with av.open(str(ours.path)) as container:
        (stream,) = container.streams.subtitles
        assert stream.language in ("deu", "ger")  # MOV has a number for the other spelling only
        shown = [
            (float(p.pts * p.time_base), float(p.duration * p.time_base), bytes(p))
            for p in container.demux(stream)
            if p.size > 2
        ]
    assert len(shown) == 1
    begin_s, length_s, data = shown[0]
    assert (begin_s, length_s) == (pytest.approx(0.1, abs=0.03), pytest.approx(0.3, abs=0.03))
    assert "Größe" in data.decode("utf-8", "replace") and "Maß" in data.decode("utf-8", "replace")
    assert not ours.damaged


@pytest.mark.parametrize("kind", TEXTS)
def test_captions_are_copied_where_they_can_be(tmp_path: Path, kind: str) -> None:
    source = captioned(tmp_path / "in.mkv", *TEXTS[kind])
    ours = carry(source, tmp_path / "out.mkv")
    assert stream_hash(ours.path, "subtitle") == stream_hash(source, "subtitle")


def test_there_and_back_again(tmp_path: Path) -> None:
    source = captioned(tmp_path / "in.mkv", SRT, ".srt")
    there = carry(source, tmp_path / "there.mp4")
    back = carry(there.path, tmp_path / "back.mkv")
    with av.open(str(back.path)) as container:
        (text,) = [bytes(p).decode() for p in container.demux(subtitles=0) if p.size]
    assert "<b>Größe</b>" in text and "<i>Maß</i>" in text


# What is lost is a loss


def lossy(path: Path, target: Path) -> Carried:
    clip = Clip(pts=FEW, audio="aac", attachment=b"no font" * 50)
    return carry(write_clip(path, clip), target)


def test_what_did_not_arrive_is_a_loss_and_what_did_is_none(tmp_path: Path) -> None:
    lost = lossy(tmp_path / "in.mkv", tmp_path / "out.mp4")
    assert lost.damaged and len(lost.losses) == 1
    assert "attachment" in lost.losses[0] and lost.losses[0] in lost.notes
    assert not lossy(tmp_path / "in.mkv", tmp_path / "out.mkv").damaged


def test_a_second_video_stream_is_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, side in zip(streams, (32, 64), strict=True):
            stream.width = stream.height = side
        for stream in streams:
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
            output.mux(stream.encode(frame.reformat(width=stream.width, height=stream.height)))
            output.mux(stream.encode(None))
    ours = carry(path, tmp_path / "out.mkv")
    assert ours.damaged and "2 video streams" in ours.losses[0]


TAGS = {
    "com.apple.quicktime.model": "iPhone 15",
    "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050+034.000/",
    "com.apple.quicktime.creationdate": "2024-05-01T10:00:00+0200",
}


@pytest.mark.parametrize("target", ["out.mov", "out.mp4", "out.mkv"])
def test_a_phones_tags_are_kept(tmp_path: Path, target: str) -> None:
    options = {"movflags": "use_metadata_tags"}
    clip = Clip(pts=FEW, audio="aac", metadata={**TAGS, "title": "Hafen"}, muxer_options=options)
    source = write_clip(tmp_path / "in.mov", clip)
    ours = carry(source, tmp_path / target)
    with av.open(str(ours.path)) as container:
        kept = {key.lower(): value for key, value in container.metadata.items()}
    assert {key: kept.get(key.lower()) for key in TAGS} == TAGS
    assert kept["title"] == "Hafen"


def test_the_painted_programmes_sound_comes_first(tmp_path: Path) -> None:
    """Of a broadcast of two programmes the second one has the larger picture."""
    path = tmp_path / "in.ts"
    with av.open(str(path), "w") as output:
        small, large = (output.add_stream("mpeg2video", rate=25) for _ in range(2))
        sounds = [output.add_stream("mp2", rate=48_000) for _ in range(2)]
        for sound in sounds:
            sound.layout = "stereo"
        for stream, size in ((small, (96, 64)), (large, (192, 128))):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(10):
            for stream in (small, large):
                data = np.full((stream.height, stream.width, 3), 20 * index, np.uint8)
                picture = av.VideoFrame.from_ndarray(data)
                picture.pts, picture.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(picture))
            for sound in sounds:
                silence = np.zeros((1, 2 * 1920), np.int16)
                frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
                frame.sample_rate, frame.pts = 48_000, index * 1920
                output.mux(sound.encode(frame))
        for stream in output.streams:
            output.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    two_programmes(data)
    path.write_bytes(bytes(data))
    with av.open(str(path)) as container:
        homes = programmes(container)
        identities = {stream.index: stream.id for stream in container.streams}
    assert sorted(sorted(identities[i] for i in home) for home in homes) == [
        [0x100, 0x102],
        [0x101, 0x103],
    ]
    ours = carry(path, tmp_path / "out.mkv")
    assert ours.notes  # and the order is that of the plan:
    with av.open(str(path)) as container:
        from stream.media.stream_plan import in_order

        painted = next(i for i, identity in identities.items() if identity == 0x101)
        audio = [one for one in in_order(container, painted) if one.type == "audio"]
        assert [one.id for one in audio] == [0x103, 0x102]


def crc(data: bytes) -> bytes:
    """CRC-32 of MPEG's tables."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def section(data: bytes) -> bytes:
    whole = data + crc(data)
    return (b"\0" + whole).ljust(184, b"\xff")


def two_programmes(stream: bytearray) -> None:
    """Rewrite the tables: streams 0x100 and 0x102 are one programme, the others another."""
    pat = bytes([0, 0xB0, 17, 0, 1, 0xC1, 0, 0, 0, 1, 0xF0, 0x00, 0, 2, 0xF0, 0x01])

    def pmt(number: int, video: int, audio: int) -> bytes:
        rows = b"".join(
            bytes([kind, 0xE0 | pid >> 8, pid & 0xFF, 0xF0, 0])
            for kind, pid in ((2, video), (3, audio))
        )
        head = bytes([0, number, 0xC1, 0, 0, 0xE0 | video >> 8, video & 0xFF, 0xF0, 0])
        return bytes([2, 0xB0, len(head) + len(rows) + 4]) + head + rows

    turn = 0
    for at in range(0, len(stream), 188):
        pid = (stream[at + 1] & 0x1F) << 8 | stream[at + 2]
        if pid == 0:
            stream[at + 4 : at + 188] = section(pat)
        elif pid == 0x1000:
            number = 1 + turn % 2
            turn += 1
            stream[at + 2] = number - 1
            stream[at + 4 : at + 188] = section(pmt(number, 0xFF + number, 0x101 + number))
            stream[at + 3] = stream[at + 3] & 0xF0 | (turn - 1) // 2 & 0x0F


# Outputs


def test_an_output_that_is_a_link_to_nothing_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "gone" / "far.mp4")
    with pytest.raises(SinkError, match="link to nothing"):
        write_made(tmp_path / "out.mp4", made_frames(1))


@pytest.mark.parametrize("length", [240, 255])
def test_names_may_be_as_long_as_the_file_system_has_it(tmp_path: Path, length: int) -> None:
    name = "x" * (length - 4) + ".mp4"
    write_made(tmp_path / name, made_frames(3))
    assert os.listdir(tmp_path) == [name]
    assert presented(tmp_path / name).pictures == 3


def test_a_longer_name_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="name is too long"):
        write_made(tmp_path / ("x" * 300 + ".mp4"), made_frames(1))


def test_a_data_track_is_left_out_with_a_word_and_no_loss(tmp_path: Path) -> None:
    """As a phone's sensors: no player shows them."""
    plain = write_signal(tmp_path / "plain.ts", Signal(1))
    (tmp_path / "sensors.bin").write_bytes(bytes(range(200)))
    inputs = ["-i", str(plain), "-f", "data", "-i", str(tmp_path / "sensors.bin")]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *inputs]
    maps = ["-map", "0", "-map", "1", "-c", "copy"]
    subprocess.run([*command, *maps, str(tmp_path / "in.ts")], check=True)
    with av.open(str(tmp_path / "in.ts")) as container:
        assert [stream.type for stream in container.streams].count("data") == 1
    ours = carry(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert any("data" in note and "not copied" in note for note in ours.notes)
    assert not ours.losses and not ours.damaged


@pytest.mark.parametrize(("letters", "is_lost"), [(b"Hi", True), (b"\x80\x80", False)])
def test_captions_inside_of_the_pictures_are_missed(
    tmp_path: Path, letters: bytes, is_lost: bool
) -> None:
    """In MPEG-2 as broadcast has them: user data before the first slice of each picture."""
    plain = write_clip(tmp_path / "plain.m2v", replace(MPEG2, options={"g": "6", "bf": "0"}))
    captions = b"\0\0\1\xb2GA94\x03\x41\xff\xfc" + letters + b"\xff"
    path = tmp_path / "in.m2v"
    path.write_bytes(plain.read_bytes().replace(b"\0\0\1\1", captions + b"\0\0\1\1"))
    ours = carry(path, tmp_path / "out.mp4")
    assert any("Captions inside" in loss for loss in ours.losses) == is_lost
    assert ours.damaged == is_lost


def test_names_of_tracks_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    plain = write_clip(tmp_path / "plain.mkv", Clip(pts=FEW, audio="aac"))
    names = ["-metadata:s:a:0", "title=English", "-metadata:s:a:1", "title=Kommentar"]
    maps = ["-map", "0:v", "-map", "0:a", "-map", "0:a", "-c", "copy"]
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(plain)]
    subprocess.run([*ffmpeg, *maps, *names, str(path)], check=True)
    for target, tag in (("out.mkv", "title"), ("out.mp4", "handler_name"), ("out.webm", "title")):
        carry(path, tmp_path / target)
        with av.open(str(tmp_path / target)) as container:
            found = [stream.metadata.get(tag) for stream in container.streams.audio]
        assert found == ["English", "Kommentar"], target
