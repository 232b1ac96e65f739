"""The child of `stream.sinks.network`: takes pictures from shared memory, encodes and sends them.

May hang in a socket for ever: whoever started it kills it. Imports no torch and no OpenCV.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import OutputContainer

KEYFRAMES_S = 2
ENCODER = {"preset": "veryfast", "tune": "zerolatency", "crf": "23"}

MUXER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "flv": {"flvflags": "no_duration_filesize"},
    "rtsp": {"rtsp_transport": "tcp"},
    "hls": {"hls_time": "2", "hls_list_size": "6", "hls_flags": "delete_segments+temp_file"},
}


@dataclass(frozen=True, slots=True)
class Publication:
    """What to send where.

    Attributes:
        url: The address.
        format: FFmpeg's container.
        size: (width, height), even.
        rate: Frames a second, for the encoder's planning.
    """

    url: str
    format: str
    size: tuple[int, int]
    rate: Fraction


def publish(publication: Publication, memory: Any, wire: Connection) -> None:
    """Send pictures until the other end says ``None`` or is gone; the body of the process.

    Over the wire come (slot, pts, time base); back go the slots that are free again, and a
    sentence before an end that was not asked for.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    import av
    import numpy as np

    width, height = publication.size
    slots = np.frombuffer(memory, np.uint8).reshape(-1, height, width, 3)
    options = dict(MUXER_OPTIONS.get(publication.format, {}))
    try:
        with av.open(publication.url, "w", format=publication.format, options=options) as output:
            _send_all(publication, slots, output, wire)
    except (av.FFmpegError, OSError) as err:
        _say(wire, f"the far side did not take it ({err.strerror or err})")


def _send_all(
    publication: Publication, slots: Any, output: "OutputContainer", wire: Connection
) -> None:
    import av

    stream = output.add_stream("libx264", rate=publication.rate, options=dict(ENCODER))
    stream.width, stream.height = publication.size
    stream.pix_fmt = "yuv420p"
    stream.codec_context.gop_size = max(1, round(KEYFRAMES_S * publication.rate))
    first_pts: int | None = None
    while True:
        try:
            word = wire.recv()
        except (EOFError, OSError):
            return
        if word is None:
            break
        slot, pts, time_base = word
        if first_pts is None:
            first_pts = pts
            stream.codec_context.time_base = time_base
        picture = av.VideoFrame.from_ndarray(slots[slot], format="rgb24")
        picture = picture.reformat(format="yuv420p")
        picture.pts, picture.time_base = pts - first_pts, time_base
        output.mux(stream.encode(picture))
        wire.send(slot)
    output.mux(stream.encode(None))


def _say(wire: Connection, sentence: str) -> None:
    try:
        wire.send(sentence)
    except OSError:
        return
