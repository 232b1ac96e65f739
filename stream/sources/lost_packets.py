"""LostPackets: pictures of a transport stream of which packets are missing.

FFmpeg's decoders pass over a picture of which nothing came, and over many a one of which a piece is
missing, without a word. MPEG-TS counts its packets: where one of a picture's stream is missing, the
time to the next picture tells whether pictures are missing with it. A long time alone is no loss,
nor is a counter that jumps where recordings were joined.
"""

from collections import deque
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from stream.media.continuity import Continuity
from stream.media.transport_stream import lost_places

AT_A_TIME_BYTES = 8_000_000
"""How much of the file is looked at before what is read comes to it."""


class LostPackets:
    """Watches the packets of one stream. Not thread-safe; silent for what is no transport stream.

    Args:
        container: What is read.
        stream: Its pictures.
        continuity: Knows where recordings were joined.

    Attributes:
        torn: The pts of pictures of which a piece is missing.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, continuity: Continuity
    ) -> None:
        path = Path(container.name.removeprefix("file:"))
        self._path = path if container.format.name == "mpegts" and path.is_file() else None
        self._stream = stream
        self._continuity = continuity
        self._last: Packet[VideoStream] | None = None
        self._usual: int | None = None
        self._places: deque[int] = deque()
        self._seen_until: int | None = None
        self.torn: set[int] = set()

    def before(self, packet: "Packet[VideoStream]") -> list[int]:
        """The packet is the next one; the times of the pictures that are missing before it."""
        last, self._last = self._last, packet
        if self._path is None or last is None or last.dts is None or packet.dts is None:
            return []
        step = packet.dts - last.dts
        if step > 0:
            self._usual = step if self._usual is None else min(self._usual, step)
        if not self._is_loss(self._path, last, packet):
            return []
        if self._usual is None or 2 * step < 3 * self._usual:
            self.torn |= set() if last.pts is None else {last.pts}
            return []
        return [*range(last.dts + self._usual, packet.dts - self._usual // 2, self._usual)]

    def _is_loss(
        self, path: Path, last: "Packet[VideoStream]", packet: "Packet[VideoStream]"
    ) -> bool:
        if last.pos is None or packet.pos is None:
            return False
        self._look_ahead(path, last.pos, packet.pos)
        found = False
        while self._places and self._places[0] <= packet.pos:
            found |= self._places.popleft() > last.pos
        if not found:
            return False
        time_base = self._stream.time_base or Fraction(1)
        begin_s, end_s = ((one.dts or 0) * time_base for one in (last, packet))
        step_s = (self._usual or 0) * time_base
        return not any(begin_s <= at_s <= end_s + step_s for at_s in self._continuity.joints_s)

    def _look_ahead(self, path: Path, begin: int, end: int) -> None:
        """Find what is missing up to there, at least."""
        begin = begin if self._seen_until is None else self._seen_until
        if end < begin:
            return
        self._seen_until = end + AT_A_TIME_BYTES
        try:
            self._places += lost_places(path, self._stream.id, begin, self._seen_until)
        except OSError:  # it is gone, which its reader will tell
            self._path = None
