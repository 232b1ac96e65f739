"""Clips that flash and beep at the same moments, and when a recording of them does."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 24
EVERY_S = 1
"""Seconds from beep to beep; the first is at half of that."""

SHORT_S = 0.125
"""How long each flash and beep lasts."""

SIZE = (96, 64)


def due(time_s: float | np.ndarray) -> np.ndarray:
    """Whether there is a flash and a beep at that time."""
    phase = (np.asarray(time_s) + EVERY_S / 2) % EVERY_S
    return phase < SHORT_S - 1e-9


def write_beeps(
    path: Path,
    seconds: float,
    *,
    sound_rate: int = 48000,
    layout: str = "stereo",
    format: str | None = None,
    sound_from_s: float = 0.0,
    sound_until_s: float = 1e9,
) -> Path:
    """Make the clip."""
    with av.open(str(path), "w", format=format) as output:
        video = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "12"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = output.add_stream("aac", rate=sound_rate)
        audio.layout = layout
        for index in range(round(seconds * RATE)):
            data = np.full((SIZE[1], SIZE[0], 3), 235 if due(index / RATE) else 40, np.uint8)
            picture = av.VideoFrame.from_ndarray(data, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            output.mux(video.encode(picture))
            begin, end = (round(one * sound_rate / RATE) for one in (index, index + 1))
            times_s = np.arange(begin, end) / sound_rate
            if sound_from_s <= index / RATE < sound_until_s:
                output.mux(audio.encode(beep(times_s, begin, sound_rate, layout)))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def beep(times_s: np.ndarray, begin: int, sound_rate: int, layout: str) -> av.AudioFrame:
    """The sound of these times."""
    tone = (np.sin(2 * np.pi * 1000 * times_s) * 0.5 * due(times_s)).astype(np.float32)
    channels = {"mono": 1, "stereo": 2}[layout]
    frame = av.AudioFrame.from_ndarray(np.tile(tone, (channels, 1)), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = sound_rate, begin, Fraction(1, sound_rate)
    return frame


def onsets_s(times_s: np.ndarray, is_on: np.ndarray) -> list[float]:
    """When it comes on after having been off for a while."""
    on_s = times_s[is_on]
    after_silence = np.diff(on_s, prepend=-1e9) > SHORT_S
    return [float(one) for one in on_s[after_silence]]


def flashes_s(path: Path | str) -> list[float]:
    """When the pictures flash, whichever colour they are painted in."""
    with av.open(str(path)) as container:
        frames = [
            (frame.time, frame.to_ndarray(format="gray").mean())
            for frame in container.decode(video=0)
        ]
    times_s, levels = np.array(frames).T
    return onsets_s(times_s, np.abs(levels - np.median(levels)) > 60)


def beeps_s(path: Path | str) -> list[float]:
    """When the sound does."""
    times_s, loud = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()).max(axis=0)
            times_s.append(frame.time + np.arange(samples.size) / frame.sample_rate)
            loud.append(samples > 0.15)
    return onsets_s(np.concatenate(times_s), np.concatenate(loud))


def offsets_s(path: Path | str) -> list[float]:
    """How much later than its flash each beep comes; one for each flash."""
    beeps = np.array(beeps_s(path))
    return [float(beeps[np.abs(beeps - one).argmin()] - one) for one in flashes_s(path)]
