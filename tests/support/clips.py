"""Small clips made on the spot, each with one trait, and ways to read back what was written.

Pictures are smooth gradients that differ from frame to frame, so that codecs keep them well and a
frame can be told from its neighbours.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from stream.frame import Frame
from stream.sinks import open_sink
from stream.sinks.base import VideoEncoding
from stream.sources import open_source
from stream.video_info import VideoInfo

SIZE = (96, 64)
TIME_BASE = Fraction(1, 90000)
CHAPTERS = [
    {"id": 1, "start": 0, "end": 500, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
    {
        "id": 2,
        "start": 500,
        "end": 1000,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "Ü"},
    },
]
SPEEDY = {"preset": "ultrafast", "crf": "12"}


def picture(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """uint8 RGB (H, W, 3): a gradient whose brightness tells the frame."""
    width, height = size
    x = np.linspace(0, 60, width)[None, :, None]
    y = np.linspace(0, 60, height)[:, None, None]
    tint = np.array([0.0, 20.0, 40.0])
    return np.clip(20 + x + y + tint + (index * 7) % 90, 0, 255).astype(np.uint8)


def quadrants(size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Red, green, blue and white quarters, clockwise from the top left."""
    width, height = size
    data = np.zeros((height, width, 3), np.uint8)
    data[: height // 2, : width // 2] = (200, 30, 30)
    data[: height // 2, width // 2 :] = (30, 200, 30)
    data[height // 2 :, width // 2 :] = (30, 30, 200)
    data[height // 2 :, : width // 2] = (220, 220, 220)
    return data


@dataclass(frozen=True)
class Clip:
    """What `write_clip` makes: the pictures' times first, then the traits of the file."""

    pts: Sequence[int] = tuple(range(0, 20 * 3600, 3600))
    last_duration: int = 3600
    time_base: Fraction = TIME_BASE
    size: tuple[int, int] = SIZE
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: dict(SPEEDY))
    context: dict[str, object] = field(default_factory=dict)
    colour: tuple[int, int, int, int] | None = None
    """(primaries, transfer, matrix, range) to tag and to convert by."""
    tagged: bool = True
    pictures: Sequence[NDArray[np.uint8]] | None = None
    rotation: int | None = None
    audio: str | None = None
    layout: str = "stereo"
    metadata: dict[str, str] = field(default_factory=dict)
    chapters: bool = False
    attachment: bytes | None = None
    subtitles: Path | None = None
    muxer_options: dict[str, str] = field(default_factory=dict)
    late_audio_s: float = 0.0


def vfr_pts(count: int = 40) -> list[int]:
    """Times of a phone's uneven clock, in ticks of 1/90000 s."""
    steps = np.random.default_rng(7).choice([1500, 3003, 3600, 4711, 9000], count - 1)
    return [0, *(int(pts) for pts in np.cumsum(steps))]


def write_clip(path: Path, clip: Clip) -> Path:
    """Encode the clip; whatever the codec, each frame keeps its pts."""
    with av.open(str(path), "w", options=clip.muxer_options) as output:
        output.metadata.update(clip.metadata)
        if clip.chapters:
            output.set_chapters(CHAPTERS)  # type: ignore[arg-type]
        video = _add_video(output, clip)
        audio = _add_audio(output, clip)
        subtitles = None if clip.subtitles is None else av.open(str(clip.subtitles))
        copied = None
        if subtitles is not None:
            copied = output.add_stream_from_template(subtitles.streams.subtitles[0])
            copied.metadata["language"] = "deu"
        if clip.attachment is not None:
            output.add_attachment("font.ttf", "application/x-truetype-font", clip.attachment)
        for packet in _video_packets(video, clip):
            output.mux(packet)
        if audio is not None:
            output.mux(list(_audio_packets(audio, clip)))
        if subtitles is not None and copied is not None:
            for packet in subtitles.demux(subtitles=0):
                if packet.size:
                    packet.stream = copied
                    output.mux(packet)
            subtitles.close()
    return path


def _add_video(output, clip):  # type: ignore[no-untyped-def]
    video = output.add_stream(clip.codec, rate=25, options=dict(clip.options))
    video.width, video.height = clip.size
    video.pix_fmt = clip.pix_fmt
    video.codec_context.time_base = clip.time_base
    video.codec_context.flags |= Flags.frame_duration
    for name, value in clip.context.items():
        setattr(video.codec_context, name, value)
    if clip.rotation is not None:
        video.set_display_rotation(clip.rotation)
    if clip.colour is not None and clip.tagged:
        names = ("color_primaries", "color_trc", "colorspace", "color_range")
        for name, code in zip(names, clip.colour, strict=True):
            setattr(video.codec_context, name, code)
    return video


def _video_packets(video, clip):  # type: ignore[no-untyped-def]
    ends = [*clip.pts[1:], clip.pts[-1] + clip.last_duration]
    for index, (pts, end) in enumerate(zip(clip.pts, ends, strict=True)):
        data = picture(index, clip.size) if clip.pictures is None else clip.pictures[index]
        frame = av.VideoFrame.from_ndarray(data)
        if clip.colour is not None:
            frame = frame.reformat(
                format=clip.pix_fmt,
                dst_colorspace={1: 1, 5: 5, 6: 5, 9: 9}[clip.colour[2]],
                dst_color_range=clip.colour[3],
                interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            )
        frame.pts, frame.time_base, frame.duration = pts, clip.time_base, end - pts
        yield from video.encode(frame)
    yield from video.encode(None)


def _add_audio(output, clip):  # type: ignore[no-untyped-def]
    if clip.audio is None:
        return None
    audio = output.add_stream(clip.audio, rate=48000)
    audio.layout = clip.layout
    audio.metadata["language"] = "fra"
    return audio


def _audio_packets(audio, clip):  # type: ignore[no-untyped-def]
    end_s = float((clip.pts[-1] + clip.last_duration) * clip.time_base)
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[clip.layout]
    start = round(clip.late_audio_s * 48000)
    for position in range(start, round(end_s * 48000), 1024):
        tone = np.sin(np.arange(position, position + 1024) * 0.05).astype(np.float32) * 0.3
        samples = np.tile(tone, (channels, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=clip.layout)
        frame.sample_rate, frame.pts, frame.time_base = 48000, position, Fraction(1, 48000)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def write_subtitles(path: Path) -> Path:
    """Two lines of SubRip."""
    path.write_text(
        "1\n00:00:00,100 --> 00:00:00,400\nErste Zeile\n\n"
        "2\n00:00:00,500 --> 00:00:00,700\nZweite Zeile\n\n",
        encoding="utf-8",
    )
    return path


def copy_through(
    source: Path | str,
    target: Path,
    *,
    encoding: VideoEncoding | None = None,
    stop_after: int | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Every frame of the source into the sink; gives the notes of both."""
    quick = encoding or VideoEncoding(preset="ultrafast" if target.suffix != ".webm" else None)
    with open_source(source) as frames:
        with open_sink(target, info=frames.info, encoding=quick, overwrite=overwrite) as sink:
            for index, frame in enumerate(frames):
                if index == stop_after:
                    sink.end_early()
                    break
                sink.write(frame)
        return frames.notes + sink.notes


def made_frames(count: int, size: tuple[int, int] = SIZE, step: int = 3600) -> list[Frame]:
    """Frames that no file holds."""
    return [Frame(picture(i, size), i * step, TIME_BASE, step) for i in range(count)]


def made_info(size: tuple[int, int] = SIZE) -> VideoInfo:
    """What a source of `made_frames` would say."""
    return VideoInfo(size=size, time_base=TIME_BASE, rate=Fraction(25))


def write_made(target: Path, frames: Iterable[Frame], **encoding: object) -> list[str]:
    """Frames that no file holds, into a sink; gives its notes."""
    frames = list(frames)
    plan = VideoEncoding(**encoding)  # type: ignore[arg-type]
    with open_sink(target, info=made_info(frames[0].size), encoding=plan) as sink:
        for frame in frames:
            sink.write(frame)
    return sink.notes


def frame_times(path: Path) -> list[Fraction]:
    """When each decoded frame is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packet_times(
    path: Path, kind: str = "video", index: int = 0
) -> list[tuple[Fraction, Fraction]]:
    """(pts, duration) of each packet in order of pts, in seconds."""
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][index]
        return sorted(
            (packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base)
            for packet in container.demux(stream)
            if packet.size
        )


def stream_hash(path: Path, kind: str, index: int = 0) -> tuple[int, str]:
    """Number and MD5 of all packets of one stream."""
    digest, count = hashlib.md5(), 0
    with av.open(str(path)) as container:
        stream = [stream for stream in container.streams if stream.type == kind][index]
        for packet in container.demux(stream):
            if packet.size:
                digest.update(bytes(packet))
                count += 1
    return count, digest.hexdigest()


def decoded(path: Path) -> list[NDArray[np.uint8]]:
    """Each frame as our own source gives it."""
    with open_source(path) as source:
        return [frame.data for frame in source]
