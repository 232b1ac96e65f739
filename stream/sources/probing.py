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


HIGHEST_RATE = 1000
"""Frames a second; what is more is a clock's ticks, not a rate (raw DV says 60000)."""


def believable_rate(stream: VideoStream) -> Fraction | None:
    """Frames a second on average, as far as the container or the codec knows."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in rates if rate and 0 < rate <= HIGHEST_RATE), None)


EXACT_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Containers that write down when the last frame's time is over; others tell when it begins."""


def ends_exactly(container: InputContainer) -> bool:
    """Whether the end that the container promises includes the last frame's duration."""
    return container.format.name in EXACT_FORMATS


def promised_ends(container: InputContainer, stream: VideoStream) -> list[int]:
    """When the stream ends by its own account, in its ticks; none if it does not say.

    Two where that is open: MP4's length may or may not count the time before a late begin. The
    first that is after the last picture's begin holds.
    """
    if stream.time_base is None:
        return []
    start = stream.start_time or 0
    alone = all(other is stream for other in container.streams)
    whole = round((container.duration or 0) * MICROSECONDS / stream.time_base) if alone else 0
    if stream.duration and ends_exactly(container):
        ends = {stream.duration, start + stream.duration} if start > 0 else {stream.duration}
        return sorted(max(end, whole) for end in ends)
    if stream.duration:
        return [start + stream.duration]
    tagged = _clock_time(stream.metadata.get("DURATION", ""))
    if tagged:
        return [round(tagged / stream.time_base)]
    return [start + whole] if whole else []


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
