"""NetworkSource: reads a network stream (RTSP, RTMP, HTTP, HLS, UDP, TCP) with low delay, by PyAV.

Little is probed and nothing is buffered; only what arrives ahead of its time (a file, the segments
of HLS) is paced. A read blocks for at most its time-out. A lost stream raises SourceError, upon
which `ReconnectingSource` opens it again.
"""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import cast
from urllib.parse import urlsplit

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stream.addresses import shown
from stream.clock import Clock, Pacer
from stream.errors import SourceError
from stream.frame import Frame
from stream.media import colour
from stream.media.connection_errors import explain
from stream.media.orientation import Orientation
from stream.media.safe_opening import NETWORK_PROTOCOLS, STREAMED_FORMATS, whitelist
from stream.media.sound import Sound
from stream.sources.base import Source
from stream.sources.opening import best_video_stream
from stream.sources.rgb_conversion import RgbConverter
from stream.sources.segments import NO_REUSE, Fetcher, is_playlist
from stream.sources.sound_decoding import SoundDecoder
from stream.trust import tls_options
from stream.video_info import VideoInfo

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
"""How long a silent host is waited for at the opening."""

STALL_S = 1.8
"""How long a stream may pause before it is taken for lost; noticed within 2 s."""

SEGMENT_STALL_S = 10.0
"""The same where pictures come in segments, with seconds between."""

LOW_DELAY = {"flags": "low_delay"}

NO_BUFFER = {"fflags": "nobuffer"}
"""What was probed is thrown away; where little is probed, that saves its time on screen."""

SCHEME_OPTIONS = {
    "rtsp": NO_BUFFER | {"rtsp_transport": "tcp", "probesize": "32", "analyzeduration": "0"},
    "rtsps": NO_BUFFER | {"rtsp_transport": "tcp", "probesize": "32", "analyzeduration": "0"},
    "rtmp": {"probesize": "100000", "analyzeduration": "500000", "rtmp_live": "live"},
    "rtmps": {"probesize": "100000", "analyzeduration": "500000", "rtmp_live": "live"},
    "udp": {"probesize": "500000", "analyzeduration": "1000000", "overrun_nonfatal": "1"},
    "tcp": {"probesize": "500000", "analyzeduration": "1000000"},
    "http": {"probesize": "500000", "analyzeduration": "1000000"},
    "https": {"probesize": "500000", "analyzeduration": "1000000"},
}
"""FFmpeg's options by scheme. RTSP says in its description what others must be probed for."""

PATIENT = {"probesize": "10000000", "analyzeduration": "8000000"}
"""For a stream in which no pictures were found so quickly: its sound may come first."""

DESCRIBED = ("rtsp", "rtsps")
"""Schemes that say beforehand whether there will be pictures."""

SEGMENTED = {"hls", "dash"}
"""Containers that come a few seconds at a time."""

FINITE = {"http", "https"}
"""Schemes at which there are files and finished playlists, which say how long they are."""

DEFAULT_RATE = Fraction(25)

SOUND_BACKLOG = 500
"""Pieces of sound, some 20 ms each, that may come between two pictures."""


class NetworkSource(Source):
    """Upright RGB frames of one live container. Not thread-safe.

    Args:
        container: Opened by `open_url`, or another live input of PyAV's.
        url: What the user calls it.
        clock: What is waited by, where the server sends ahead of time.
        sound: Give its sound too, if it has any.
        insecure: Certificates are not checked, so that none is to blame for what goes wrong.

    Raises:
        SourceError: No picture comes out of it.
    """

    def __init__(
        self,
        container: InputContainer,
        url: str,
        *,
        clock: Clock | None = None,
        sound: bool = False,
        insecure: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self._url = url
        self._insecure = insecure
        name = shown(url)
        self._clock = clock or Clock()
        self._stopped = threading.Event()
        self._pacer = Pacer() if comes_in_bursts(container) else None
        self.ends = urlsplit(url).scheme.lower() in FINITE and _has_an_end(container)
        self.can_wait = self.ends
        self._container: InputContainer | None = container
        self._decoder = SoundDecoder()
        self._sounds: deque[Sound] = deque(maxlen=SOUND_BACKLOG)
        try:
            stream = best_video_stream(container, name, self.notes)
            stream.thread_type = "SLICE"  # threads over frames hold some of them back
            stream.codec_context.flags |= Flags.low_delay
            self._stream = stream
            heard = [one for one in container.streams.audio if one.codec_context is not None]
            self._audio = heard[0] if sound and heard else None
            self._pictures = self._decode(container)
            first = self._next_picture()
            if first is None:
                raise SourceError(f"{name} ended before its first picture; check what it sends.")
        except SourceError:
            self.close()
            raise
        self.has_sound = self._audio is not None
        self._first: VideoFrame | None = first
        self._begin_s: float | None = None
        matrix = colour.usual_matrix((first.width, first.height))
        self._converter = RgbConverter(first, Orientation(), matrix)
        self.info = VideoInfo(
            size=self._converter.size,
            time_base=stream.time_base or Fraction(1, 90_000),
            rate=stream.average_rate or stream.guessed_rate or DEFAULT_RATE,
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        )

    def _decode(self, container: InputContainer) -> Iterator[VideoFrame]:
        """Pictures that decode; damaged packets of a stream that was joined midway are skipped."""
        streams = [self._stream] if self._audio is None else [self._stream, self._audio]
        for packet in container.demux(streams):
            if packet.stream is self._audio:
                self._sounds += self._decoder.decode(cast("Packet[AudioStream]", packet))
                continue
            try:
                yield from cast("Packet[VideoStream]", packet).decode()
            except av.error.InvalidDataError:
                continue

    def _next_picture(self) -> VideoFrame | None:
        try:
            return next(self._pictures, None)
        except (av.FFmpegError, OSError) as err:
            raise SourceError(explain(self._url, err, insecure=self._insecure)) from err

    def read(self) -> Frame | None:
        if self._container is None:
            return None
        is_first = self._first is not None
        picture, self._first = self._first or self._next_picture(), None
        if picture is None:
            return None
        data = self._converter.convert(picture)
        frame = Frame(data, picture.pts or 0, self.info.time_base)
        if self._pacer is not None:
            if is_first:
                self._begin_s = frame.time_s
            elif self._begin_s is not None:  # until now a model may have been loading
                self._pacer.reset()
                self._pacer.delay_s(self._begin_s, self._clock.now_s())
                self._begin_s = None
            delay_s = self._pacer.delay_s(frame.time_s, self._clock.now_s())
            if self._clock.wait(self._stopped, delay_s):
                return None
        return frame

    def interrupt(self) -> None:
        self._stopped.set()

    def sounds(self) -> list[Sound]:
        heard = list(self._sounds)
        self._sounds.clear()
        return heard

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def comes_in_bursts(container: InputContainer) -> bool:
    """Whether the server sends ahead of time, whole segments or a file, so that we must wait."""
    return container.format.name in SEGMENTED or bool(container.duration) or container.size > 0


def _has_an_end(container: InputContainer) -> bool:
    """Whether it says how long it is; of a playlist its size says nothing."""
    is_sized = container.format.name not in SEGMENTED and container.size > 0
    return is_sized or bool(container.duration)


def open_url(
    url: str,
    *,
    clock: Clock | None = None,
    sound: bool = False,
    timeout_s: float = TIMEOUT_S,
    insecure: bool = False,
) -> NetworkSource:
    """
    Args:
        insecure: Take encrypted streams without looking at the certificate.

    Raises:
        SourceError: The address is wrong, nobody answers, its certificate is refused, or there is
            no video.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEME_OPTIONS:
        known = ", ".join(f"{known}://" for known in SCHEME_OPTIONS)
        raise SourceError(f"Streams of {scheme}:// cannot be read; give one of {known}.")
    if not urlsplit(url).netloc:
        raise SourceError(f"{url} is no address: it names no server; write {scheme}://server/...")
    options = SCHEME_OPTIONS[scheme]
    try:
        container = _open_container(url, options, timeout_s, insecure=insecure)
        if not container.streams.video and scheme not in DESCRIBED:
            container.close()
            container = _open_container(url, options | PATIENT, timeout_s, insecure=insecure)
    except (av.FFmpegError, OSError, ValueError) as err:
        raise SourceError(explain(url, err, insecure=insecure)) from err
    return NetworkSource(container, url, clock=clock, sound=sound, insecure=insecure)


def _open_container(
    url: str, options: dict[str, str], timeout_s: float, *, insecure: bool
) -> InputContainer:
    scheme = urlsplit(url).scheme.lower()
    allowed = whitelist(STREAMED_FORMATS, NETWORK_PROTOCOLS)
    options = LOW_DELAY | allowed | options | tls_options(url, insecure=insecure)
    stall_s = min(timeout_s, SEGMENT_STALL_S if is_playlist(url) else STALL_S)
    timeout = timeout_s, stall_s
    fetched, kind = scheme == "https" and not insecure, None
    if not (fetched and is_playlist(url)):
        container = av.open(url, options=options, timeout=timeout)
        if not (fetched and container.format.name in SEGMENTED):
            return container
        container.close()
        kind = container.format.name  # the server said so, in words that a fetched file lacks
    opener = Fetcher(stall_s).open
    return av.open(url, format=kind, options=options | NO_REUSE, timeout=timeout, io_open=opener)
