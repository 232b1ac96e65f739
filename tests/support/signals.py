"""Clips whose pictures flash and whose sound beeps at the same moments, at any times, and what can
be read back of them. FFmpeg's own presentation of a file is the reference.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from av.codec.context import Flags

from stream.sinks import open_sink
from stream.sinks.base import VideoEncoding
from stream.sources import open_source

SIZE = (96, 64)
TIME_BASE = Fraction(1, 90_000)
ON_S = 0.2
"""How long each flash and beep lasts."""

FIRST_S = 0.4
EVERY_S = 1.0
"""When they come."""

LOUD = 0.1
BRIGHT = 120


def is_on(time_s: np.ndarray | float) -> np.ndarray:
    """Whether there is a flash and a beep at that time."""
    phase = np.mod(np.asarray(time_s) - FIRST_S + 1e-6, EVERY_S)
    return phase < ON_S


@dataclass(frozen=True)
class Signal:
    """What `write_signal` makes."""

    seconds: float = 3.0
    rate: int = 25
    uneven: int | None = None
    """Seed of pictures at uneven times; ``None`` spaces them evenly."""
    b_frames: int = 0
    key_every: int = 50
    sound: str | None = "aac"
    sound_rate: int = 48_000
    begin_s: float = 0.0
    """Added to all times."""


def picture_times(signal: Signal) -> list[Fraction]:
    """When each picture is due, before `begin_s`."""
    count = round(signal.seconds * signal.rate)
    step = Fraction(1, signal.rate)
    if signal.uneven is None:
        return [index * step for index in range(count)]
    kept = np.random.default_rng(signal.uneven).random(count) < 0.7
    kept |= is_on(np.arange(count) / signal.rate)  # a flash is always seen when it begins
    kept[0] = True
    return [index * step for index in range(count) if kept[index]]


def write_signal(
    path: Path,
    signal: Signal,
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Make the clip; sound and pictures begin together and are as long as each other.

    Args:
        options: Of the muxer.
    """
    with av.open(str(path), "w", format=format, options=options or {}) as output:
        video = output.add_stream(
            "libx264",
            rate=signal.rate,
            options={
                "preset": "veryfast",
                "crf": "20",
                "bf": str(signal.b_frames),
                "g": str(signal.key_every),
            },
        )
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.time_base = TIME_BASE
        video.codec_context.flags |= Flags.frame_duration
        audio = None
        if signal.sound is not None:
            audio = output.add_stream(signal.sound, rate=signal.sound_rate)
            audio.layout = "mono"
        begin_s = Fraction(signal.begin_s).limit_denominator(1000)
        times = picture_times(signal)
        ends = [*times[1:], Fraction(signal.seconds).limit_denominator(1000)]
        for time_s, end_s in zip(times, ends, strict=True):
            level = 235 if is_on(float(time_s)) else 20
            data = np.full((SIZE[1], SIZE[0], 3), level, np.uint8)
            data[:8, : 8 + 4 * (int(time_s * signal.rate) % 20)] = 128
            picture = av.VideoFrame.from_ndarray(data, format="rgb24")
            picture.pts = round((time_s + begin_s) / TIME_BASE)
            picture.duration = round((end_s - time_s) / TIME_BASE)
            picture.time_base = TIME_BASE
            output.mux(video.encode(picture))
            if audio is not None:
                output.mux(audio.encode(_beep(time_s, end_s, begin_s, signal.sound_rate)))
        output.mux(video.encode(None))
        if audio is not None:
            output.mux(audio.encode(None))
    return path


def _beep(from_s: Fraction, to_s: Fraction, begin_s: Fraction, rate: int) -> av.AudioFrame:
    first, end, shift = (round(one * rate) for one in (from_s, to_s, begin_s))
    times_s = np.arange(first, end) / rate
    tone = (np.sin(2 * np.pi * 1000 * times_s) * 0.5 * is_on(times_s)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, first + shift, Fraction(1, rate)
    return frame


@dataclass(frozen=True)
class Presented:
    """What a player shows of a file."""

    flashes_s: list[float]
    beeps_s: list[float]
    end_s: float
    """When the last picture's time is over, from the first one's."""
    pictures: int
    longest_s: float
    """The longest time from one picture to the next."""

    def offsets_s(self) -> list[float]:
        """How much later than its flash each beep comes."""
        pairs = zip(self.flashes_s, self.beeps_s, strict=True)
        return [beep - flash for flash, beep in pairs]


def presented(path: Path) -> Presented:
    """What PyAV's FFmpeg presents of a file that has been written."""
    times, levels, end_s = [], [], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            times.append(frame.time)
            levels.append(_level(frame))
            end_s = frame.time + float((frame.duration or 0) * frame.time_base)
    beeps: list[float] = []
    with av.open(str(path)) as container:
        if container.streams.audio:
            beeps = _beeps_s(container)
    flashes = _onsets_s(np.array(times), np.array(levels) > BRIGHT)
    longest_s = float(np.diff(times, append=end_s).max())
    return Presented(flashes, beeps, end_s - times[0], len(times), longest_s)


def _level(frame: av.VideoFrame) -> float:
    """Mean of the luma plane, 0 to 255, unconverted: converting costs more than decoding."""
    assert frame.format.components[0].bits == 8
    assert frame.format.name.startswith(("yuv", "gray"))
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return float(rows[:, : plane.width].mean())


def _beeps_s(container: av.container.InputContainer) -> list[float]:
    times, loud = [np.zeros(0)], [np.zeros(0, bool)]
    for frame in container.decode(audio=0):
        samples = frame.to_ndarray()
        if not np.issubdtype(samples.dtype, np.floating):
            samples = samples / np.iinfo(samples.dtype).max
        level = np.abs(samples).max(axis=0) if frame.format.is_planar else np.abs(samples[0])
        step = 1 if frame.format.is_planar else frame.layout.nb_channels
        level = level[::step]
        times.append(frame.time + np.arange(level.size) / frame.sample_rate)
        loud.append(level > LOUD)
    return _onsets_s(np.concatenate(times), np.concatenate(loud))


def _onsets_s(times_s: np.ndarray, on: np.ndarray) -> list[float]:
    """When it comes on after having been off for a while."""
    on_s = times_s[on]
    return [float(one) for one in on_s[np.diff(on_s, prepend=-1e9) > ON_S / 2]]


def reference(path: Path, folder: Path) -> Presented:
    """What ``ffmpeg -i`` presents of the file, decoded and encoded without loss."""
    target = folder / "reference.mkv"
    subprocess.run(
        [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(path)),
            *(
                "-map",
                "0:v:0",
                "-map",
                "0:a?",
                "-c:v",
                "ffv1",
                "-enc_time_base:v",
                "demux",
                "-c:a",
                "pcm_s16le",
                str(target),
            ),
        ],
        check=True,
    )
    return presented(target)


@dataclass(frozen=True)
class Carried:
    """What our own source and sink made of a file."""

    path: Path
    notes: list[str]
    losses: Sequence[str]
    damaged: bool

    def presented(self) -> Presented:
        return presented(self.path)


def carry(source: Path, target: Path, **encoding: object) -> Carried:
    """Every frame of the source into the sink, unpainted."""
    preset = None if target.suffix == ".webm" else "ultrafast"
    options = {"deadline": "realtime", "cpu-used": "8"} if target.suffix == ".webm" else {}
    plan = VideoEncoding(**{"preset": preset, "options": options, **encoding})  # type: ignore[arg-type]
    with open_source(source) as frames:
        with open_sink(target, info=frames.info, encoding=plan) as sink:
            for frame in frames:
                sink.write(frame)
        losses = [*frames.losses, *sink.losses]
        damaged = frames.damaged or bool(losses)
        return Carried(target, frames.notes + sink.notes, losses, damaged)
