"""The child process of NetworkSink: takes pictures and sound from shared memory, encodes and sends.

May hang in a socket for ever: whoever started it kills it. Imports no torch, and OpenCV only to say
why it failed.
"""

import os
import socket
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stream.media.sound import CHANNELS, SOUND_RATE, Sound
from stream.sinks.profiles import STREAM, codec_options
from stream.trust import tls_options

if TYPE_CHECKING:
    from av.container import OutputContainer

Bytes = NDArray[np.uint8]

Piece = tuple[int, int]
"""Position and number of samples of a piece of sound."""

SLOT_SOUND = 2 * SOUND_RATE
"""The most samples of sound that go with a picture."""

SAMPLE_BYTES = 2 * CHANNELS

LOST_S = 8.0
"""What was sent and is not acknowledged for so long goes to nobody; the system alone would try for
a quarter of an hour, and take more to send meanwhile."""

FIRST_SOCKETS = 256
"""How many of the process' handles are looked at; FFmpeg's are among the first."""

TEE = "tee"


MUXER_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "flv": {"flvflags": "no_duration_filesize", "flush_packets": "1"},
    # each picture leaves at once, and says how long it is: a reader need not wait for the next one
    "mpegts": {"flush_packets": "1", "omit_video_pes_length": "0"},
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
        sound: Whether there is sound to send.
        insecure: The certificate of an encrypted address is not checked.
    """

    url: str
    format: str
    size: tuple[int, int]
    rate: Fraction
    sound: bool = False
    insecure: bool = False

    @property
    def picture_bytes(self) -> int:
        """Bytes of a picture, at the beginning of each slot."""
        return self.size[0] * self.size[1] * 3

    @property
    def slot_bytes(self) -> int:
        """Bytes of a slot: a picture, and the sound that came since the one before."""
        return self.picture_bytes + (SLOT_SOUND * SAMPLE_BYTES if self.sound else 0)


def pack(slot: Bytes, publication: Publication, data: Bytes, sounds: list[Sound]) -> list[Piece]:
    """Lay a picture and the newest of the sound into a slot; where the sound is."""
    slot[: publication.picture_bytes] = data.reshape(-1)
    at, pieces = publication.picture_bytes, []
    oldest = sounds[-1].end - SLOT_SOUND if sounds else 0
    for sound in filter(None, (one.after(oldest) for one in sounds)):
        raw = np.ascontiguousarray(sound.samples).view(np.uint8).reshape(-1)
        slot[at : at + raw.size] = raw
        at += raw.size
        pieces.append((sound.position, len(sound.samples)))
    return pieces


def unpack(slot: Bytes, publication: Publication, pieces: list[Piece]) -> tuple[Bytes, list[Sound]]:
    """The picture of a slot, (H, W, 3), and its sound; both are the slot's own memory."""
    width, height = publication.size
    at, sounds = publication.picture_bytes, []
    for position, count in pieces:
        raw = slot[at : at + count * SAMPLE_BYTES]
        sounds.append(Sound(raw.view(np.int16).reshape(-1, CHANNELS), position))
        at += raw.size
    return slot[: publication.picture_bytes].reshape(height, width, 3), sounds


def publish(publication: Publication, memory: Any, wire: Connection) -> None:
    """Send pictures until the other end says ``None`` or is gone; the body of the process.

    Over the wire come (slot, pts, time base, position and length of each piece of sound in it);
    back go ``None`` when all is imported, the slots that are free again, and a sentence before an
    end that was not asked for.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    import av

    _say(wire, None)
    slots = np.frombuffer(memory, np.uint8).reshape(-1, publication.slot_bytes)
    address, format, options = destination(publication)
    try:
        with av.open(address, "w", format=format, options=options) as output:
            _send_all(publication, slots, output, wire)
    except (av.FFmpegError, OSError) as err:
        from stream.media.connection_errors import explain

        _say(wire, explain(publication.url, err, "written to", insecure=publication.insecure))


def destination(publication: Publication) -> tuple[str, str, dict[str, str]]:
    """Address, container and options to give to PyAV.

    It opens RTMP without any options, so that nothing would be checked; FFmpeg's muxer `tee` hands
    them on.
    """
    url, format = publication.url, publication.format
    options = dict(MUXER_OPTIONS.get(format, {}))
    checks = tls_options(url, insecure=publication.insecure)
    if not checks or format != "flv":
        return prompt_address(url), format, options | checks
    pairs = [f"{key}={escaped(value, ':]')}" for key, value in (options | checks).items()]
    inner = escaped(":".join(["f=flv", *pairs]), "|")
    return f"[{inner}]{escaped(url, '|')}", TEE, {}


def escaped(text: str, special: str) -> str:
    """The text with a backslash before whatever FFmpeg would take for something else."""
    return "".join(f"\\{one}" if one in f"\\' {special}" else one for one in text)


def prompt_address(url: str) -> str:
    """The address with FFmpeg's word for a socket that sends what is small at once (tcp alone)."""
    if not url.lower().startswith("tcp://") or "tcp_nodelay=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}tcp_nodelay=1"


def notice_loss() -> None:
    """Ask the system to give up this process' connections when nothing is acknowledged (Linux).

    This detects a peer whose network is gone even where little is sent. One that is frozen is
    not: its system acknowledges until its own buffers are full.
    """
    if sys.platform != "linux":
        return
    for number in range(FIRST_SOCKETS):
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as one:
                if one.family in (socket.AF_INET, socket.AF_INET6):
                    limit_ms = round(LOST_S * 1e3)
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)


def _send_all(
    publication: Publication, slots: Any, output: "OutputContainer", wire: Connection
) -> None:
    sender: _Sender | None = None
    while True:
        try:
            word = wire.recv()
        except (EOFError, OSError):
            return
        if word is None:
            break
        slot, pts, time_base, pieces = word
        data, sounds = unpack(slots[slot], publication, pieces)
        first = sender is None
        sender = sender or _Sender(publication, output, pts, time_base)
        sender.send(data, pts, sounds)
        if first:  # PyAV connects when the first packet is written
            notice_loss()
        wire.send(slot)
    if sender is not None:
        sender.finish()


class _Sender:
    """The streams of one output, whose zero is the first picture's time."""

    def __init__(
        self, publication: Publication, output: "OutputContainer", pts: int, time_base: Fraction
    ) -> None:
        from av.codec.context import Flags

        from stream.media.key_frames import KeyFrames, most_apart
        from stream.media.sound_encoding import SoundTrack

        options = codec_options(STREAM["libx264"])
        stream = output.add_stream("libx264", rate=publication.rate, options=options)
        stream.width, stream.height = publication.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = most_apart(publication.rate)
        stream.codec_context.time_base = time_base
        self._output, self._stream = output, stream
        self._first_pts, self._time_base = pts, time_base
        self._key_frames = KeyFrames()
        self._track: SoundTrack | None = None
        if publication.sound:
            start = round(pts * time_base * SOUND_RATE)
            self._track = SoundTrack(output, publication.format, start)
        if output.format.name == TEE:
            for one in output.streams:  # PyAV asks the container, which cannot know
                one.codec_context.flags |= Flags.global_header

    def send(self, data: Bytes, pts: int, sounds: list[Sound]) -> None:
        """One picture and the sound before it."""
        import av

        picture = av.VideoFrame.from_ndarray(data, format="rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = pts - self._first_pts, self._time_base
        self._key_frames.mark(picture, picture.pts * self._time_base)
        if self._track is not None:
            for sound in sounds:
                self._track.hear(sound)
            self._track.advance(pts * self._time_base)
        self._output.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """What the encoders still hold."""
        self._output.mux(self._stream.encode(None))
        if self._track is not None:
            self._track.flush()


def _say(wire: Connection, word: str | None) -> None:
    try:
        wire.send(word)
    except OSError:
        return
