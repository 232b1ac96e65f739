"""Probing: start, end and number of frames of a stream, as its container declares them."""

from fractions import Fraction

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

MICROSECONDS = Fraction(1, 1_000_000)
"""FFmpeg's unit for the times of a whole container."""


def stream_start_s(container: InputContainer) -> Fraction:
    """When the first picture or sound is due, in seconds."""
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.type in ("video", "audio")
        and not stream.disposition & Disposition.attached_pic
        and stream.start_time is not None
        and stream.time_base is not None
    ]
    return min(starts, default=Fraction(0))


EXACT_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Containers that write down when the last frame's time is over; others tell when it begins."""


def ends_exactly(container: InputContainer) -> bool:
    """Whether the end that the container promises includes the last frame's duration."""
    return container.format.name in EXACT_FORMATS


def promised_end(container: InputContainer, stream: VideoStream) -> int | None:
    """When the stream ends by its own account, in its ticks; ``None`` if it does not say."""
    if stream.time_base is None:
        return None
    start = stream.start_time or 0
    if stream.duration:
        return start + stream.duration
    tagged = _clock_time(stream.metadata.get("DURATION", ""))
    if tagged:
        return round(tagged / stream.time_base)
    alone = all(other is stream for other in container.streams)
    if alone and container.duration:
        return start + round(container.duration * MICROSECONDS / stream.time_base)
    return None


def promised_frames(stream: VideoStream, duration_s: float | None, rate: Fraction) -> int | None:
    """How many frames to expect, for a progress bar."""
    if stream.frames:
        return stream.frames
    return None if duration_s is None else max(1, round(duration_s * float(rate)))


def _clock_time(text: str) -> Fraction | None:
    """Seconds of Matroska's ``HH:MM:SS.nnnnnnnnn``; ``None`` for anything else."""
    try:
        hours, minutes, seconds = (Fraction(part) for part in text.strip("\0 ").split(":"))
    except (ValueError, ZeroDivisionError):
        return None
    return hours * 3600 + minutes * 60 + seconds
