"""NetworkSink: streams to a server (RTMP, RTSP, UDP, TCP, HLS), by PyAV in a child process.

    write ──► shared memory: a few slots ──slot, pts──► child: encoders, muxer, socket
    hear ──► with the next picture       ◄──slot done──

PyAV opens and ends an output with the interpreter's lock held and no time-out: a far side that
accepts and stays silent would freeze every thread. So the child may hang; it is killed when it has
taken nothing for a while, and a new one is started, with growing pauses. `write` never waits: a
frame for which there is no slot is dropped and counted. Starts no thread.
"""

import logging
import multiprocessing
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import numpy as np

from stream.addresses import shown
from stream.clock import Clock
from stream.errors import SinkError
from stream.frame import Frame, Size
from stream.media.sound import Sound
from stream.sinks.base import Sink
from stream.sinks.stream_process import Publication, pack, publish
from stream.stats import Stats

logger = logging.getLogger(__name__)

SLOTS = 3
"""Frames in flight to the child: one it encodes, one that waits, one being written."""

SOUND_BACKLOG = 100
"""Pieces of sound that wait for a picture to go with, some 20 ms each."""

STALL_S = 4.0
"""A child that has taken nothing for so long is killed."""

IMPORT_S = 120.0
"""How long a new child may take until it has imported what it needs: nobody is far away there, and
a machine under load is slow."""

CONNECT_S = 15.0
"""How long it may take from there to its first frame: it connects and shakes hands."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0

END_S = 3.0
"""How long the child may take to end the stream properly."""

FORMATS = {
    "rtmp": "flv",
    "rtmps": "flv",
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "udp": "mpegts",
    "tcp": "mpegts",
}


@dataclass(slots=True)
class Child:
    """One publishing process and its end of the wire."""

    publication: Publication
    process: BaseProcess
    wire: Connection
    memory: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
    free: list[int]
    heard_at_s: float
    captured_s: dict[int, float] = field(default_factory=dict)
    imported: bool = False
    connected: bool = False
    reason: str = ""

    @property
    def limit_s(self) -> float:
        """How long it may be silent now."""
        if self.connected:
            return STALL_S
        return CONNECT_S if self.imported else IMPORT_S


class NetworkSink(Sink):
    """Publishes frames to an address; keeps trying. Not thread-safe.

    Args:
        url: Where to.
        rate: Frames a second to tell the encoder; the frames keep their own times.
        stats: Where restarts and what was dropped are counted.
        sound: Whether there will be sound to send.
        insecure: Do not check the certificate of an encrypted address.

    Raises:
        SinkError: The address is of no kind that can be published to, or its folder is not there.
    """

    backlog = 1
    counts_itself: ClassVar[bool] = True

    def __init__(
        self,
        url: str,
        *,
        rate: Fraction,
        clock: Clock,
        stats: Stats,
        sound: bool = False,
        insecure: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self.hears = sound
        self._insecure = insecure
        self._sounds: deque[Sound] = deque(maxlen=SOUND_BACKLOG)
        self._format = format_of(url)
        if self._format == "hls" and not Path(url).parent.is_dir():
            raise SinkError(f"There is no folder {Path(url).parent} for {url}; create it first.")
        self._url = url
        self._name = shown(url)
        self._rate = rate
        self._clock = clock
        self._stats = stats
        self._size: Size | None = None
        self._child: Child | None = None
        self._pause_s = FIRST_PAUSE_S
        self._next_start_s = 0.0
        self._last_reason = ""
        self._was_connected = False
        self._starts = 0
        self._closed = False

    @property
    def waits_for(self) -> str:
        """Why nothing arrives just now, as a sentence; "" while it does."""
        if self._child is not None and self._child.connected:
            return ""
        return self._last_reason or f"{self._name} has not answered yet."

    def write(self, frame: Frame) -> None:
        if self._closed:
            return
        self.took_last = False
        if self._size is None:
            self._size = even(frame.size)
        now_s = self._clock.now_s()
        child = self._child or self._start(now_s)
        if child is None:
            self._stats.count_missed(self._name, "no connection")
            return
        self._listen(child, now_s)
        if self._child is None:
            self._stats.count_missed(self._name, "no connection")
        elif not child.free:
            cause = "far side is slow" if child.connected else "connecting"
            self._stats.count_missed(self._name, cause)
        else:
            self._send(child, frame)

    def hear(self, sound: Sound) -> None:
        self._sounds.append(sound)

    def close(self) -> None:
        """End the stream properly if the far side lets us; otherwise let go.

        Raises:
            SinkError: Nothing was ever sent.
        """
        if self._closed:
            return
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            self._end(child)
        reason = self._last_reason or f"{self._name} did not answer in time."
        if self._starts and not self._was_connected:
            raise SinkError(f"Nothing was sent: {reason}")
        if self._starts and (child is None or not child.connected):
            self.notes.append(f"The connection was lost before the end: {reason}")

    def _end(self, child: Child) -> None:
        if child.connected:
            with suppress(OSError):
                child.wire.send(None)
            child.process.join(END_S)
            with suppress(EOFError, OSError):  # what it has sent meanwhile
                while child.wire.poll():
                    self._hear_from(child, child.wire.recv(), self._clock.now_s())
        self._kill(child)

    def abort(self) -> None:
        with suppress(SinkError):
            self.close()

    def _start(self, now_s: float) -> Child | None:
        if now_s < self._next_start_s or self._size is None:
            return None
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        publication = Publication(
            self._url,
            self._format,
            self._size,
            self._rate,
            sound=self.hears,
            insecure=self._insecure,
        )
        memory = context.RawArray("B", SLOTS * publication.slot_bytes)
        process = context.Process(
            target=publish, args=(publication, memory, theirs), name="publish", daemon=True
        )
        process.start()
        theirs.close()
        self._starts += 1
        view = np.frombuffer(memory, np.uint8).reshape(SLOTS, publication.slot_bytes)
        self._child = Child(publication, process, ours, view, list(range(SLOTS)), now_s)
        return self._child

    def _listen(self, child: Child, now_s: float) -> None:
        """Take back the slots that the child is done with; replace a child that hangs or ended."""
        try:
            while child.wire.poll():
                self._hear_from(child, child.wire.recv(), now_s)
        except (EOFError, OSError):
            self._replace(child, now_s, child.reason or f"{self._name} ended the connection.")
            return
        if len(child.free) < SLOTS and now_s - child.heard_at_s > child.limit_s:
            self._replace(child, now_s, f"{self._name} took nothing for {child.limit_s:g} s.")
        elif len(child.free) == SLOTS:
            child.heard_at_s = now_s

    def _hear_from(self, child: Child, word: int | str | None, now_s: float) -> None:
        """One word of the child's (see `publish`)."""
        if isinstance(word, str):
            child.reason = word
            return
        child.heard_at_s = now_s
        if word is None:
            child.imported = True
            return
        child.free.append(word)
        self._stats.count_shown(self._name, child.captured_s.pop(word, now_s), now_s)
        if not child.connected:
            child.connected = self._was_connected = True
            self._pause_s, self._last_reason = FIRST_PAUSE_S, ""
            logger.info("publishing to %s", self._name)

    def _replace(self, child: Child, now_s: float, reason: str) -> None:
        self._kill(child)
        self._child = None
        self._next_start_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._stats.count_event(f"restart of {self._name}")
        level = logging.DEBUG if reason == self._last_reason else logging.WARNING
        logger.log(level, "%s Trying again until it takes the stream.", reason)
        self._last_reason = reason

    def _send(self, child: Child, frame: Frame) -> None:
        width, height = child.publication.size
        slot = child.free.pop()
        data = np.ascontiguousarray(frame.data[:height, :width])
        pieces = pack(child.memory[slot], child.publication, data, list(self._sounds))
        self._sounds.clear()
        try:
            child.wire.send((slot, frame.pts, frame.time_base, pieces))
            child.captured_s[slot] = frame.captured_at_s
            self.took_last = True
        except OSError:
            child.free.append(slot)  # its end is noticed at the next frame

    def _kill(self, child: Child) -> None:
        self._stats.count_missed(self._name, "not sent", len(child.captured_s))
        child.process.kill()
        child.process.join()
        child.process.close()
        child.wire.close()


def format_of(url: str) -> str:
    """FFmpeg's container for an address.

    Raises:
        SinkError: There is none that we publish.
    """
    if url.lower().endswith(".m3u8") and "://" not in url:
        return "hls"
    scheme = urlsplit(url).scheme.lower()
    if scheme in FORMATS and not urlsplit(url).netloc:
        raise SinkError(f"{url} is no address: it names no server; write {scheme}://server/...")
    if scheme not in FORMATS:
        known = ", ".join(f"{known}://" for known in FORMATS)
        raise SinkError(
            f"Nothing can be published to {scheme or url}://; give one of {known}, or the path of "
            "an .m3u8 playlist."
        )
    return FORMATS[scheme]


def even(size: Size) -> Size:
    """The size without an odd row or column, which H.264's halved chroma cannot hold."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)
